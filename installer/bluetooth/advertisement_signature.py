"""Advertisement signatures: how to recognise a protocol or a vendor before connecting.

Each protocol declares its own (`installer/provisioning/<protocol>/advertisement_signature.py`). It is only a hint:
the GATT table decides after connecting. Source of the rules: `facts/detection.md` §1.
"""

from __future__ import annotations

import abc
import enum
from dataclasses import dataclass, field
from typing import ClassVar

from installer.bluetooth.sighting import Advert, SetupState


class Strength(enum.IntEnum):
    """What a match shows. The lowest number wins if an advertisement matches several protocols."""

    PROTOCOL = 0  # the protocol's own service, service data or company number
    NAME = 1  # only a name that examples of the protocol use
    VENDOR = 2  # who made the device


@dataclass(frozen=True)
class SignatureMatch:
    """One match. `reason`: in words for the user. `decides`: false for a hint that other vendors also give."""

    reason: str
    strength: Strength = Strength.PROTOCOL
    decides: bool = True


@dataclass(frozen=True)
class SignatureResult:
    """What one signature finds in one advertisement.

    `note`: a sentence for the user. `note_always`: show it even if a model was recognised. `own_models_only`: the
    device is one of the vendor's models or unknown; it never counts as a generic device, as that would bypass the sync
    rule. `states_model`: a service UUID of the vendor contains the model number.
    """

    matches: tuple[SignatureMatch, ...] = ()
    note: str = ""
    note_always: bool = False
    own_models_only: bool = False
    states_model: bool = False


class AdvertisementSignature(abc.ABC):
    """Base class. `protocol`: the protocol that a deciding match shows; None if this program does not speak it.

    `model_service`: the part that all service UUIDs with the vendor's model numbers contain; empty if there are none.
    """

    protocol: ClassVar[str | None] = None
    model_service: ClassVar[str] = ""

    @abc.abstractmethod
    def read(self, address: str, advert: Advert) -> SignatureResult:
        """The matches in this advertisement. Never raises, for any advertisement."""

    def setup_state(self, advert: Advert) -> SetupState:
        """Whether the device is new or already set up, if the advertisement says it."""
        return SetupState.UNKNOWN


@dataclass
class SignatureSummary:
    """The results of all signatures for one advertisement. `protocol`: that of the strongest deciding match."""

    protocol: str | None = None
    reasons: list[str] = field(default_factory=list)
    note: str = ""
    note_always: bool = False
    own_models_only: bool = False
    stated_by: list[AdvertisementSignature] = field(default_factory=list)


def summarise(signatures: tuple[AdvertisementSignature, ...], address: str, advert: Advert) -> SignatureSummary:
    """The results of all `signatures`, the strongest match first; equal ones in the order of `signatures`."""
    summary = SignatureSummary()
    found: list[tuple[SignatureMatch, AdvertisementSignature]] = []
    for signature in signatures:
        result = signature.read(address, advert)
        found += [(match, signature) for match in result.matches]
        summary.note = result.note or summary.note
        summary.note_always = summary.note_always or result.note_always
        summary.own_models_only = summary.own_models_only or result.own_models_only
        if result.states_model:
            summary.stated_by.append(signature)
    found.sort(key=lambda pair: pair[0].strength)
    summary.reasons = [match.reason for match, _ in found]
    deciding = (signature.protocol for match, signature in found if match.decides and signature.protocol is not None)
    summary.protocol = next(deciding, None)
    return summary
