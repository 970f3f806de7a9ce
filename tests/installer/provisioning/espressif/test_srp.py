"""SRP-6a: the vectors, an independent implementation, and the traps of leading zeros."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from srptools import SRPContext
from srptools.constants import PRIME_3072

from installer.provisioning.driver_errors import Malformed
from installer.provisioning.espressif import srp
from tests.installer.provisioning.espressif import vectors as v
from tests.installer.provisioning.espressif.hypothesis_settings import FEW


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def device(x: int, b: int, salt: bytes, username: bytes, client_public: bytes, *, strip: bool = False):
    """The device's side, written from the formulas: its public key, its session key, M1 and M2 as it expects them."""
    verifier = pow(5, x, srp.N)
    public = (srp.K * verifier + pow(5, b, srp.N)) % srp.N
    sent = srp.shortest(public) if strip else srp.pad(public)
    u = srp.number(srp.digest(client_public, srp.pad(public)))
    secret = pow(srp.number(client_public) * pow(verifier, u, srp.N), b, srp.N)
    key = srp.digest(srp.shortest(secret))
    group = srp.number(srp.digest(srp.pad(srp.N))) ^ srp.number(srp.digest(srp.pad(5)))
    m1 = srp.digest(group.to_bytes(64, "big"), srp.digest(username), salt, client_public, sent, key)
    return sent, key, m1, srp.digest(client_public, m1, key)


def test_vectors_of_group_and_verifier():
    assert sha256(srp.pad(srp.N)) == v.N_SHA256
    assert v.K_MULTIPLIER == srp.K
    x = srp.password_hash(v.USERNAME.encode(), v.PASSWORD.encode(), v.SALT)
    assert x == v.X
    verifier = srp.pad(pow(srp.G, x, srp.N))
    assert verifier[:16].hex() == "7c7c85476508946dd636af37d7e89143"
    assert verifier[-16:].hex() == "e6f653c831a878de5040f762de36b2ba"
    assert sha256(verifier) == v.V_SHA256


def test_vectors_of_the_exchange():
    client = srp.SrpClient(v.USERNAME.encode(), v.PASSWORD.encode(), private=v.A_PRIVATE)
    assert client.public[:16].hex() == "f33a9bf072b49ae345fe141de7e46fe5"
    assert sha256(client.public) == "5d18d70773542770f5b067818d1ca0a4190812571920fec0b9879720b1132aaa"
    public, key, m1, m2 = device(v.X, v.B_PRIVATE, v.SALT, v.USERNAME.encode(), client.public)
    assert public[:16].hex() == "27d1e4db618073ecf814b8ebb7791d17"
    assert sha256(public) == "99d2b071947aa7dea40153cb488e18b21ef6b13550ea6ca322b4e32b9490d5aa"
    assert srp.number(srp.digest(client.public, public)) == v.U
    assert client.respond(v.SALT, public) == v.M1 == m1
    assert client.key == v.SESSION_KEY == key
    assert m2 == v.M2
    assert client.accepts(v.M2)
    assert not client.accepts(v.M2[:-1] + b"\x00")


def test_another_implementation_comes_to_the_same_key():
    """srptools hashes integers: comparable wherever no leading zero byte is lost, which these values see to."""
    salt = b"\x9e" + bytes(range(15))
    context = SRPContext("wifiprov", "correct horse", prime=PRIME_3072, generator="5", hash_func=hashlib.sha512)
    x = context.get_common_password_hash(srp.number(salt))
    assert x == srp.password_hash(b"wifiprov", b"correct horse", salt)
    verifier = context.get_common_password_verifier(x)
    client = srp.SrpClient(b"wifiprov", b"correct horse", private=v.A_PRIVATE)
    assert srp.number(client.public) == context.get_client_public(client_private=v.A_PRIVATE)
    public = context.get_server_public(password_verifier=verifier, server_private=v.B_PRIVATE)
    proof = client.respond(salt, srp.pad(public))
    scramble = context.get_common_secret(public, srp.number(client.public))
    secret = context.get_server_premaster_secret(
        password_verifier=verifier,
        server_private=v.B_PRIVATE,
        client_public=srp.number(client.public),
        common_secret=scramble,
    )
    assert client.key == context.get_common_session_key(secret)
    # srptools hashes g unpadded where Espressif pads it, so only the confirmation can be compared, not the proof.
    confirmation = context.get_common_session_key_proof_hash(
        session_key=client.key, session_key_proof=proof, client_public=srp.number(client.public)
    )
    assert client.accepts(confirmation)


@pytest.mark.parametrize("salt", [b"\x00" * 16, b"\x00\x01" + b"\x22" * 14, b"\x07"])
def test_a_salt_keeps_its_leading_zeros(salt: bytes):
    client = srp.SrpClient(b"u", b"p", private=v.A_PRIVATE)
    x = srp.number(hashlib.sha512(salt + hashlib.sha512(b"u:p").digest()).digest())
    public, key, m1, m2 = device(x, v.B_PRIVATE, salt, b"u", client.public)
    assert client.respond(salt, public) == m1
    assert client.key == key
    assert client.accepts(m2)


def test_a_short_public_key_of_the_device_is_hashed_as_received():
    """About one device key in 256 begins with a zero byte, and the device leaves it out."""
    x = srp.password_hash(b"u", b"p", v.SALT)
    verifier = pow(5, x, srp.N)
    b = next(
        b for b in range(1 << 64, (1 << 64) + 5000) if (srp.K * verifier + pow(5, b, srp.N)) % srp.N < 1 << 383 * 8
    )
    client = srp.SrpClient(b"u", b"p", private=v.A_PRIVATE)
    public, key, m1, m2 = device(x, b, v.SALT, b"u", client.public, strip=True)
    assert len(public) < srp.WIDTH
    assert client.respond(v.SALT, public) == m1
    assert client.key == key
    assert client.accepts(m2)


def test_our_public_key_always_fills_its_width(monkeypatch: pytest.MonkeyPatch):
    """g¹ has 383 leading zero bytes: such a private number is drawn again."""
    drawn = iter([1, 2, v.A_PRIVATE])
    monkeypatch.setattr(srp.secrets, "randbits", lambda bits: next(drawn))
    client = srp.SrpClient(b"u", b"p")
    assert client.public[0] != 0
    assert srp.number(client.public) == pow(srp.G, v.A_PRIVATE, srp.N)


@pytest.mark.parametrize(
    ("salt", "public"),
    [
        (b"", srp.pad(5)),
        (v.SALT, b""),
        (v.SALT, bytes(384)),
        (v.SALT, srp.pad(srp.N)),
        (v.SALT, b"\xff" * 384),
        (v.SALT, b"\x00" + srp.pad(5)),
    ],
)
def test_impossible_values_are_refused(salt: bytes, public: bytes):
    client = srp.SrpClient(b"u", b"p", private=v.A_PRIVATE)
    with pytest.raises(Malformed):
        client.respond(salt, public)
    assert not client.accepts(b"")


@FEW
@given(st.binary(max_size=64), st.text(max_size=32), st.binary(min_size=1, max_size=32), st.integers(2, 1 << 256))
def test_both_sides_agree_on_any_password(username: bytes, password: str, salt: bytes, b: int):
    client = srp.SrpClient(username, password.encode())
    x = srp.number(srp.digest(salt, srp.digest(username + b":" + password.encode())))
    public, key, m1, m2 = device(x, b, salt, username, client.public)
    assert client.respond(salt, public) == m1
    assert client.key == key
    assert client.accepts(m2)
