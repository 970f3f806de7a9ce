"""How a Withings device advertises (`facts/detection.md` §1, rules P10 to P13, and §2; `facts/withings-ble.md` §3)."""

from __future__ import annotations

import re

from installer.bluetooth.advertisement_signature import (
    AdvertisementSignature,
    SignatureMatch,
    SignatureResult,
    Strength,
)
from installer.bluetooth.sighting import Advert
from installer.catalogue.model import GUIDED
from installer.text import printable

COMPANY = 0x03FF
ADDRESSES = ("00:24:E4", "A4:7E:FA")
NEWER_SERVICE = "00000000-0000-5749-5448-494e47530000"
# The third group of a service UUID is the model number. The patterns are compiled when such a device is looked at.
MODEL_SERVICE = r"[0-9a-f]{8}-5749-5448-([0-9a-f]{4})-000000000000"

# Confirmed numbers of models that the catalogue has no entry for.
OTHER_MODELS = {"0037": "Steel HR", "005d": "ScanWatch", "005e": "ScanWatch 2", "005f": "ScanWatch Light"}
_OTHER_NAMES = (
    r"(?:Withings )?(Steel HR|Steel|Activit[eé]|ScanWatch(?: 2| Light)?|Body (?:Cardio|Comp|Smart|Scan|Pro)"
    r"|BPM Connect Pro|Move ECG)\b"
)
# Names that no other vendor uses; the other names count only together with another sign of the vendor.
_UNMISTAKABLE_NAMES = r"(?:Withings )?(?:Steel HR|Activit[eé]|ScanWatch)\b"


class WithingsSignature(AdvertisementSignature):
    """The vendor's services, addresses and company number. Such a device is set up with the vendor's own app."""

    protocol = GUIDED
    model_service = "-5749-5448-"

    def read(self, address: str, advert: Advert) -> SignatureResult:
        """The matches, and a note about models that this program does not set up."""
        services = {uuid.lower() for uuid in advert.services}
        numbers = sorted({match[1] for uuid in services if (match := re.fullmatch(MODEL_SERVICE, uuid))})
        is_newer, has_address = NEWER_SERVICE in services, address.upper().startswith(ADDRESSES)
        has_company = COMPANY in advert.manufacturer_data
        reasons = []
        if numbers:
            reasons.append((f"it advertises a Withings service, model number {', '.join(numbers)}", True))
        if is_newer:
            reasons.append(("it advertises the newer Withings service", True))
        if has_company:
            reasons.append(("it carries the company number of Withings, which others also send by mistake", False))
        if has_address:
            reasons.append((f"its address is one of Withings ({address.upper()[:8]})", True))
        is_withings = bool(numbers or is_newer or has_address)
        return SignatureResult(
            matches=tuple(SignatureMatch(reason, Strength.VENDOR, decides) for reason, decides in reasons),
            note=_note(advert.name or "", numbers, is_withings=is_withings, has_company=has_company),
            own_models_only=is_withings,
            states_model=bool(numbers),
        )


def _note(name: str, numbers: list[str], *, is_withings: bool, has_company: bool) -> str:
    other = next((OTHER_MODELS[number] for number in numbers if number in OTHER_MODELS), None)
    named = re.match(_OTHER_NAMES, name, re.IGNORECASE)
    unmistakable = re.match(_UNMISTAKABLE_NAMES, name, re.IGNORECASE)
    if other is None and named and (is_withings or has_company or unmistakable):
        other = printable(named[1])
    if other:
        return f"This seems to be a Withings {other}. This program does not set it up; use the vendor's app."
    if is_withings:
        return "This seems to be a Withings device, of a model that is not in the catalogue or cannot be recognised."
    return ""
