"""The handshakes against the vectors, what a wrong proof does, and hostile answers."""

from __future__ import annotations

import contextlib

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from installer.provisioning.driver_errors import Malformed, ProtocolError, Refused
from installer.provisioning.espressif.security import Security, Security0, Security1, Security2, WrongProof
from tests.installer.provisioning.espressif import vectors as v
from tests.installer.provisioning.espressif.hypothesis_settings import CALM


def security1(pop: str = v.POP) -> Security1:
    return Security1(SecretStr(pop), private=X25519PrivateKey.from_private_bytes(v.CLIENT_PRIVATE))


def security2(patch: int = 1, password: str = v.PASSWORD) -> Security2:
    return Security2(v.USERNAME, SecretStr(password), patch=patch, private=v.A_PRIVATE)


def standing(patch: int = 1) -> Security2:
    session = security2(patch)
    session.start()
    session.answer(v.s2_resp0())
    assert session.answer(v.S2_RESP1) is None
    return session


def test_security_0_vectors():
    session = Security0()
    assert session.start().hex() == "5203a20100"
    assert session.answer(bytes.fromhex("52050801aa0100")) is None
    assert session.decrypt(session.encrypt(v.SET_CONFIG)) == v.SET_CONFIG


def test_security_1_vectors_and_the_stream_that_goes_on():
    session = security1()
    assert session.start() == v.CMD0
    assert session.answer(v.RESP0) == v.CMD1
    assert session.answer(v.RESP1) is None
    assert session.encrypt(v.SET_CONFIG) == v.SET_CONFIG_1
    assert session.decrypt(v.SET_CONFIG_ANSWER_1) == v.SET_CONFIG_ANSWER
    assert session.encrypt(v.APPLY) == v.APPLY_1
    assert session.decrypt(v.APPLY_ANSWER_1) == v.APPLY_ANSWER


def test_security_2_vectors():
    session = security2()
    cmd0 = session.start()
    assert len(cmd0) == 406
    assert cmd0.startswith(v.S2_CMD0_START)
    assert len(v.s2_resp0()) == 416
    assert session.answer(v.s2_resp0()) == v.S2_CMD1
    assert session.answer(v.S2_RESP1) is None
    assert session.encrypt(v.SET_CONFIG) == v.SET_CONFIG_2
    assert session.decrypt(v.SET_CONFIG_ANSWER_2_PATCH_1) == v.SET_CONFIG_ANSWER


def test_security_2_of_old_firmware_keeps_its_nonce():
    session = standing(patch=0)
    assert session.encrypt(v.SET_CONFIG) == v.SET_CONFIG_2
    assert session.decrypt(v.SET_CONFIG_ANSWER_2_PATCH_0) == v.SET_CONFIG_ANSWER
    assert session.encrypt(v.SET_CONFIG) == v.SET_CONFIG_2


def test_the_two_nonce_rules_do_not_mix():
    session = standing(patch=1)
    session.encrypt(v.SET_CONFIG)
    with pytest.raises(Malformed, match="authentic"):
        session.decrypt(v.SET_CONFIG_ANSWER_2_PATCH_0)


def test_security_2_never_counts_over_the_end():
    session = security2()
    session.start()
    session.answer(v.s2_resp0())
    session.answer(v.S2_RESP1[:-4] + b"\xff\xff\xff\xff")
    session.encrypt(b"the last one")
    with pytest.raises(Malformed, match="counter"):
        session.encrypt(b"one too many")


def test_security_2_refuses_a_counter_of_zero():
    session = security2()
    session.start()
    session.answer(v.s2_resp0())
    session.answer(v.S2_RESP1[:-4] + bytes(4))
    with pytest.raises(Malformed, match="counter"):
        session.encrypt(b"anything")


def test_security_1_without_proof_uses_the_shared_secret_alone():
    session = security1("")
    session.start()
    assert session.answer(v.RESP0) != v.CMD1


def test_security_1_wrong_proof():
    session = security1("abcd1235")
    session.start()
    assert session.answer(v.RESP0) != v.CMD1
    with pytest.raises(WrongProof):
        session.answer(v.RESP1)


def test_security_2_wrong_password():
    session = security2(password="abcd1235")
    session.start()
    assert session.answer(v.s2_resp0()) != v.S2_CMD1
    with pytest.raises(WrongProof):
        session.answer(v.S2_RESP1)


@pytest.mark.parametrize("session", [security1(), security2()])
def test_nothing_is_encrypted_before_the_session_stands(session: Security):
    session.start()
    with pytest.raises(RuntimeError):
        session.encrypt(b"secret")
    with pytest.raises(RuntimeError):
        session.decrypt(b"secret")


def test_security_1_is_not_open_after_a_wrong_verification():
    session = security1()
    session.start()
    session.answer(v.RESP0)
    with pytest.raises(WrongProof):
        session.answer(v.RESP1[:-1] + b"\x00")
    with pytest.raises(RuntimeError):
        session.encrypt(b"secret")


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"", Malformed),
        (b"\xff\xff", Malformed),
        (bytes.fromhex("52050801aa0100"), Malformed),  # security 0
        (v.CMD0, Malformed),  # our own request, echoed
        (v.RESP1, Malformed),  # out of order
        (v.RESP0[:-1], Malformed),  # cut
        (bytes.fromhex("10015a3808 01aa0133 1220".replace(" ", "")) + bytes(32) + b"\x1a\x0f" + bytes(15), Malformed),
        (bytes.fromhex("10015a390801aa01341220") + bytes(32) + b"\x1a\x10" + bytes(16), Malformed),  # low order
        (bytes.fromhex("10015a070801aa01020801"), Refused),
    ],
)
def test_security_1_hostile_first_answers(answer: bytes, fault: type[ProtocolError]):
    session = security1()
    session.start()
    with pytest.raises(fault):
        session.answer(answer)


def test_refusal_tells_the_status():
    session = security1()
    session.start()
    with pytest.raises(Refused, match="too many sessions") as caught:
        session.answer(bytes.fromhex("10015a070801aa01020803"))
    assert caught.value.status == 3


@pytest.mark.parametrize(
    "answer",
    [v.s2_resp0(public=bytes(384)), v.s2_resp0(salt=b""), v.s2_resp0()[:200], v.RESP0, v.S2_RESP1],
)
def test_security_2_hostile_first_answers(answer: bytes):
    session = security2()
    session.start()
    with pytest.raises(Malformed):
        session.answer(answer)


@pytest.mark.parametrize(
    "answer",
    [
        bytes.fromhex("100262540803ba014f1240") + v.M2 + b"\x1a\x0b" + v.NONCE[:11],
        bytes.fromhex("100262540803ba014f123f") + v.M2[:63] + b"\x1a\x0c" + v.NONCE,
        v.s2_resp0(),
    ],
)
def test_security_2_hostile_second_answers(answer: bytes):
    session = security2()
    session.start()
    session.answer(v.s2_resp0())
    with pytest.raises(Malformed):
        session.answer(answer)


@CALM
@given(st.binary(max_size=500), st.integers(0, 2))
def test_any_answer_gives_a_typed_fault(answer: bytes, which: int):
    session: Security = (Security0(), security1(), FUZZED)[which]
    if which < 2:
        session.start()
    with contextlib.suppress(ProtocolError):
        session.answer(answer)


FUZZED = security2()
FUZZED.start()


@CALM
@given(st.data())
def test_any_mutation_of_a_true_answer_gives_a_typed_fault(data: st.DataObject):
    original = data.draw(st.sampled_from([v.RESP0, v.RESP1]))
    place = data.draw(st.integers(0, len(original) - 1))
    mutated = original[:place] + data.draw(st.binary(max_size=4)) + original[place + data.draw(st.integers(0, 4)) :]
    session = security1()
    session.start()
    try:
        if original is v.RESP1:
            session.answer(v.RESP0)
        session.answer(mutated)
    except ProtocolError:
        pass


@CALM
@given(st.binary(max_size=64))
def test_security_2_takes_only_authentic_answers(cipher: bytes):
    with pytest.raises(Malformed):
        STANDING.decrypt(cipher)


STANDING = standing(patch=0)


def test_secrets_stay_out_of_the_repr():
    for session in (security1(), security2()):
        assert v.POP not in repr(session)
        assert v.POP not in repr(vars(session))
