"""The three security schemes as state machines over bytes: a handshake, then encryption in both directions.

Source: `facts/esp-provisioning.md` §4 to §6. No input or output here. A handshake is `start()`, then `answer()` with
each response until it returns None. After an exception a session cannot be used: make a new object.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, ClassVar, Protocol, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from google.protobuf.message import DecodeError
from pydantic import SecretStr

from installer.provisioning.driver_errors import Malformed, ProtocolError
from installer.provisioning.espressif import srp
from installer.provisioning.espressif.codec import refusal
from installer.provisioning.espressif.proto import session_pb2 as pb

KEY_WIDTH = 32
RANDOM_WIDTH = 16
NONCE_WIDTH = 12
SESSION_ID_WIDTH = 8
COUNTER_LIMIT = 2**32

_T = TypeVar("_T")


class WrongProof(ProtocolError):
    """Device and client do not have the same proof of possession."""


class Security(Protocol):
    """One session of one scheme. `answer()` computes for some milliseconds: call it in a thread."""

    version: ClassVar[int]

    def start(self) -> bytes:
        """The first message for prov-session."""
        ...

    def answer(self, response: bytes) -> bytes | None:
        """The next message for prov-session, or None at the end. Raises Malformed, Refused, WrongProof."""
        ...

    def encrypt(self, plain: bytes) -> bytes:
        """Encrypt a request for another endpoint. Raises Malformed when the counter has run out."""
        ...

    def decrypt(self, cipher: bytes) -> bytes:
        """Decrypt a response of another endpoint. Raises Malformed if it is not authentic (security 2 only)."""
        ...


class Security0:
    """No encryption at all."""

    version: ClassVar[int] = 0

    def start(self) -> bytes:
        """The command."""
        message = pb.SessionData(sec_ver=pb.SecScheme0)
        message.sec0.sc.SetInParent()
        return message.SerializeToString()

    def answer(self, response: bytes) -> bytes | None:
        """Check the status. Raises Malformed, Refused."""
        _content(response, pb.SecScheme0, pb.S0_Session_Response, "sr")
        return None

    def encrypt(self, plain: bytes) -> bytes:
        """The plain bytes."""
        return plain

    def decrypt(self, cipher: bytes) -> bytes:
        """The plain bytes."""
        return cipher


class Security1:
    """X25519, one AES-256-CTR stream for both directions, and a proof of possession that may be empty."""

    version: ClassVar[int] = 1

    def __init__(self, proof: SecretStr, *, private: X25519PrivateKey | None = None) -> None:
        self._proof = proof
        self._private = private or X25519PrivateKey.generate()
        self._public = self._private.public_key().public_bytes_raw()
        self._stream: CipherContext | None = None
        self._session: CipherContext | None = None

    def start(self) -> bytes:
        """The client's public key."""
        message = pb.SessionData(sec_ver=pb.SecScheme1)
        message.sec1.sc0.client_pubkey = self._public
        return message.SerializeToString()

    def answer(self, response: bytes) -> bytes | None:
        """First the device's key, then its verification. Raises Malformed, Refused, WrongProof."""
        stream = self._stream
        if stream is None:
            return self._derive_key(response)
        verify = _content(response, pb.SecScheme1, pb.Session_Response1, "sr1").device_verify_data
        if len(verify) != KEY_WIDTH:
            raise Malformed("verification of a wrong length")
        if not hmac.compare_digest(stream.update(verify), self._public):
            raise WrongProof("the device does not have the same proof of possession")
        self._session = stream
        return None

    def encrypt(self, plain: bytes) -> bytes:
        """The next bytes of the stream over `plain`."""
        return _established(self._session).update(plain)

    def decrypt(self, cipher: bytes) -> bytes:
        """The next bytes of the stream over `cipher`; this scheme cannot tell whether they are authentic."""
        return _established(self._session).update(cipher)

    def _derive_key(self, response: bytes) -> bytes:
        part = _content(response, pb.SecScheme1, pb.Session_Response0, "sr0")
        if len(part.device_pubkey) != KEY_WIDTH or len(part.device_random) != RANDOM_WIDTH:
            raise Malformed("public key or random number of a wrong length")
        try:
            key = self._private.exchange(X25519PublicKey.from_public_bytes(part.device_pubkey))
        except ValueError:
            # A point of low order makes the secret zero with any key.
            raise Malformed("a public key that gives no secret") from None
        proof = self._proof.get_secret_value().encode()
        if proof:
            key = bytes(a ^ b for a, b in zip(key, hashlib.sha256(proof).digest(), strict=True))
        # Encrypting and decrypting are the same operation, so one object serves both directions in order.
        self._stream = stream = Cipher(AES(key), CTR(part.device_random)).encryptor()
        message = pb.SessionData(sec_ver=pb.SecScheme1)
        message.sec1.msg = pb.Session_Command1
        message.sec1.sc1.client_verify_data = stream.update(part.device_pubkey)
        return message.SerializeToString()


class Security2:
    """SRP-6a with user name and password, then AES-256-GCM.

    `patch` 1: the nonce is incremented for every message; `patch` 0 (firmware before 2025): one nonce for all, weak.
    """

    version: ClassVar[int] = 2

    def __init__(self, username: str, password: SecretStr, *, patch: int = 1, private: int | None = None) -> None:
        self._username = username.encode()
        self._password = password
        self._private = private
        self._counts = patch >= 1
        self._srp: srp.SrpClient | None = None
        self._cipher: AESGCM | None = None
        self._session_id = b""
        self._counter = 0
        self._proved = False

    def start(self) -> bytes:
        """User name and the client's public key."""
        self._srp = srp.SrpClient(self._username, self._password.get_secret_value().encode(), private=self._private)
        message = pb.SessionData(sec_ver=pb.SecScheme2)
        message.sec2.sc0.client_username = self._username
        message.sec2.sc0.client_pubkey = self._srp.public
        return message.SerializeToString()

    def answer(self, response: bytes) -> bytes | None:
        """First salt and public key of the device, then its proof and nonce. Raises Malformed, Refused, WrongProof."""
        exchange = _established(self._srp)
        if not self._proved:
            return self._prove(exchange, response)
        part = _content(response, pb.SecScheme2, pb.S2Session_Response1, "sr1")
        if len(part.device_proof) != srp.PROOF_WIDTH or len(part.device_nonce) != NONCE_WIDTH:
            raise Malformed("proof or nonce of a wrong length")
        if not exchange.accepts(part.device_proof):
            raise WrongProof("the device does not know the password")
        self._session_id = part.device_nonce[:SESSION_ID_WIDTH]
        self._counter = srp.number(part.device_nonce[SESSION_ID_WIDTH:])
        self._cipher = AESGCM(exchange.key[:KEY_WIDTH])
        return None

    def encrypt(self, plain: bytes) -> bytes:
        """Ciphertext and tag. Raises Malformed when the counter has run out."""
        return _established(self._cipher).encrypt(self._nonce(), plain, None)

    def decrypt(self, cipher: bytes) -> bytes:
        """The plain bytes. Raises Malformed if they are not authentic."""
        aes_gcm = _established(self._cipher)
        try:
            return aes_gcm.decrypt(self._nonce(), cipher, None)
        except InvalidTag:
            raise Malformed("a response that is not authentic") from None

    def _prove(self, exchange: srp.SrpClient, response: bytes) -> bytes:
        part = _content(response, pb.SecScheme2, pb.S2Session_Response0, "sr0")
        message = pb.SessionData(sec_ver=pb.SecScheme2)
        message.sec2.msg = pb.S2Session_Command1
        message.sec2.sc1.client_proof = exchange.respond(part.device_salt, part.device_pubkey)
        self._proved = True
        return message.SerializeToString()

    def _nonce(self) -> bytes:
        # A counter that overflows would use a nonce twice; the device refuses it as well.
        if self._counts and not 0 < self._counter < COUNTER_LIMIT:
            raise Malformed("a session whose counter has run out")
        nonce = self._session_id + self._counter.to_bytes(NONCE_WIDTH - SESSION_ID_WIDTH, "big")
        if self._counts:
            self._counter += 1
        return nonce


def _content(response: bytes, version: int, msg: int, name: str) -> Any:
    """The part `name` of a session response of this scheme, its status checked."""
    message = pb.SessionData()
    try:
        message.ParseFromString(response)
    except DecodeError:
        raise Malformed("a session message that does not parse") from None
    scheme = f"sec{version}"
    if message.sec_ver != version or message.WhichOneof("proto") != scheme:
        raise Malformed("a session message of another security scheme")
    payload = getattr(message, scheme)
    if payload.msg != msg or payload.WhichOneof("payload") != name:
        raise Malformed("a session message out of order")
    part = getattr(payload, name)
    if part.status:
        raise refusal(part.status)
    return part


def _established(part: _T | None) -> _T:
    if part is None:
        raise RuntimeError("the handshake has not reached this step")
    return part
