"""Detection of model and protocol in a sighting, by the catalogue's rules and the protocols' signatures.

Source: `facts/detection.md`. “Certain” has the meaning of that sheet. A name alone is at most “possible”. Only the
GATT table, after connecting, decides which driver is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from installer.bluetooth.advertisement_signature import AdvertisementSignature, SignatureSummary, summarise
from installer.bluetooth.sighting import Advert, Certainty, Detection, SetupState
from installer.catalogue import name_pattern
from installer.catalogue.catalogue_file import Catalogue
from installer.catalogue.model import GUIDED, Evidence, Model, Rule
from installer.text import printable

CERTAIN, LIKELY, POSSIBLE = 100, 40, 20

_UUID_BASE = "-0000-1000-8000-00805f9b34fb"


@dataclass(frozen=True)
class _RuleMatch:
    rule: Rule
    reason: str


class Detector:
    """Recognises models and protocols. Its rules and signatures are prepared once for many sightings."""

    def __init__(self, catalogue: Catalogue, signatures: Sequence[AdvertisementSignature]) -> None:
        self._models = [(model, [_Compiled(rule) for rule in model.rules]) for model in catalogue.models]
        self._generic = {model.id for model in catalogue.models if model.generic}
        self._signatures = tuple(signatures)

    def is_generic(self, model_id: str) -> bool:
        """Whether this catalogue entry stands for any device of a protocol, not for one model."""
        return model_id in self._generic

    def setup_state(self, advert: Advert) -> SetupState:
        """The set-up state in the advertisement; the first protocol that knows it decides."""
        states = (signature.setup_state(advert) for signature in self._signatures)
        return next((state for state in states if state is not SetupState.UNKNOWN), SetupState.UNKNOWN)

    def detect(self, address: str, advert: Advert) -> Detection:
        """The detection of one advertisement. Never raises."""
        summary = summarise(self._signatures, address, advert)
        scored = [self._score(model, rules, address, advert, summary) for model, rules in self._models]
        best = _best([s for s in scored if not s.model.generic])
        if best is None and not summary.own_models_only:
            best = _best([s for s in scored if s.model.generic])
        if best is None:
            note = summary.note or _unclear(scored)
            return Detection(protocol=summary.protocol, reasons=tuple(summary.reasons), note=note)
        protocol = summary.protocol
        if protocol in (None, GUIDED):
            # The protocol in the catalogue is only a hint; the GATT table decides.
            known = () if best.model.generic else best.model.protocols
            protocol = GUIDED if GUIDED in known else known[0] if len(known) == 1 else None
        reasons = [match.reason for match in best.matches] + [
            text for text in summary.reasons if text not in best.reasons
        ]
        return Detection(
            model_id=best.model.id,
            certainty=best.certainty,
            score=best.score,
            protocol=protocol,
            reasons=tuple(reasons),
            note=summary.note if best.model.generic or summary.note_always else "",
        )

    def _score(
        self, model: Model, rules: list[_Compiled], address: str, advert: Advert, summary: SignatureSummary
    ) -> _Scored:
        matches = []
        for compiled in rules:
            evidence = compiled.match(address, advert)
            if evidence is not None:
                source = f", {compiled.rule.source}" if compiled.rule.source else ""
                matches.append(
                    _RuleMatch(compiled.rule, f"{evidence} fits {model.name} (+{compiled.rule.score}{source})")
                )
        stated = any(compiled.reads_model_number(signature) for compiled in rules for signature in summary.stated_by)
        if stated and not any(match.rule.evidence is Evidence.SERVICE for match in matches):
            # It advertises the number of another model; this is stronger than its name.
            matches = []
        return _Scored(model, matches)


class _Compiled:
    """One rule, with its value parsed."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.pattern: re.Pattern[str] | None = None
        self.number = -1
        if rule.evidence is Evidence.NAME:
            self.pattern = name_pattern.compiled(rule.value)
        elif rule.evidence in (Evidence.SERVICE, Evidence.SERVICE_DATA):
            self.pattern = _uuid_pattern(rule.value)
        elif rule.evidence is Evidence.COMPANY:
            self.number = int(rule.value, 0)

    def reads_model_number(self, signature: AdvertisementSignature) -> bool:
        """Whether this rule checks a model number of the vendor with this signature."""
        return self.rule.evidence is Evidence.SERVICE and signature.model_service in self.rule.value

    def match(self, address: str, advert: Advert) -> str | None:
        """The matching part of the advertisement, in words; None if the rule does not match."""
        evidence = self.rule.evidence
        if evidence is Evidence.NAME and self.pattern is not None and advert.name:
            return f"the name “{printable(advert.name, 32)}”" if name_pattern.fits(self.pattern, advert.name) else None
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
        found = next((uuid for uuid in uuids if pattern is not None and pattern.fullmatch(uuid.lower())), None)
        return f"{what} {found}" if found is not None else None


@dataclass(frozen=True)
class _Scored:
    model: Model
    matches: list[_RuleMatch]

    @property
    def score(self) -> int:
        return sum(match.rule.score for match in self.matches)

    @property
    def reasons(self) -> set[str]:
        return {match.reason for match in self.matches}

    @property
    def certainty(self) -> Certainty:
        score = self.score
        if score < POSSIBLE:
            return Certainty.UNKNOWN
        if score < LIKELY or all(match.rule.evidence is Evidence.NAME for match in self.matches):
            return Certainty.POSSIBLE
        return Certainty.CERTAIN if score >= CERTAIN else Certainty.LIKELY


def _best(scored: list[_Scored]) -> _Scored | None:
    """The model with the highest score; None if two models share it, because nothing distinguishes them."""
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
