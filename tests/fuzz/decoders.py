"""The decoders of what devices, clouds and QR codes say, each with the errors that it may raise."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from datetime import datetime
from functools import cache, partial
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import SecretStr

from installer.batch import labels, plan_check, plan_reader
from installer.bluetooth.hci import advertising_data, advertising_reports
from installer.catalogue.catalogue import Catalogue, Profile, load
from installer.cloud import response as envelope
from installer.errors import InstallerError
from installer.health_profiles import characteristics as health
from installer.health_profiles import device_clock
from installer.measurement import Measurement
from installer.notifications import notification
from installer.provisioning.espressif import codec as espressif
from installer.provisioning.espressif.exceptions import ProtocolFault
from installer.provisioning.espressif.security import Security, Security0, Security1, Security2
from installer.provisioning.improv import codec as improv
from installer.provisioning.nordic import codec as nordic
from installer.provisioning.shelly import codec as shelly
from installer.provisioning.withings import codec as withings
from installer.qr.classify import classify
from tests.installer.provisioning.espressif import vectors


class Target:
    """A fuzz target: the first byte chooses one of `functions`, the rest is its input. `errors` are its own."""

    def __init__(self, functions: list[Callable[[bytes], Any]], *errors: type[Exception]) -> None:
        self.functions, self.errors = functions, errors

    def accepts(self, data: bytes) -> bool:
        """Whether the input is read without one of the decoder's own errors. Raises what it may not raise."""
        try:
            self.functions[data[0] % len(self.functions)](data[1:])
        except self.errors:
            return False
        return True

    def __call__(self, data: bytes) -> None:
        if data:
            self.accepts(data)


def _shelly(data: bytes) -> None:
    result = shelly.decode_answer(data).result
    for read in (shelly.read_info, shelly.read_networks, shelly.read_status):
        with contextlib.suppress(shelly.Malformed):
            read(result)


def _withings(data: bytes) -> None:
    reader = withings.decode(data)
    withings.refusal(reader)
    for item in reader.items:
        for read in (withings.reply, withings.challenge_mac, withings.battery):
            with contextlib.suppress(withings.FrameError):
                read(item.data)


def _assembler(data: bytes) -> None:
    """Notifications of a device, cut where the first byte says; what is complete is read."""
    if not data:
        return
    size, rest = data[0] % 40 + 1, data[1:]
    assembler = withings.Assembler()
    for at in range(0, len(rest), size):
        with contextlib.suppress(withings.FrameError):
            for found in assembler.feed(rest[at : at + size]):
                withings.refusal(found)
    assert assembler.waiting <= withings.MAX_OBJECTS + 5


def _security1() -> Security1:
    private = X25519PrivateKey.from_private_bytes(vectors.CLIENT_PRIVATE)
    session = Security1(SecretStr(vectors.POP), private=private)
    session.start()
    return session


@cache
def _proved(*, standing: bool) -> Security2:
    """A session of security 2 with the device's first response taken; `standing`: with the second one, too."""
    session = Security2(vectors.USERNAME, SecretStr(vectors.PASSWORD), private=vectors.A_PRIVATE)
    session.start()
    session.answer(vectors.s2_resp0())
    if standing:
        session.answer(vectors.S2_RESP1)
        session.encrypt(vectors.SET_CONFIG)
    return session


def _answers(session: Security, *responses: bytes) -> None:
    """The responses of a device, one after the other."""
    for response in responses:
        session.answer(response)


def _security1_standing(data: bytes) -> None:
    session = _security1()
    _answers(session, vectors.RESP0, vectors.RESP1)
    session.encrypt(vectors.SET_CONFIG)
    espressif.read_set_config(session.decrypt(data))


def _security2_first(data: bytes) -> None:
    session = Security2(vectors.USERNAME, SecretStr(vectors.PASSWORD), private=vectors.A_PRIVATE)
    # The public key is always the same: made anew, it would cost ten milliseconds each time.
    session._srp = copy.copy(_proved(standing=False)._srp)
    session.answer(data)


def _health_parts(profile: Profile, data: bytes) -> None:
    """Messages of a device, cut where the first byte says: what comes in parts is put together."""
    if not data:
        return
    size, rest = data[0] % 30 + 1, data[1:]
    parts = health.Parts(profile)
    for at in range(0, len(rest), size):
        with contextlib.suppress(health.CodecError):
            for told in parts.feed(rest[at : at + size]):
                assert told.measurement.readings
                assert told.raw in rest
    with contextlib.suppress(health.CodecError):
        parts.rest()


def _current_time(data: bytes) -> None:
    now = datetime(2026, 11, 25, 8, 0, 0)
    measured = Measurement(readings=(), device_time=now)
    device_clock.read(data, now.astimezone()).timed(measured, now.astimezone())


def classify_bytes(data: bytes) -> None:
    """The text of a QR code."""
    classify(data.decode("utf-8", "surrogateescape"))


def label(data: bytes) -> None:
    """The text of a label's code."""
    text = data.decode("utf-8", "surrogateescape")
    labels.parse(text)
    labels.is_code(text)


def _plan(read: Callable[[bytes, plan_reader.RawPlan], None], data: bytes) -> None:
    plan = plan_reader.RawPlan("fuzz.csv", "fuzz")
    read(data, plan)
    plan_check.check(plan, plan_check.Known(_catalogue(), {}, ["default"]))


@cache
def _catalogue() -> Catalogue:
    return load()


DECODERS: dict[str, Target] = {
    "improv": Target(
        [
            improv.decode_frame,
            improv.decode_state,
            improv.decode_error,
            improv.decode_capabilities,
            improv.decode_service_data,
            improv.decode_redirect,
            improv.decode_info,
            improv.decode_networks,
            improv.unpack_strings,
        ],
        improv.CodecError,
    ),
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
        ProtocolFault,
    ),
    "espressif-session": Target(
        [
            lambda data: _answers(Security0(), data),
            lambda data: _answers(_security1(), data),
            lambda data: _answers(_security1(), vectors.RESP0, data),
            _security1_standing,
            _security2_first,
            lambda data: _answers(copy.copy(_proved(standing=False)), data),
            lambda data: copy.copy(_proved(standing=True)).decrypt(data),
        ],
        ProtocolFault,
    ),
    "shelly": Target([_shelly, shelly.decode_length], shelly.Malformed, shelly.Refused),
    "nordic": Target(
        [
            nordic.read_version,
            nordic.read_result,
            *(partial(nordic.read_response, operation=operation) for operation in nordic.Operation),
        ],
        nordic.Malformed,
        nordic.Refused,
    ),
    "withings": Target([_withings], withings.FrameError),
    "withings-assembler": Target([_assembler]),
    "health": Target(
        [
            *(partial(health.decode, profile) for profile in Profile),
            partial(_health_parts, Profile.BODY_COMPOSITION),
            partial(_health_parts, Profile.STEPS),
            health.vouched,
            partial(health.site, Profile.HEART_RATE),
            _current_time,
        ],
        health.CodecError,
    ),
    "advertisement": Target([advertising_data.parse, advertising_reports.parse_report]),
    "envelope": Target([envelope.parse], InstallerError),
    "qr": Target([classify_bytes], InstallerError),
    "notification": Target([notification.parse]),
    "label": Target([label], InstallerError),
    "plan": Target([partial(_plan, plan_reader._table), partial(_plan, plan_reader._toml)], InstallerError),
}
