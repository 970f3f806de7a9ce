"""What a lab device needs for Espressif provisioning beside its behaviour: a wire format, SRP-6a as a server, ciphers.

Written from `facts/esp-provisioning.md` (§ numbers are that sheet's); it shares no code with the installer's driver:
its own protobuf codec, its own prime (computed, not copied), its own order of operations.
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

VARINT, BYTES = 0, 2
WIDTHS = {1: 8, 5: 4}  # fixed-width fields, which no message here has: skipped


class HandlerFailed(Exception):
    """The firmware's handler returned an error: the client sees an ATT error, not a status."""


# The wire format of protocol buffers.


def varint(number: int) -> bytes:
    """A varint; a negative number as 64 bits, ten bytes long."""
    number &= (1 << 64) - 1
    groups = []
    while True:
        number, low = number >> 7, number & 0x7F
        groups.append(low | (0x80 if number else 0))
        if not number:
            return bytes(groups)


def field(number: int, value: int | bytes) -> bytes:
    """One field: a varint or bytes, by the type of `value`; a zero as well."""
    if isinstance(value, int):
        return varint(number << 3 | VARINT) + varint(value)
    return varint(number << 3 | BYTES) + varint(len(value)) + value


def optional(number: int, value: int | bytes) -> bytes:
    """The field, left out if it is zero or empty, as proto3 has it."""
    return field(number, value) if value else b""


class Message:
    """The fields of a message by number; of a repeated one the last. Raises HandlerFailed for bytes that are none."""

    def __init__(self, data: bytes) -> None:
        self._fields: dict[int, int | bytes] = {}
        at = 0
        while at < len(data):
            key, at = self._varint(data, at)
            number, kind = key >> 3, key & 7
            value: int | bytes
            if kind == VARINT:
                value, at = self._varint(data, at)
            elif kind == BYTES or kind in WIDTHS:
                size = WIDTHS.get(kind, 0)
                if kind == BYTES:
                    size, at = self._varint(data, at)
                value, at = data[at : at + size], at + size
                if at > len(data):
                    raise HandlerFailed("a field longer than its message")
            else:
                raise HandlerFailed("a field of an unknown kind")
            if number == 0:
                raise HandlerFailed("a field without a number")
            self._fields[number] = value

    @staticmethod
    def _varint(data: bytes, at: int) -> tuple[int, int]:
        number = shift = 0
        while at < len(data) and shift < 70:
            number |= (data[at] & 0x7F) << shift
            shift += 7
            at += 1
            if data[at - 1] < 0x80:
                return number & ((1 << 64) - 1), at
        raise HandlerFailed("a number that does not end")

    def number(self, field_number: int) -> int:
        """A number, 0 if absent."""
        value = self._fields.get(field_number, 0)
        return value if isinstance(value, int) else 0

    def bytes(self, field_number: int) -> bytes:
        """Bytes, empty if absent."""
        value = self._fields.get(field_number, b"")
        return value if isinstance(value, bytes) else b""

    def has(self, field_number: int) -> bool:
        """Whether the field is there."""
        return field_number in self._fields

    def message(self, field_number: int) -> Message:
        """A message inside, without fields if absent."""
        return Message(self.bytes(field_number))


# Ciphers of a session that stands.


class Channel(Protocol):
    """What an endpoint's bytes go through, in the order of the exchange."""

    def open(self, data: bytes) -> bytes:
        """A request, decrypted. Raises HandlerFailed."""

    def seal(self, data: bytes) -> bytes:
        """A response, encrypted."""


class Clear:
    """Security 0."""

    def open(self, data: bytes) -> bytes:
        """The same bytes."""
        return data

    def seal(self, data: bytes) -> bytes:
        """The same bytes."""
        return data


class Stream:
    """Security 1 (§5): one AES-256-CTR key stream that every byte uses up, in either direction."""

    def __init__(self, key: bytes, start: bytes) -> None:
        self._keystream = Cipher(algorithms.AES(key), modes.CTR(start)).encryptor()

    def open(self, data: bytes) -> bytes:
        """XOR with the next key bytes."""
        return self._keystream.update(data)

    def seal(self, data: bytes) -> bytes:
        """The same operation."""
        return self.open(data)


class Sealed:
    """Security 2 (§6): AES-256-GCM; `counting`: one step of the nonce for every operation (sec_patch_ver 1)."""

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
                raise HandlerFailed("the counter has run over")
            self._nonce = nonce[:8] + (counter + 1 & 0xFFFFFFFF).to_bytes(4, "big")
        return nonce


# Key agreement, the device's side.


class Curve:
    """Security 1's agreement: made with the client's public key, it has the device's and the stream."""

    def __init__(
        self, client_public: bytes, proof: str, private: bytes | None = None, start: bytes | None = None
    ) -> None:
        if len(client_public) != 32:
            raise HandlerFailed("a public key that has not 32 bytes")
        own = X25519PrivateKey.from_private_bytes(private or secrets.token_bytes(32))
        self.public = own.public_key().public_bytes_raw()
        self.start = start or secrets.token_bytes(16)
        self._client_public = client_public
        try:
            key = own.exchange(X25519PublicKey.from_public_bytes(client_public))
        except ValueError:
            raise HandlerFailed("a public key that gives no secret") from None
        if proof:
            hashed = sha256(proof.encode()).digest()
            key = bytes(k ^ h for k, h in zip(key, hashed, strict=True))
        self.channel = Stream(key, self.start)

    def verify(self, client_verify: bytes) -> bytes:
        """The device's verification, if the client's is right. Raises HandlerFailed."""
        if len(client_verify) != 32 or not compare_digest(self.channel.open(client_verify), self.public):
            raise HandlerFailed("the client does not hold the proof of possession")
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


class Verifier:
    """What a product stores of a password: salt and verifier."""

    prime = 0

    def __init__(self, username: str, password: str, salt: bytes | None = None) -> None:
        if not Verifier.prime:
            Verifier.prime = _prime()
        self.username = username.encode()
        self.salt = salt or secrets.token_bytes(16)
        inner = sha512(self.username + b":" + password.encode()).digest()
        exponent = int.from_bytes(sha512(self.salt + inner).digest(), "big")
        self.value = pow(5, exponent, self.prime)


class Srp:
    """Security 2's agreement (§6), the device's side. A public key of the client must have 384 bytes."""

    def __init__(self, verifier: Verifier, username: bytes, client_public: bytes, private: int | None = None) -> None:
        prime = verifier.prime
        if len(client_public) != 384 or int.from_bytes(client_public, "big") % prime == 0:
            raise HandlerFailed("a public key that is none")
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
