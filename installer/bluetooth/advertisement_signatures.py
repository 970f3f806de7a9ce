"""The marks of the protocols and of the vendor in an advertisement, independent of any catalogue.

Source: `facts/detection.md` §1 (rules P1 to P13) and §2 (models that are recognised only to say so).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from installer.bluetooth.sighting import Advert
from installer.text import printable

_BASE = "-0000-1000-8000-00805f9b34fb"
IMPROV = "00467768-6228-2272-4663-277478268000"
IMPROV_DATA = "00004677" + _BASE
ESPRESSIF = "1775244d-6b43-439b-877c-060f2d9bed07"
ESPRESSIF_EXAMPLE = "021a9004-0382-4aea-bff4-6b3f1c5adfb4"
ESPRESSIF_OLD = "0000ffff" + _BASE
NORDIC = "14387800-130c-49e7-b877-2881c89cb258"
SHELLY_SERVICE = "5f6d4f53-5f52-5043-5f53-56435f49445f"
SHELLY_COMPANY = 0x0BA9
MATTER = "0000fff6" + _BASE
WITHINGS_COMPANY = 0x03FF
WITHINGS_ADDRESSES = ("00:24:E4", "A4:7E:FA")
WITHINGS_NEW_SCHEME = "00000000-0000-5749-5448-494e47530000"
_WITHINGS_SCHEME = re.compile(r"[0-9a-f]{8}-5749-5448-([0-9a-f]{4})-000000000000")

# Confirmed numbers of models that this program has no entry for.
OTHER_SUFFIXES = {"0037": "Steel HR", "005d": "ScanWatch", "005e": "ScanWatch 2", "005f": "ScanWatch Light"}
_OTHER_NAMES = re.compile(
    r"(?:Withings )?(Steel HR|Steel|Activit[eé]|ScanWatch(?: 2| Light)?|Body (?:Cardio|Comp|Smart|Scan|Pro)"
    r"|BPM Connect Pro|Move ECG)\b",
    re.IGNORECASE,
)
_SPEAKING_NAMES = re.compile(r"(?:Withings )?(?:Steel HR|Activit[eé]|ScanWatch)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Mark:
    """One mark, in words."""

    rule: str
    words: str


@dataclass
class Found:
    """All marks. `protocol`: the strongest one's; `withings_suffixes`: the model numbers in services of the vendor;
    `withings`: whether there is a mark of the vendor that no other device has.
    """

    marks: list[Mark] = field(default_factory=list)
    protocol: str | None = None
    withings_suffixes: frozenset[str] = frozenset()
    withings: bool = False
    matter: bool = False
    note: str = ""

    def add(self, rule: str, words: str, protocol: str | None = None) -> None:
        """Note a mark; the first one with a protocol decides."""
        self.marks.append(Mark(rule, words))
        self.protocol = self.protocol or protocol


def read(address: str, advert: Advert) -> Found:
    """The marks of one advertisement. Never raises."""
    found = Found()
    services = {uuid.lower() for uuid in advert.services}
    _open_protocols(found, advert, services)
    _withings(found, address, advert, services)
    if MATTER in services or MATTER in advert.service_data:
        found.matter = True
        found.add("P9", "it advertises Matter")
        found.note = "This device is set up with Matter: use the app of your Matter system."
    return found


def _open_protocols(found: Found, advert: Advert, services: set[str]) -> None:
    """P1 to P8, in the order of precedence."""
    name = advert.name or ""
    is_prov = name.startswith("PROV_")
    if IMPROV in services:
        found.add("P1", "it advertises the Improv Wi-Fi service", "improv")
    if len(advert.service_data.get(IMPROV_DATA, b"")) >= 2:
        found.add("P2", "it advertises the state of Improv Wi-Fi", "improv")
    if ESPRESSIF in services:
        found.add("P3", "it advertises Espressif's provisioning service", "espressif")
    if ESPRESSIF_EXAMPLE in services:
        found.add("P4", "it advertises the provisioning service of Espressif's example", "espressif")
    if is_prov and ESPRESSIF_OLD in services:
        found.add("P5", "it advertises Espressif's old provisioning service", "espressif")
    if NORDIC in advert.service_data or NORDIC in services:
        found.add("P8", "it advertises Nordic's Wi-Fi provisioning", "nordic")
    if SHELLY_COMPANY in advert.manufacturer_data or name.lower().startswith("shelly") or SHELLY_SERVICE in services:
        found.add("P7", "it is a Shelly", "shelly")
    if is_prov:
        found.add("P6", "its name starts with PROV_, as in Espressif's example", "espressif")


def _withings(found: Found, address: str, advert: Advert, services: set[str]) -> None:
    """P10 to P13, and a polite word about models that are not set up here."""
    suffixes = {match[1] for uuid in services if (match := _WITHINGS_SCHEME.fullmatch(uuid))}
    found.withings_suffixes = frozenset(suffixes)
    newer, own_address = WITHINGS_NEW_SCHEME in services, address.upper().startswith(WITHINGS_ADDRESSES)
    company = WITHINGS_COMPANY in advert.manufacturer_data
    if suffixes:
        found.add("P10", f"it advertises a Withings service, model number {', '.join(sorted(suffixes))}", "guided")
    if newer:
        found.add("P11", "it advertises the newer Withings service", "guided")
    if company:
        found.add("P12", "it carries the company number of Withings, which others send by mistake, too")
    if own_address:
        found.add("P13", f"its address is one of Withings ({address.upper()[:8]})", "guided")
    strong = found.withings = bool(suffixes or newer or own_address)
    other = next((OTHER_SUFFIXES[s] for s in sorted(suffixes) if s in OTHER_SUFFIXES), None)
    named = _OTHER_NAMES.match(advert.name or "")
    if other is None and named and (strong or company or _SPEAKING_NAMES.match(advert.name or "")):
        other = printable(named[1])
    if other:
        found.note = f"This seems to be a Withings {other}. This program does not set it up; use the vendor's app."
    elif strong:
        found.note = "This seems to be a Withings device, of a model that is not in the catalogue or not recognisable."
