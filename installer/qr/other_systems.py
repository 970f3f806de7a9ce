"""Codes of other systems that stand on devices and in their manuals: how each is recognised, and what to use. Pure.

Sources: Matter core specification, section 5.1 (QR text, manual code with its Verhoeff digit); Wi-Fi Easy Connect
(`DPP:`); HomeKit (`X-HM://`, eight digits as 123-45-678); Thread commissioning (`v=1&&eui=…`); Zigbee install codes
(`Z:…$I:…`); Z-Wave SmartStart (digits that begin with 90); the `otpauth:` URI.
"""

from __future__ import annotations

import enum
import re


class OtherSystem(enum.Enum):
    """A system whose codes this program knows by their form only. Value: what the code is, what to do."""

    MATTER = (
        "This is the set-up code of a Matter device; this program does not set up Matter devices.",
        "Set it up with a Matter app: that of your phone, of your smart home, or of the device's maker. If the device "
        "has another code too, use that one here.",
    )
    DPP = (
        "This is a Wi-Fi Easy Connect (DPP) code, which uses Wi-Fi and not Bluetooth.",
        "Scan it with an Android phone (Settings, Wi-Fi, add a device), or use a router that can take it.",
    )
    HOMEKIT = ("This is the set-up code of a HomeKit accessory.", "Add the accessory with the Home app of an iPhone.")
    THREAD = (
        "This is the code of a Thread device, which joins no Wi-Fi network.",
        "Add it with the app of its maker, or with that of the Thread border router.",
    )
    ZIGBEE = (
        "This is the install code of a Zigbee device, which joins no Wi-Fi network.",
        "Add it with the app of your Zigbee hub.",
    )
    ZWAVE = (
        "This is the SmartStart code of a Z-Wave device, which joins no Wi-Fi network.",
        "Add it with the app of your Z-Wave hub.",
    )
    OTP = (
        "This is the key of an authenticator app (one-time passwords), not a set-up code.",
        "Scan it with that app only, and show it to nobody.",
    )

    @property
    def what(self) -> str:
        """What the code is."""
        return self.value[0]

    @property
    def todo(self) -> str:
        """What to do with it."""
        return self.value[1]


_FORMS = (
    (OtherSystem.MATTER, re.compile(r"MT:", re.IGNORECASE)),
    (OtherSystem.DPP, re.compile(r"DPP:", re.IGNORECASE)),
    (OtherSystem.HOMEKIT, re.compile(r"X-HM://|\d{3}-\d{2}-\d{3}$", re.IGNORECASE)),
    (OtherSystem.THREAD, re.compile(r"v=\d+&&eui=", re.IGNORECASE)),
    (OtherSystem.ZIGBEE, re.compile(r"(\w\$\w:[^$]*\$)*Z:[0-9a-f]{16}\$I:", re.IGNORECASE)),
    (OtherSystem.ZWAVE, re.compile(r"90\d{50,}$")),
    (OtherSystem.OTP, re.compile(r"otpauth(-migration)?://", re.IGNORECASE)),
)
_MATTER_DIGITS = re.compile(r"\d{4}[- ]?\d{3}[- ]?\d{4}([- ]?\d{5}[- ]?\d{5})?")
_PERMUTATION = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)  # of Verhoeff's check digit; applied once more at each place


def other_system(text: str) -> OtherSystem | None:
    """The system of this code, or None."""
    found = next((system for system, form in _FORMS if form.match(text)), None)
    return OtherSystem.MATTER if found is None and is_matter_digits(text) else found


def is_matter_digits(text: str) -> bool:
    """Whether the text is a manual code of Matter: 11 or 21 digits, with or without dashes, and a right check digit."""
    if not _MATTER_DIGITS.fullmatch(text):
        return False
    digits = [int(character) for character in text if character.isascii() and character.isdigit()]
    # The first digit says whether vendor and product follow, as ten more digits.
    return (digits[0] < 4) == (len(digits) == 11) and digits[0] < 8 and _verhoeff(digits) == 0


def _verhoeff(digits: list[int]) -> int:
    """The check sum of Verhoeff: 0 if the last digit is right."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        for _ in range(place % 8):
            digit = _PERMUTATION[digit]
        total = _dihedral(total, digit)
    return total


def _dihedral(a: int, b: int) -> int:
    """The product of two elements of the dihedral group of a pentagon: 0 to 4 are rotations, 5 to 9 reflections."""
    if a < 5:
        return (a + b) % 5 if b < 5 else (a + b - 5) % 5 + 5
    return (a - 5 - b) % 5 + 5 if b < 5 else (a - b) % 5
