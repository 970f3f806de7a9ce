"""Sync: Wi-Fi or Bluetooth only, as the model allows."""

from __future__ import annotations

from typing import Any

from installer.answers import StepKey, SyncAnswer
from installer.catalogue.catalogue import SyncMethod, check_sync
from installer.errors import ErrorCode, InstallerError
from installer.events.stream import SyncChosen
from installer.flow.questions import ChooseSync, Recovery, SyncChoice
from installer.flow.steps.step import Situation, Step, missing


class Sync(Step):
    """How will the device deliver its data? The one place where the sync rule is enforced for every front end."""

    key = StepKey.SYNC

    async def answer(self, situation: Situation, problem: InstallerError | None, can_go_back: bool) -> SyncAnswer:
        """The given method; asked, with the missing one shown and explained; the only one is a script's default."""
        given = situation.given.sync
        if given is not None and problem is None:
            return given
        model = situation.the_model
        if situation.may_ask(self.key):
            choices = tuple(SyncChoice(m, model.allows(m), model.missing.get(m, "")) for m in SyncMethod)
            answer: SyncAnswer = await situation.ask(
                ChooseSync(model=model, choices=choices, can_go_back=can_go_back, problem=problem)
            )
            return answer
        if len(model.sync) == 1:
            return SyncAnswer(method=model.sync[0])
        raise missing(self.key, "the sync method")

    def check(self, situation: Situation, answer: SyncAnswer) -> None:
        """The sync rule."""
        check_sync(situation.the_model, answer.method)

    async def carry_out(self, situation: Situation, answer: SyncAnswer) -> dict[str, Any]:
        """Remember the method; the device needs no telling."""
        situation.method = answer.method
        situation.emit(SyncChosen(method=answer.method))
        return {"method": answer.method.value}

    def recoveries(self, situation: Situation, error: InstallerError) -> tuple[Recovery, ...]:
        """An impossible method can only be changed."""
        if error.code in (ErrorCode.SYNC_WIFI_ONLY, ErrorCode.SYNC_BLUETOOTH_ONLY):
            return (Recovery.CHANGE, Recovery.STOP)
        return super().recoveries(situation, error)
