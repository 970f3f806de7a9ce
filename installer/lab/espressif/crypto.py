"""The cryptography of a lab device with Espressif provisioning: ciphers, X25519, and the server side of SRP-6a.

Written from `facts/esp-provisioning.md` (§ numbers are that sheet's); it shares no code with the driver: the prime
is computed, not copied, and the order of operations is different.
"""

from __future__ import annotations

import secrets
from hashlib import sha256, sha512
from hmac import compare_digest
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class HandlerFailed(Exception):
    """The firmware's handler returned an error: the client sees an ATT error, not a status."""


# Ciphers of an established session.


class Channel(Protocol):
    """Decrypts requests and encrypts responses, in the order of the exchange."""

    def open(self, data: bytes) -> bytes:
        """A request, decrypted. Raises HandlerFailed."""

    def seal(self, data: bytes) -> bytes:
        """A response, encrypted."""


class PlainChannel:
    """Security 0."""

    def open(self, data: bytes) -> bytes:
        """The same bytes."""
        return data

    def seal(self, data: bytes) -> bytes:
        """The same bytes."""
        return data


class CtrChannel:
    """Security 1 (§5): one AES-256-CTR key stream for both directions."""

    def __init__(self, key: bytes, start: bytes) -> None:
        self._keystream = Cipher(algorithms.AES(key), modes.CTR(start)).encryptor()

    def open(self, data: bytes) -> bytes:
        """XOR with the next bytes of the key stream."""
        return self._keystream.update(data)

    def seal(self, data: bytes) -> bytes:
        """The same operation."""
        return self.open(data)


class GcmChannel:
    """Security 2 (§6): AES-256-GCM; `counting`: increment the nonce for every operation (sec_patch_ver 1)."""

    def __init__(self, key: bytes, nonce: bytes, counting: bool) -> None:
        self._gcm = AESGCM(key)
        self._nonce = nonce
        self._counting = counting

    def open(self, data: bytes) -> bytes:
        """Check and decrypt."""
        try:
            return self._gcm.decrypt(self._next(), data, None)
        except InvalidTag:
            raise HandlerFailed("a request that is not authentic") from None

    def seal(self, data: bytes) -> bytes:
        """Encrypt, with the tag at the end."""
        return self._gcm.encrypt(self._next(), data, None)

    def _next(self) -> bytes:
        nonce = self._nonce
        if self._counting:
            counter = int.from_bytes(nonce[8:], "big")
            if counter == 0:
                raise HandlerFailed("the counter has overflowed")
            self._nonce = nonce[:8] + (counter + 1 & 0xFFFFFFFF).to_bytes(4, "big")
        return nonce


# Key agreement on the side of the device.


class X25519Agreement:
    """The agreement of security 1, from the client's public key: the device's public key and the cipher."""

    def __init__(
        self, client_public: bytes, proof: str, private: bytes | None = None, start: bytes | None = None
    ) -> None:
        if len(client_public) != 32:
            raise HandlerFailed("a public key does not have 32 bytes")
        private_key = X25519PrivateKey.from_private_bytes(private or secrets.token_bytes(32))
        self.public = private_key.public_key().public_bytes_raw()
        self.start = start or secrets.token_bytes(16)
        self._client_public = client_public
        try:
            key = private_key.exchange(X25519PublicKey.from_public_bytes(client_public))
        except ValueError:
            raise HandlerFailed("a public key gives no secret") from None
        if proof:
            hashed = sha256(proof.encode()).digest()
            key = bytes(k ^ h for k, h in zip(key, hashed, strict=True))
        self.channel = CtrChannel(key, self.start)

    def verify(self, client_verify: bytes) -> bytes:
        """The device's verification, if the client's is right. Raises HandlerFailed."""
        if len(client_verify) != 32 or not compare_digest(self.channel.open(client_verify), self.public):
            raise HandlerFailed("the client does not have the proof of possession")
        return self.channel.seal(self._client_public)


def _prime() -> int:
    """RFC 3526 §4: 2^3072 - 2^3008 - 1 + 2^64 * (floor(2^2942 * pi) + 1690314), pi by Machin's formula."""
    bits, guard = 2942, 64
    unit = 1 << (bits + guard)

    def arctan_of_inverse(n: int) -> int:
        total = term = unit // n
        k = 1
        while term:
            term //= -n * n
            total += term // (2 * k + 1)
            k += 1
        return total

    pi = 4 * (4 * arctan_of_inverse(5) - arctan_of_inverse(239)) >> guard
    return (1 << 3072) - (1 << 3008) - 1 + ((pi + 1690314) << 64)


class SrpVerifier:
    """The part of a password that a product stores: salt and verifier."""

    prime = 0

    def __init__(self, username: str, password: str, salt: bytes | None = None) -> None:
        if not SrpVerifier.prime:
            SrpVerifier.prime = _prime()
        self.username = username.encode()
        self.salt = salt or secrets.token_bytes(16)
        inner = sha512(self.username + b":" + password.encode()).digest()
        exponent = int.from_bytes(sha512(self.salt + inner).digest(), "big")
        self.value = pow(5, exponent, self.prime)


class SrpAgreement:
    """The agreement of security 2 (§6) on the side of the device. A public key of the client must have 384 bytes."""

    def __init__(
        self, verifier: SrpVerifier, username: bytes, client_public: bytes, private: int | None = None
    ) -> None:
        prime = verifier.prime
        if len(client_public) != 384 or int.from_bytes(client_public, "big") % prime == 0:
            raise HandlerFailed("an invalid public key")
        b = private if private is not None else secrets.randbits(256)
        wide_prime, wide_g = prime.to_bytes(384, "big"), (5).to_bytes(384, "big")
        k = int.from_bytes(sha512(wide_prime + wide_g).digest(), "big")
        public = (k * verifier.value + pow(5, b, prime)) % prime
        # A big-number library leaves leading zero bytes out.
        self.public = public.to_bytes((public.bit_length() + 7) // 8, "big")
        u = int.from_bytes(sha512(client_public + public.to_bytes(384, "big")).digest(), "big")
        secret = pow(int.from_bytes(client_public, "big") * pow(verifier.value, u, prime) % prime, b, prime)
        self.key = sha512(secret.to_bytes((secret.bit_length() + 7) // 8, "big")).digest()
        group = bytes(x ^ y for x, y in zip(sha512(wide_prime).digest(), sha512(wide_g).digest(), strict=True))
        self._proof = sha512(
            group + sha512(username).digest() + verifier.salt + client_public + self.public + self.key
        ).digest()
        self._answer = sha512(client_public + self._proof + self.key).digest()

    def verify(self, client_proof: bytes) -> bytes:
        """The device's proof, if the client's is right. Raises HandlerFailed."""
        if not compare_digest(client_proof, self._proof):
            raise HandlerFailed("the client does not know the password")
        return self._answer
