"""SRP-6a as Espressif's security 2 uses it: the 3072-bit group of RFC 5054, g = 5, SHA-512; the client's side.

Source: `facts/esp-provisioning.md` §6. Raw bytes go into every hash: a salt or a public key keeps its leading zero
bytes, as on the device. The powers take some milliseconds, so they are computed in a thread.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from installer.provisioning.driver_errors import Malformed

# RFC 5054 appendix A, 3072 bits (the same prime as RFC 3526 group 15).
N = int(
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd"
    "ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed"
    "ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f"
    "83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b"
    "e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf6955817183995497cea956ae515d2261898fa0510"
    "15728e5a8aaac42dad33170d04507a33a85521abdf1cba64ecfb850458dbef0a8aea71575d060c7db3970f85a6e1e4c7"
    "abf5ae8cdb0933d71e8c94e04a25619dcee3d2261ad2ee6bf12ffa06d98a0864d87602733ec86a64521f2b18177b200c"
    "bbe117577a615d6c770988c0bad946e208e24fa074e5ab3143db5bfce0fd108e4b82d120a93ad2caffffffffffffffff",
    16,
)
G = 5
WIDTH = 384  # bytes of N
PROOF_WIDTH = 64
PRIVATE_BITS = 256


def digest(*parts: bytes) -> bytes:
    """SHA-512 over the joined parts, 64 bytes."""
    return hashlib.sha512(b"".join(parts)).digest()


def number(data: bytes) -> int:
    """Big-endian bytes as a number."""
    return int.from_bytes(data, "big")


def pad(value: int) -> bytes:
    """A number as 384 big-endian bytes, zeros on the left."""
    return value.to_bytes(WIDTH, "big")


def shortest(value: int) -> bytes:
    """A number as big-endian bytes without leading zeros."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


K = number(digest(pad(N), pad(G)))
_GROUP = bytes(a ^ b for a, b in zip(digest(pad(N)), digest(pad(G)), strict=True))


def password_hash(username: bytes, password: bytes, salt: bytes) -> int:
    """The number x = H(salt | H(username ":" password))."""
    return number(digest(salt, digest(username, b":", password)))


class SrpClient:
    """One exchange: `public`, then `respond()`, then `accepts()`. `key` (64 bytes) is known after `respond()`."""

    def __init__(self, username: bytes, password: bytes, *, private: int | None = None) -> None:
        self._username = username
        self._password = password
        self._private = secrets.randbits(PRIVATE_BITS) if private is None else private
        public = pow(G, self._private, N)
        # Some devices refuse a public key that is shorter than 384 bytes once its leading zeros are gone.
        while private is None and public.bit_length() <= (WIDTH - 1) * 8:
            self._private = secrets.randbits(PRIVATE_BITS)
            public = pow(G, self._private, N)
        self.public = pad(public)
        self.key = b""
        self._expected = b""

    def respond(self, salt: bytes, device_public: bytes) -> bytes:
        """The client's proof M1, 64 bytes. Raises Malformed."""
        if not salt or not 0 < len(device_public) <= WIDTH:
            raise Malformed("a salt or public key of a wrong length")
        theirs = number(device_public)
        # With B = 0 everybody would know the secret.
        if theirs % N == 0 or theirs >= N:
            raise Malformed("a public key outside of the group")
        scramble = number(digest(self.public, pad(theirs)))
        if scramble == 0:
            raise Malformed("public keys that cancel each other out")
        x = password_hash(self._username, self._password, salt)
        base = (theirs - K * pow(G, x, N)) % N
        shared = pow(base, self._private + scramble * x, N)
        self.key = digest(shortest(shared))
        proof = digest(_GROUP, digest(self._username), salt, self.public, device_public, self.key)
        self._expected = digest(self.public, proof, self.key)
        return proof

    def accepts(self, device_proof: bytes) -> bool:
        """Whether M2 proves that the device has the verifier of this password."""
        return bool(self._expected) and hmac.compare_digest(self._expected, device_proof)
