"""Fuzz targets of Espressif provisioning: its messages, and the handshake and messages of a session."""

from __future__ import annotations

import copy
from functools import cache, partial

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import SecretStr

from installer.provisioning.driver_errors import ProtocolError
from installer.provisioning.espressif import codec as espressif
from installer.provisioning.espressif.security import Security, Security0, Security1, Security2
from tests.fuzz.targets import Target, inputs
from tests.installer.provisioning.espressif import vectors


def _security1() -> Security1:
    private = X25519PrivateKey.from_private_bytes(vectors.CLIENT_PRIVATE)
    session = Security1(SecretStr(vectors.POP), private=private)
    session.start()
    return session


@cache
def _security2_session(*, established: bool) -> Security2:
    """A session of security 2 after the device's first response; `established`: after the second one, too."""
    session = Security2(vectors.USERNAME, SecretStr(vectors.PASSWORD), private=vectors.A_PRIVATE)
    session.start()
    session.answer(vectors.s2_resp0())
    if established:
        session.answer(vectors.S2_RESP1)
        session.encrypt(vectors.SET_CONFIG)
    return session


def _answers(session: Security, *responses: bytes) -> None:
    """The responses of a device, one after the other."""
    for response in responses:
        session.answer(response)


def _security1_established(data: bytes) -> None:
    session = _security1()
    _answers(session, vectors.RESP0, vectors.RESP1)
    session.encrypt(vectors.SET_CONFIG)
    espressif.read_set_config(session.decrypt(data))


def _security2_first(data: bytes) -> None:
    session = Security2(vectors.USERNAME, SecretStr(vectors.PASSWORD), private=vectors.A_PRIVATE)
    # The public key is always the same: made anew, it would cost ten milliseconds each time.
    session._srp = copy.copy(_security2_session(established=False)._srp)
    session.answer(data)


TARGETS = {
    "espressif": Target(
        [
            espressif.read_version,
            espressif.read_scan_start,
            espressif.read_scan_status,
            partial(espressif.read_scan_results, count=4),
            espressif.read_set_config,
            espressif.read_apply_config,
            espressif.read_status,
            espressif.read_ctrl_reset,
            espressif.read_ctrl_reprov,
        ],
        ProtocolError,
        seeds=[
            *inputs(
                0,
                b'{\n\t"prov":\t{\n\t\t"ver":\t"netprov-v1.2",\n\t\t"sec_ver":\t2,\n\t\t"sec_patch_ver":\t1,\n'
                b'\t\t"cap":\t["wifi_prov", "wifi_scan"]\n\t},\n\t"app":\t{"ver":"2.0", "cap":["x"]}\n}',
                b'{"prov":{"ver":"v1.1","cap":["no_pop","wifi_scan"]}}',
                b"V0.1",
            ),
            *inputs(1, "08015a00"),
            *inputs(2, "08036a0408011001", "08036a00"),
            *inputs(3, vectors.ENTRY),
            *inputs(4, "08036a00", "08036a020804"),
            *inputs(5, "08057a00"),
            *inputs(
                6, vectors.CONNECTED, "08015a021001", "08015a0410035000", "08015a0410035001", "08015a06100162020802"
            ),
            *inputs(7, "08026200"),
            *inputs(8, "08047200"),
        ],
    ),
    "espressif-session": Target(
        [
            lambda data: _answers(Security0(), data),
            lambda data: _answers(_security1(), data),
            lambda data: _answers(_security1(), vectors.RESP0, data),
            _security1_established,
            _security2_first,
            lambda data: _answers(copy.copy(_security2_session(established=False)), data),
            lambda data: copy.copy(_security2_session(established=True)).decrypt(data),
        ],
        ProtocolError,
        seeds=[
            *inputs(0, "52050801aa0100"),
            *inputs(1, vectors.RESP0),
            *inputs(2, vectors.RESP1),
            *inputs(3, vectors.SET_CONFIG_ANSWER_1, bytes(40)),
            *inputs(4, vectors.s2_resp0(), vectors.s2_resp0(salt=b"s"), vectors.s2_resp0(public=b"\x05")),
            *inputs(5, vectors.S2_RESP1),
            *inputs(6, vectors.SET_CONFIG_ANSWER_2_PATCH_1),
        ],
    ),
}
