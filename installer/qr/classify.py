"""What the text of a QR code is: a Wi-Fi network, the set-up code of a device, or something of somebody else's. Pure.

Sources: `facts/detection.md` §5 (how each text begins), `facts/esp-provisioning.md` §9 (the JSON text of
Espressif devices), `facts/other-ble-provisioning.md` §3 to §5 (Matter, Wi-Fi Easy Connect, `WIFI:`).
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.qr import wifi_text
from installer.qr.wifi_text import WifiText
from installer.text import printable

MAX_CHARACTERS = 4296  # what the largest QR code holds at most
MAX_NAME_BYTES = 248  # a Bluetooth device name
MAX_PROOF_BYTES = 1024
VENDOR_HOST = "withings.com"
LABEL_START = "device-installer:link/"  # as `installer/batch/labels.py` writes it


class QrKind(enum.StrEnum):
    """What a text begins like; whether it is sound is another matter."""

    WIFI = "the code of a Wi-Fi network"
    DEVICE = "the set-up code of a device"
    MATTER = "the set-up code of a Matter device"
    DPP = "a Wi-Fi Easy Connect (DPP) code"
    LABEL = "the label of a device that was set up"
    VENDOR = "a link to Withings"
    URL = "a web address"
    OTHER = "some other text"


class DevicePayload(BaseModel):
    """What the QR code of an Espressif device says: whom to look for, and how to prove that it is at hand.

    `proof`: the proof of possession (security 1) or the password (security 2); it is in no repr and no dump.
    `security`: 0, 1 or 2, or None where the text leaves it to the device.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    proof: SecretStr | None = None
    username: str = ""
    transport: str = "ble"
    security: int | None = None

    @property
    def has_secret(self) -> bool:
        """Whether the text is a secret itself."""
        return self.proof is not None and bool(self.proof.get_secret_value())


@dataclass(frozen=True)
class VendorLink:
    """An address at the vendor's: that device is set up with the vendor's app."""

    url: str


def kind_of(text: str) -> QrKind:
    """What this text is by its beginning. Never raises."""
    text = text.strip()
    start = text[:8].upper()
    if start.startswith(wifi_text.PREFIX):
        return QrKind.WIFI
    if start.startswith("{"):
        return QrKind.DEVICE
    if start.startswith("MT:"):
        return QrKind.MATTER
    if start.startswith("DPP:"):
        return QrKind.DPP
    if text[: len(LABEL_START)].lower() == LABEL_START:
        return QrKind.LABEL
    host = _host(text)
    if host is None:
        return QrKind.OTHER
    return QrKind.VENDOR if host == VENDOR_HOST or host.endswith("." + VENDOR_HOST) else QrKind.URL


def classify(text: str) -> WifiText | DevicePayload | VendorLink:
    """Read the text of any QR code that is found around a device.

    Raises DEVICE_UNSUPPORTED for the codes of other systems, with what to use instead; ANSWERS_INVALID for what is
    no set-up code at all; and what `installer.qr.wifi_text.parse` raises. No error repeats the text.
    """
    text = text.strip()
    if len(text) > MAX_CHARACTERS:
        raise _wrong(f"The text is too long for a QR code ({len(text)} characters).")
    match kind_of(text):
        case QrKind.WIFI:
            return wifi_text.parse(text)
        case QrKind.DEVICE:
            return parse_device(text)
        case QrKind.VENDOR:
            return VendorLink(printable(text, 200))
        case QrKind.MATTER:
            raise _unsupported(
                "This is the set-up code of a Matter device.",
                "Set it up with a Matter app: that of your phone, of your smart home, or of the device's maker.",
            )
        case QrKind.DPP:
            raise _unsupported(
                "This is a Wi-Fi Easy Connect (DPP) code, which is handed over by Wi-Fi and not by Bluetooth.",
                "Scan it with an Android phone (Settings, Wi-Fi, add a device), or use a router that can take it.",
            )
        case QrKind.LABEL:
            raise InstallerError(
                ErrorCode.ANSWERS_INVALID,
                "This is the label of a device that was set up before.",
                "Bring it to your account with `device-installer link` and this text in quotes.",
            )
        case QrKind.URL:
            raise _wrong("This is a web address, not a set-up code.")
        case _:
            raise _wrong("This is not the text of a set-up code.")


def device_of(text: str) -> DevicePayload:
    """The device of a code's text; any other code is refused with what to do instead. Raises as `classify` does."""
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


def network_of(text: str) -> WifiText:
    """The network of a code's text; any other code is refused with what to do instead. Raises as `classify` does."""
    found = classify(text)
    if isinstance(found, WifiText):
        return found
    if isinstance(found, VendorLink):
        raise vendor_app()
    raise InstallerError(
        ErrorCode.ANSWERS_INVALID,
        "This is the set-up code of a device, not of a Wi-Fi network.",
        "It is for the page that asks for the device (--qr in a script); a network's code begins with WIFI:.",
    )


def proof_in(text: str, name: str) -> SecretStr:
    """The proof of possession in what somebody typed or pasted: the proof itself, or the code of the device `name`.

    Raises ANSWERS_INVALID for the code of another device or one without a proof, and what `device_of` raises for the
    codes of other systems. A text that only looks like a code is taken as it stands.
    """
    kind = kind_of(text)
    if kind in (QrKind.OTHER, QrKind.URL):
        return SecretStr(text)
    if kind is QrKind.DEVICE:
        try:
            found = parse_device(text)
        except InstallerError:
            return SecretStr(text)
    else:
        found = device_of(text)
    if name and found.name != name:
        raise InstallerError(
            ErrorCode.ANSWERS_INVALID,
            f"This is the code of another device: {printable(found.name, 32)}, not {printable(name, 32)}.",
            "Take the code that is on this device, or go back and choose the other one.",
        )
    if not found.has_secret or found.proof is None:
        raise InstallerError(
            ErrorCode.ANSWERS_INVALID,
            "This code is the device's, but no proof of possession is in it.",
            "Type the proof as it is printed on the device.",
        )
    return found.proof


def vendor_app() -> InstallerError:
    """DEVICE_UNSUPPORTED: what a link to the vendor is good for."""
    return InstallerError(
        ErrorCode.DEVICE_UNSUPPORTED,
        "This code is a link to Withings: such a device gets its network from the vendor's own app.",
        "Choose the device in the wizard or with --model NAME: where a device needs the app, the installer guides "
        "through it and checks the account afterwards.",
    )


def parse_device(text: str) -> DevicePayload:
    """The set-up code of an Espressif device, version 1; keys that are not known are ignored.

    Raises ANSWERS_INVALID for what is no such code, DEVICE_UNSUPPORTED for a device that is not set up over
    Bluetooth or not for Wi-Fi. No error repeats the text.
    """
    data = _json(text)
    version = data.get("ver")
    if version != "v1":
        said = f" (version {printable(version, 16)})" if isinstance(version, str) else ""
        raise _wrong(f"This is the code of a device in a form that this program does not know{said}.")
    transport = _text(data, "transport", 32).lower() or "ble"
    if transport != "ble":
        softap = transport == "softap"
        raise _unsupported(
            "This device is set up over a Wi-Fi network of its own (SoftAP), not over Bluetooth."
            if softap
            else "This device is set up neither over Bluetooth nor in another way that this program knows.",
            "Use the app of the device's maker" + (", or Espressif's “ESP SoftAP Prov” app." if softap else "."),
        )
    if _text(data, "network", 32).lower() not in ("", "wifi"):
        raise _unsupported("This device joins no Wi-Fi network (Thread).", "Use the app of the device's maker.")
    name = _text(data, "name", MAX_NAME_BYTES)
    if not name.strip() or not name.isprintable():
        raise _wrong("The set-up code names no device: the part “name” is missing or empty.")
    proof = _text(data, "pop", MAX_PROOF_BYTES) if "pop" in data else None
    security = data.get("security")
    if security is not None and (isinstance(security, bool) or security not in (0, 1, 2)):
        raise _wrong("The set-up code's part “security” is none of 0, 1 and 2.")
    return DevicePayload(
        name=name,
        proof=None if proof is None else SecretStr(proof),
        username=_text(data, "username", MAX_PROOF_BYTES),
        transport=transport,
        security=None if security is None else int(security),
    )


def _json(text: str) -> dict[str, Any]:
    if len(text) > MAX_CHARACTERS:
        raise _wrong(f"The text is too long for a QR code ({len(text)} characters).")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise _wrong("The set-up code is damaged: it is not complete JSON.") from None
    if not isinstance(data, dict):
        raise _wrong("This is not the text of a set-up code.")
    return data


def _text(data: dict[str, Any], key: str, most: int) -> str:
    value = data.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong(f"The set-up code's part “{key}” is not a text.")
    try:
        size = len(value.encode("utf-8"))
    except UnicodeEncodeError:
        raise _wrong(f"The set-up code's part “{key}” is not a possible text.") from None
    if size > most:
        raise _wrong(f"The set-up code's part “{key}” is too long: {size} bytes, at most {most} are possible.")
    return value


def _host(text: str) -> str | None:
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        return None
    return host.lower().rstrip(".") if parts.scheme.lower() in ("http", "https") and host else None


def _wrong(what: str) -> InstallerError:
    return InstallerError(
        ErrorCode.ANSWERS_INVALID,
        what,
        'A Wi-Fi code begins with WIFI: and the set-up code of an Espressif device with {"ver":"v1". '
        "Without one, choose device and network by their names.",
    )


def _unsupported(what: str, todo: str) -> InstallerError:
    return InstallerError(ErrorCode.DEVICE_UNSUPPORTED, what, todo)
