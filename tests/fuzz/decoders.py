"""The decoders of what devices, clouds and QR codes say, each with the errors that it may raise."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

from installer.account import envelope
from installer.bluetooth.hci import adverts, reports
from installer.catalog import Profile
from installer.errors import InstallerError
from installer.health import codec as health
from installer.provisioning.espressif import codec as espressif
from installer.provisioning.espressif.faults import ProtocolFault
from installer.provisioning.improv import codec as improv
from installer.provisioning.nordic import codec as nordic
from installer.provisioning.shelly import codec as shelly
from installer.provisioning.withings import frames as withings
from installer.qr_text import classify


def _each(functions: list[Callable[[bytes], Any]], *errors: type[Exception]) -> Callable[[bytes], None]:
    """The first byte chooses the function, the rest is its input."""

    def target(data: bytes) -> None:
        if data:
            with contextlib.suppress(*errors):
                functions[data[0] % len(functions)](data[1:])

    return target


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


def _qr(data: bytes) -> None:
    with contextlib.suppress(InstallerError):
        classify(data.decode("utf-8", "surrogateescape"))


DECODERS: dict[str, Callable[[bytes], None]] = {
    "improv": _each(
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
    "espressif": _each(
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
    "shelly": _each([_shelly, shelly.decode_length], shelly.Malformed, shelly.Refused),
    "nordic": _each(
        [
            nordic.read_version,
            nordic.read_result,
            *(partial(nordic.read_response, operation=operation) for operation in nordic.Operation),
        ],
        nordic.Malformed,
        nordic.Refused,
    ),
    "withings": _each([_withings], withings.FrameError),
    "health": _each([partial(health.decode, profile) for profile in Profile], health.CodecError),
    "advertisement": _each([adverts.parse, reports.parse_report]),
    "envelope": _each([envelope.parse], InstallerError),
    "qr": _qr,
}
