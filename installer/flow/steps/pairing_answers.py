"""Who answers when the device of an installation wants to be paired: given digits, or a person; and a lost bond.

The digits that a device shows are new each time. So they stand in no answers file and in no record, and a given passkey
is read only when the device shows it: its file may be a named pipe that is filled then.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pydantic import SecretStr

from installer.bluetooth.pairing import PERSON_SECONDS, is_passkey, pairing_needed
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import Notice
from installer.flow.pairing_questions import AskPasskey, CompareNumbers, RenewBond, ShowPasskey
from installer.flow.situation import Situation

if TYPE_CHECKING:
    from installer.bluetooth.adapter import Adapter


class PairingAnswers:
    """Implements `installer.bluetooth.pairing.PairingDialog` for one installation."""

    def __init__(self, situation: Situation) -> None:
        self._situation = situation
        self._shown: asyncio.Future[object] | None = None

    async def passkey(self, name: str) -> str:
        """The given passkey, once; else a person's. Raises PAIRING_NEEDED, SECRET_UNAVAILABLE, ANSWERS_INVALID."""
        situation, given = self._situation, self._situation.options.passkey
        if given is not None and not situation.passkey_used:
            situation.passkey_used = True
            digits = (await given.fetch_within(PERSON_SECONDS, "passkey")).get_secret_value().strip()
            if not is_passkey(digits):
                raise InstallerError(
                    ErrorCode.ANSWERS_INVALID,
                    f"What {given.place} holds is no passkey of a device.",
                    "A passkey is six digits, as the device shows them.",
                )
            return digits
        self._require_person(name)
        model, address = situation.chosen_model, situation.chosen_sighting.address
        typed: SecretStr = await situation.front_end.ask(
            AskPasskey(model=model, name=name, address=address, seconds=PERSON_SECONDS)
        )
        return typed.get_secret_value()

    async def same_number(self, name: str, number: str) -> bool:
        """A person's answer. Raises PAIRING_NEEDED."""
        self._require_person(name)
        situation = self._situation
        model, address = situation.chosen_model, situation.chosen_sighting.address
        question = CompareNumbers(model=model, name=name, address=address, number=number, seconds=PERSON_SECONDS)
        return (await situation.front_end.ask(question)) is True

    async def allow(self, name: str) -> bool:
        """Yes: it is the device that was chosen."""
        return True

    def show_passkey(self, name: str, passkey: str) -> None:
        """Show it to a person until the pairing has ended. Raises PAIRING_NEEDED."""
        self._require_person(name)
        situation = self._situation
        model, address = situation.chosen_model, situation.chosen_sighting.address
        question = ShowPasskey(
            model=model, name=name, address=address, passkey=SecretStr(passkey), seconds=PERSON_SECONDS
        )
        self._shown = asyncio.ensure_future(situation.front_end.ask(question))

    def pairing_ended(self, *, paired: bool) -> None:
        """Remove what is shown; tell that the device is paired. Raises what the person did meanwhile: `Cancelled`."""
        shown, self._shown = self._shown, None
        if shown is not None and shown.done() and not shown.cancelled() and not paired:
            shown.result()
        elif shown is not None:
            shown.cancel()
        if paired and not self._situation.bonded:
            self._situation.bonded = True
            text = "Paired: this computer and the device keep keys of each other (`device-installer bonds list`)."
            self._situation.tell(Notice(code="paired", text=text))

    def _require_person(self, name: str) -> None:
        if not self._situation.may_ask_pairing:
            raise pairing_needed(self._situation.chosen_sighting.address, name)


async def renew_lost_bond(situation: Situation, adapter: Adapter, lost: InstallerError) -> None:
    """After consent, erase this computer's keys of a device that has lost its own. Raises `lost` without consent."""
    sighting = situation.chosen_sighting
    if not situation.options.renew_bond:
        if not situation.may_ask_pairing:
            raise lost
        # The question itself says what to do.
        problem, model = lost.with_advice(""), situation.chosen_model
        question = RenewBond(
            model=model, name=sighting.name, address=sighting.address, problem=problem, can_go_back=True
        )
        if (await situation.front_end.ask(question)) is not True:
            raise lost
    await adapter.forget_bond(sighting.address)
    situation.bonded = situation.bond_recorded = False
    situation.tell(Notice(code="bond_renewed", text="The old keys of the device are erased: it is paired anew."))
