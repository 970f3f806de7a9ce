"""The set-up code of an Espressif device: its name and its proof of possession. Pure.

Source: `facts/esp-provisioning.md` §9, the JSON text of version 1.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, SecretStr

from installer.errors import ErrorCode, InstallerError

MAX_CHARACTERS = 4296  # the capacity of the largest QR code
MAX_NAME_BYTES = 248  # a Bluetooth device name
MAX_PROOF_BYTES = 1024
_SECURITY_NUMBERS: tuple[Literal[0], Literal[1], Literal[2]] = (0, 1, 2)


class DevicePayload(BaseModel):
    """The content of the QR code: the advertised name of the device, and its proof.

    `proof`: the proof of possession (security 1) or the password (security 2); repr and dump hide it.
    `security`: 0, 1 or 2, or None if the text does not say.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    proof: SecretStr | None = None
    username: str = ""
    transport: str = "ble"
    security: Literal[0, 1, 2] | None = None

    @property
    def has_secret(self) -> bool:
        """Whether the code contains a proof."""
        return self.proof is not None and bool(self.proof.get_secret_value())


def parse_device(text: str) -> DevicePayload:
    """Parse the set-up code of an Espressif device, version 1; unknown keys are ignored.

    Raises ANSWERS_INVALID for any other text, DEVICE_UNSUPPORTED for a device that is not set up over Bluetooth or
    does not use Wi-Fi. No error repeats the text.
    """
    data = _json(text)
    version = data.get("ver")
    if version != "v1":
        known_form = isinstance(version, str) and re.fullmatch(r"v\d{1,3}", version)
        suffix = f" (version {version})" if known_form else ""
        raise not_a_setup_code(f"This is the code of a device in a form that this program does not know{suffix}.")
    transport = _text(data, "transport", 32).lower() or "ble"
    if transport != "ble":
        softap = transport == "softap"
        raise unsupported_code(
            "This device is set up over a Wi-Fi network of its own (SoftAP), not over Bluetooth."
            if softap
            else "This device is set up neither over Bluetooth nor in another way that this program knows.",
            "Use the app of the device's maker" + (", or Espressif's “ESP SoftAP Prov” app." if softap else "."),
        )
    if _text(data, "network", 32).lower() not in ("", "wifi"):
        raise unsupported_code("This device joins no Wi-Fi network (Thread).", "Use the app of the device's maker.")
    name = _text(data, "name", MAX_NAME_BYTES)
    if not name.strip() or not name.isprintable():
        raise not_a_setup_code("The set-up code names no device: the part “name” is missing or empty.")
    proof = _text(data, "pop", MAX_PROOF_BYTES) if "pop" in data else None
    security = data.get("security")
    if security is not None and (isinstance(security, bool) or security not in (0, 1, 2)):
        raise not_a_setup_code("The set-up code's part “security” is none of 0, 1 and 2.")
    return DevicePayload(
        name=name,
        proof=None if proof is None else SecretStr(proof),
        username=_text(data, "username", MAX_PROOF_BYTES),
        transport=transport,
        security=None if security is None else _SECURITY_NUMBERS[int(security)],
    )


def _json(text: str) -> dict[str, Any]:
    if len(text) > MAX_CHARACTERS:
        raise not_a_setup_code(f"The text is too long for a QR code ({len(text)} characters).")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise not_a_setup_code("The set-up code is damaged: it is not complete JSON.") from None
    if not isinstance(data, dict):
        raise not_a_setup_code("This is not the text of a set-up code.")
    return data


def _text(data: dict[str, Any], key: str, max_bytes: int) -> str:
    value = data.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise not_a_setup_code(f"The set-up code's part “{key}” is not a text.")
    try:
        size = len(value.encode("utf-8"))
    except UnicodeEncodeError:
        raise not_a_setup_code(f"The set-up code's part “{key}” is not a possible text.") from None
    if size > max_bytes:
        raise not_a_setup_code(
            f"The set-up code's part “{key}” is too long: {size} bytes, at most {max_bytes} are possible."
        )
    return value


def not_a_setup_code(what: str) -> InstallerError:
    """ANSWERS_INVALID: how set-up codes begin. `what`: what the text is instead."""
    return InstallerError(
        ErrorCode.ANSWERS_INVALID,
        what,
        'A Wi-Fi code begins with WIFI: and the set-up code of an Espressif device with {"ver":"v1". '
        "Without one, choose device and network by their names.",
    )


def unsupported_code(what: str, todo: str) -> InstallerError:
    """DEVICE_UNSUPPORTED: the code of another system."""
    return InstallerError(ErrorCode.DEVICE_UNSUPPORTED, what, todo)
