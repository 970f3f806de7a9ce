"""Classifies the text of a QR code: a Wi-Fi network, the set-up code of a device, or another system's code. Pure.

Sources: `facts/detection.md` §5 (how each text begins), `facts/esp-provisioning.md` §9 (the JSON text of
Espressif devices), `facts/other-ble-provisioning.md` §5 (`WIFI:`).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from pydantic import SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.qr import wifi_text
from installer.qr.code_in_address import code_in_address, host_of
from installer.qr.device_setup_code import (
    MAX_CHARACTERS,
    DevicePayload,
    not_a_setup_code,
    parse_device,
    unsupported_code,
)
from installer.qr.other_systems import other_system
from installer.text import printable
from installer.text.written_by_people import without_mark
from installer.wifi.card_readings import CardReadings

VENDOR_HOST = "withings.com"
LABEL_START = "device-installer:link/"  # as `installer/batch/labels.py` writes it


class QrKind(enum.StrEnum):
    """The kind of a text, from its beginning; the rest may be invalid."""

    WIFI = "the code of a Wi-Fi network"
    DEVICE = "the set-up code of a device"
    OTHER_SYSTEM = "a code of another system, such as Matter"
    LABEL = "the label of a device that was set up"
    VENDOR = "a link to Withings"
    URL = "a web address"
    OTHER = "some other text"


@dataclass(frozen=True)
class VendorLink:
    """A link to the vendor: the vendor's app sets such a device up."""

    url: str


def code_of(text: str) -> str:
    """The code itself: without white space and a byte order mark, and out of the address that a reader's page has."""
    text = text.strip("\ufeff \t\r\n")
    return code_in_address(text) or text


def kind_of(text: str) -> QrKind:
    """The kind of this text, from its beginning. Never raises."""
    text = code_of(text)
    start = text[:8].upper()
    if start.startswith(wifi_text.PREFIX):
        return QrKind.WIFI
    if start.startswith("{"):
        return QrKind.DEVICE
    if other_system(text) is not None:
        return QrKind.OTHER_SYSTEM
    if text[: len(LABEL_START)].lower() == LABEL_START:
        return QrKind.LABEL
    host = host_of(text)
    if host is None:
        return QrKind.OTHER
    return QrKind.VENDOR if host == VENDOR_HOST or host.endswith("." + VENDOR_HOST) else QrKind.URL


def classify(text: str) -> CardReadings | DevicePayload | VendorLink:
    """Read the text of any QR code.

    Raises DEVICE_UNSUPPORTED for the codes of other systems, with what to use instead; ANSWERS_INVALID for a text
    that is not a set-up code; the errors of `installer.qr.wifi_text.parse`. No error repeats the text.
    """
    text = code_of(text)
    if len(text) > MAX_CHARACTERS:
        raise not_a_setup_code(f"The text is too long for a QR code ({len(text)} characters).")
    system = other_system(text)
    if system is not None:
        raise unsupported_code(system.what, system.todo)
    match kind_of(text):
        case QrKind.WIFI:
            return wifi_text.parse(text)
        case QrKind.DEVICE:
            return parse_device(text)
        case QrKind.VENDOR:
            return VendorLink(printable(text, 200))
        case QrKind.LABEL:
            raise InstallerError(
                ErrorCode.ANSWERS_INVALID,
                "This is the label of a device that was set up before.",
                "Link it to your account with `device-installer link` and this text in quotes.",
            )
        case QrKind.URL:
            raise not_a_setup_code("This is a web address, not a set-up code.")
        case _:
            raise not_a_setup_code("This is not the text of a set-up code.")


def device_of(text: str) -> DevicePayload:
    """The device of a code's text. Raises ANSWERS_INVALID for a network's code, and the errors of `classify`."""
    found = classify(text)
    if isinstance(found, DevicePayload):
        return found
    if isinstance(found, VendorLink):
        raise vendor_app()
    raise InstallerError(
        ErrorCode.ANSWERS_INVALID,
        "This is the code of a Wi-Fi network, not of a device.",
        "Choose the device first; this code is for the page that asks for the network (--wifi-qr in a script).",
    )


def network_of(text: str) -> CardReadings:
    """The readings of a network's code. Raises ANSWERS_INVALID for a device's code, and the errors of `classify`."""
    found = classify(text)
    if isinstance(found, CardReadings):
        return found
    if isinstance(found, VendorLink):
        raise vendor_app()
    raise InstallerError(
        ErrorCode.ANSWERS_INVALID,
        "This is the set-up code of a device, not of a Wi-Fi network.",
        "It is for the page that asks for the device (--qr in a script); a network's code begins with WIFI:.",
    )


def vendor_app() -> InstallerError:
    """DEVICE_UNSUPPORTED: a link to the vendor, with what to do instead."""
    return InstallerError(
        ErrorCode.DEVICE_UNSUPPORTED,
        "This code is a link to Withings: such a device gets its network from the vendor's own app.",
        "Choose the device in the wizard or with --model NAME: where a device needs the app, the installer guides "
        "through it and checks the account afterwards.",
    )


def proof_in(text: str, name: str) -> SecretStr | DevicePayload:
    """The proof of possession from a typed or pasted text: the proof itself, or the code of the device `name`.

    The code may state more than the proof. Raises ANSWERS_INVALID for the code of another device or without a proof;
    the errors of `device_of` for other codes. A text that only looks like a code is used as the proof.
    """
    text = without_mark(text)
    kind = kind_of(text)
    if kind in (QrKind.OTHER, QrKind.URL) or text[:1].isdigit():  # digits may be a proof, whatever else they are
        return SecretStr(text)
    if kind is QrKind.DEVICE:
        try:
            found = parse_device(code_of(text))
        except InstallerError:
            return SecretStr(text)
    else:
        found = device_of(text)
    if name and found.name != name:
        raise InstallerError(
            ErrorCode.ANSWERS_INVALID,
            f"This is the code of another device: {printable(found.name, 32)}, not {printable(name, 32)}.",
            "Use the code that is on this device, or go back and choose the other one.",
        )
    if not found.has_secret or found.proof is None:
        raise InstallerError(
            ErrorCode.ANSWERS_INVALID,
            "This is the device's code, but it contains no proof of possession.",
            "Type the proof as it is printed on the device.",
        )
    return found
