"""Which model and which protocol a sighting is: scores of the catalogue's rules, and the protocols' own marks.

Source: `facts/detection.md`. Certain is what the sheet calls certain, and a name alone is at
most possible; only the GATT table, after connecting, decides which driver is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from installer.bluetooth import advertisement_signatures
from installer.bluetooth.sighting import Advert, Certainty, Detection, SetupState
from installer.catalogue.catalogue import Catalogue, Evidence, Model, Rule
from installer.text import printable

CERTAIN, LIKELY, POSSIBLE = 100, 40, 20

_UUID_BASE = "-0000-1000-8000-00805f9b34fb"


def detect(address: str, advert: Advert, catalogue: Catalogue) -> Detection:
    """The detection of one advertisement. Never raises, whatever was advertised."""
    return Detector(catalogue).detect(address, advert)


def setup_state(advert: Advert) -> SetupState:
    """What the service data say of the set-up; else unknown.

    Improv: byte 0 (`facts/improv-ble.md` §11); Nordic: bit 0 of byte 1 (`facts/other-ble-provisioning.md` §2).
    """
    nordic = advert.service_data.get(advertisement_signatures.NORDIC, b"")
    if len(nordic) >= 3:
        return SetupState.SET_UP if nordic[1] & 0x01 else SetupState.NEW
    data = advert.service_data.get(advertisement_signatures.IMPROV_DATA, b"")
    if not data:
        return SetupState.UNKNOWN
    return SetupState.NEW if data[0] in (0x01, 0x02) else SetupState.SET_UP


@dataclass(frozen=True)
class _Hit:
    rule: Rule
    words: str


class Detector:
    """The rules of a catalogue, made ready once for many sightings."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._models = [(model, [_Compiled(rule) for rule in model.rules]) for model in catalogue.models]

    def detect(self, address: str, advert: Advert) -> Detection:
        """The detection of one advertisement. Never raises."""
        found = advertisement_signatures.read(address, advert)
        scored = [self._score(model, rules, address, advert, found) for model, rules in self._models]
        best = _best([s for s in scored if not s.model.generic])
        if best is None and not found.withings:
            # A device of this vendor is one of its models or nothing: as "any device" it got around the sync rule.
            best = _best([s for s in scored if s.model.generic])
        reasons = [mark.words for mark in found.marks]
        if best is None:
            note = found.note or _unclear(scored)
            return Detection(protocol=found.protocol, reasons=tuple(reasons), note=note)
        protocol = found.protocol
        if protocol in (None, "guided"):
            # What the catalogue says of the model is a hint like any other; the GATT table decides.
            spoken = () if best.model.generic else best.model.protocols
            protocol = "guided" if "guided" in spoken else spoken[0] if len(spoken) == 1 else None
        reasons = [hit.words for hit in best.hits] + [words for words in reasons if words not in best.words]
        return Detection(
            model_id=best.model.id,
            certainty=best.certainty,
            score=best.score,
            protocol=protocol,
            reasons=tuple(reasons),
            note=found.note if best.model.generic or found.matter else "",
        )

    def _score(
        self, model: Model, rules: list[_Compiled], address: str, advert: Advert, found: advertisement_signatures.Found
    ) -> _Scored:
        hits = []
        for compiled in rules:
            what = compiled.match(address, advert)
            if what is not None:
                source = f", {compiled.rule.source}" if compiled.rule.source else ""
                hits.append(_Hit(compiled.rule, f"{what} fits {model.name} (+{compiled.rule.score}{source})"))
        numbered = found.withings_suffixes and any(compiled.is_withings for compiled in rules)
        if numbered and not any(hit.rule.evidence is Evidence.SERVICE for hit in hits):
            # It advertises the number of another model; its name does not outweigh that.
            hits = []
        return _Scored(model, hits)


class _Compiled:
    """One rule, with its value parsed."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.pattern: re.Pattern[str] | None = None
        self.number = -1
        if rule.evidence is Evidence.NAME:
            self.pattern = re.compile(rule.value, re.IGNORECASE)
        elif rule.evidence in (Evidence.SERVICE, Evidence.SERVICE_DATA):
            self.pattern = _uuid_pattern(rule.value)
        elif rule.evidence is Evidence.COMPANY:
            self.number = int(rule.value, 0)
        self.is_withings = rule.evidence is Evidence.SERVICE and "-5749-5448-" in rule.value

    def match(self, address: str, advert: Advert) -> str | None:
        """What fits, in words; None if the rule does not."""
        evidence = self.rule.evidence
        if evidence is Evidence.NAME and self.pattern is not None and advert.name:
            return f"the name “{printable(advert.name, 32)}”" if self.pattern.match(advert.name) else None
        if evidence is Evidence.SERVICE:
            return self._uuid(advert.services, "service")
        if evidence is Evidence.SERVICE_DATA:
            return self._uuid(advert.service_data, "service data")
        if evidence is Evidence.COMPANY and self.number in advert.manufacturer_data:
            return f"company number 0x{self.number:04X}"
        if evidence is Evidence.ADDRESS and address.upper().startswith(self.rule.value.upper()):
            return f"the address {self.rule.value.upper()}…"
        return None

    def _uuid(self, uuids: Iterable[str], what: str) -> str | None:
        pattern = self.pattern
        hit = next((uuid for uuid in uuids if pattern is not None and pattern.fullmatch(uuid.lower())), None)
        return f"{what} {hit}" if hit is not None else None


@dataclass(frozen=True)
class _Scored:
    model: Model
    hits: list[_Hit]

    @property
    def score(self) -> int:
        return sum(hit.rule.score for hit in self.hits)

    @property
    def words(self) -> set[str]:
        return {hit.words for hit in self.hits}

    @property
    def certainty(self) -> Certainty:
        score = self.score
        if score < POSSIBLE:
            return Certainty.UNKNOWN
        if score < LIKELY or all(hit.rule.evidence is Evidence.NAME for hit in self.hits):
            return Certainty.POSSIBLE
        return Certainty.CERTAIN if score >= CERTAIN else Certainty.LIKELY


def _best(scored: list[_Scored]) -> _Scored | None:
    """The clear winner. Two models with the same score are told apart by nothing, so neither is claimed."""
    ranked = sorted(scored, key=lambda s: -s.score)
    if not ranked or ranked[0].certainty is Certainty.UNKNOWN:
        return None
    if len(ranked) > 1 and ranked[1].score == ranked[0].score:
        return None
    return ranked[0]


def _unclear(scored: list[_Scored]) -> str:
    top = max((s.score for s in scored), default=0)
    fits = [s.model.name for s in scored if s.score == top >= POSSIBLE]
    return f"This could be: {', '.join(fits)}." if fits else ""


def _uuid_pattern(value: str) -> re.Pattern[str]:
    """A UUID of 4, 8 or 32 digits as a pattern of its 128-bit text; an `x` stands for any digit."""
    text = value.lower().removeprefix("0x")
    if len(text) in (4, 8):
        text = text.rjust(8, "0") + _UUID_BASE
    return re.compile(re.escape(text).replace("x", "[0-9a-f]"))
