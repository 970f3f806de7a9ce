"""The lab's device against the vectors: it shares no code with the driver, so both are checked by the same numbers."""

from __future__ import annotations

import ast
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import installer.lab
from installer.lab.espressif.crypto import GcmChannel, HandlerFailed, SrpAgreement, SrpVerifier, X25519Agreement
from installer.lab.espressif.scenario import EspressifScenario
from installer.lab.espressif.session import SessionEndpoint
from installer.lab.protobuf_wire import InvalidMessage, Message, field, varint
from tests.installer.provisioning.espressif import vectors as v
from tests.installer.provisioning.espressif.hypothesis_settings import CALM


def test_curve_vectors():
    curve = X25519Agreement(v.CLIENT_PUBLIC, v.POP, bytes(range(0x21, 0x41)), v.DEVICE_RANDOM)
    assert field(2, curve.public) + field(3, curve.start) == v.RESP0[9:]
    assert field(3, curve.verify(v.CMD1[-32:])) == v.RESP1[9:]
    assert curve.channel.open(v.SET_CONFIG_1) == v.SET_CONFIG
    assert curve.channel.seal(v.SET_CONFIG_ANSWER) == v.SET_CONFIG_ANSWER_1
    assert curve.channel.open(v.APPLY_1) == v.APPLY
    assert curve.channel.seal(v.APPLY_ANSWER) == v.APPLY_ANSWER_1


def test_curve_refuses_another_proof():
    curve = X25519Agreement(v.CLIENT_PUBLIC, "abcd1235", bytes(range(0x21, 0x41)), v.DEVICE_RANDOM)
    with pytest.raises(HandlerFailed):
        curve.verify(v.CMD1[-32:])
    with pytest.raises(HandlerFailed):
        X25519Agreement(b"short", v.POP)
    with pytest.raises(HandlerFailed):
        X25519Agreement(bytes(32), v.POP)


def test_srp_vectors():
    verifier = SrpVerifier(v.USERNAME, v.PASSWORD, v.SALT)
    assert sha256(verifier.prime.to_bytes(384, "big")).hexdigest() == v.N_SHA256
    assert sha256(verifier.value.to_bytes(384, "big")).hexdigest() == v.V_SHA256
    public = pow(5, v.A_PRIVATE, verifier.prime).to_bytes(384, "big")
    srp = SrpAgreement(verifier, v.USERNAME.encode(), public, v.B_PRIVATE)
    assert sha256(srp.public).hexdigest() == "99d2b071947aa7dea40153cb488e18b21ef6b13550ea6ca322b4e32b9490d5aa"
    assert srp.key == v.SESSION_KEY
    assert srp.verify(v.M1) == v.M2
    with pytest.raises(HandlerFailed):
        srp.verify(v.M1[:-1] + b"\x00")


@pytest.mark.parametrize("public", [bytes(384), b"\x01" * 383])
def test_srp_refuses_an_impossible_public_key(public: bytes):
    with pytest.raises(HandlerFailed):
        SrpAgreement(SrpVerifier("u", "p"), b"u", public)


def test_sealed_vectors_and_both_nonce_rules():
    for counting, answer in ((True, v.SET_CONFIG_ANSWER_2_PATCH_1), (False, v.SET_CONFIG_ANSWER_2_PATCH_0)):
        channel = GcmChannel(v.SESSION_KEY[:32], v.NONCE, counting)
        assert channel.open(v.SET_CONFIG_2) == v.SET_CONFIG
        assert channel.seal(v.SET_CONFIG_ANSWER) == answer
    with pytest.raises(HandlerFailed, match="counter"):
        GcmChannel(v.SESSION_KEY[:32], bytes(12), True).seal(b"")
    with pytest.raises(HandlerFailed, match="authentic"):
        GcmChannel(v.SESSION_KEY[:32], v.NONCE, True).open(v.SET_CONFIG_2[:-1])


def test_session_vector_of_security_0():
    session = SessionEndpoint(EspressifScenario(security=0))
    # The device writes its zero status or leaves it out; both mean success.
    assert session.write(bytes.fromhex("5203a20100")).hex() == "52050801aa0100"


def test_the_second_command_needs_the_first():
    session = SessionEndpoint(EspressifScenario(security=1))
    with pytest.raises(HandlerFailed, match="order"):
        session.write(v.CMD1)
    session.write(v.CMD0)
    session.write(v.CMD0)  # starts anew
    with pytest.raises(HandlerFailed, match="proof"):
        session.write(v.CMD1)
    with pytest.raises(HandlerFailed, match="order"):
        session.write(v.CMD1)
    with pytest.raises(HandlerFailed, match="scheme"):
        session.write(bytes.fromhex("5203a20100"))


def test_varints():
    assert varint(-55).hex() == "c9ffffffffffffffff01"
    assert Message(field(3, -55)).number(3) == 2**64 - 55
    assert Message(bytes.fromhex("0d01020304") + field(2, b"x")).bytes(2) == b"x"


@CALM
@given(st.binary(max_size=200))
def test_any_bytes_parse_or_fail_as_a_handler_does(data: bytes):
    session = SessionEndpoint(EspressifScenario(security=1))
    try:
        Message(data)
        session.write(data)
    except (HandlerFailed, InvalidMessage):
        assert session.channel is None


@pytest.mark.parametrize(
    "settings",
    [{"security": 2, "proof": ""}, {"security": 2, "firmware": "old"}, {"service": "1234"}, {"security": 3}],
)
def test_impossible_scenarios(settings: dict):
    with pytest.raises(ValueError, match=r".+"):
        EspressifScenario.model_validate(settings)


def test_no_code_is_shared_with_the_driver():
    folder = Path(installer.lab.__file__).parent
    paths = [*folder.glob("espressif/*.py"), folder / "protobuf_wire.py"]
    assert len(paths) > 5
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [n for n in names if n.startswith(("installer.provisioning", "google"))], path.name
