"""What the pairing of a device asks a person (Core Specification vol. 3 part H §2.3.5), also after a lost bond."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from installer.answers import StepKey
from installer.flow.questions import Question

if TYPE_CHECKING:
    from pydantic import SecretStr

    from installer.catalogue.model import Model


@dataclass(kw_only=True, eq=False, repr=False)
class AskPasskey(Question):
    """The six digits that the device shows? → `SecretStr`. Withdrawn when the device ends the pairing.

    `seconds`: how long it waits for them.
    """

    step: StepKey = StepKey.FIND
    model: Model
    name: str
    address: str
    seconds: float


@dataclass(kw_only=True, eq=False, repr=False)
class CompareNumbers(Question):
    """Does the device show this number, too? → bool. Withdrawn when the device ends the pairing."""

    step: StepKey = StepKey.FIND
    model: Model
    name: str
    address: str
    number: str
    seconds: float


@dataclass(kw_only=True, eq=False, repr=False)
class ShowPasskey(Question):
    """The person types these six digits on the device → True when done. Withdrawn when the pairing has ended."""

    step: StepKey = StepKey.FIND
    model: Model
    name: str
    address: str
    passkey: SecretStr
    seconds: float


@dataclass(kw_only=True, eq=False, repr=False)
class RenewBond(Question):
    """Pair a device anew that no longer has its keys? → True, or False: the usual answer. `problem` says what is so."""

    step: StepKey = StepKey.FIND
    model: Model
    name: str
    address: str

    @property
    def consequence(self) -> str:
        """What to check first, in plain words."""
        return (
            "Yes, if you reset the device, or paired it with many others. If you did neither, another device may be "
            "pretending to be this one: it would get what you send to it."
        )
