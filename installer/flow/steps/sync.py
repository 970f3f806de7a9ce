"""The sync step: Wi-Fi or Bluetooth only, as the model allows."""

from __future__ import annotations

from typing import Any

from installer.answers import StepKey, SyncAnswer
from installer.catalogue.model import SyncMethod
from installer.catalogue.sync_rule_wifi_or_bluetooth import check_sync
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import SyncChosen
from installer.flow.front_end import Recovery
from installer.flow.questions import ChooseSync, SyncChoice
from installer.flow.situation import Situation, answer_missing
from installer.flow.steps.step import Step


class SyncStep(Step):
    """Which sync method? The flow enforces the sync rule here for every front end."""

    key = StepKey.SYNC

    async def answer(self, situation: Situation, problem: InstallerError | None, can_go_back: bool) -> SyncAnswer:
        """The given method, or the one that a person chooses; for a script, the model's only method."""
        given = situation.given.sync
        if given is not None and problem is None:
            return given
        model = situation.chosen_model
        if situation.may_ask(self.key):
            choices = tuple(SyncChoice(m, model.allows(m), model.missing.get(m, "")) for m in SyncMethod)
            answer: SyncAnswer = await situation.ask(
                ChooseSync(model=model, choices=choices, can_go_back=can_go_back, problem=problem)
            )
            return answer
        if len(model.sync) == 1:
            return SyncAnswer(method=model.sync[0])
        raise answer_missing(self.key, "the sync method")

    def check(self, situation: Situation, answer: SyncAnswer) -> None:
        """The sync rule."""
        check_sync(situation.chosen_model, answer.method)

    async def carry_out(self, situation: Situation, answer: SyncAnswer) -> dict[str, Any]:
        """Remember the method; nothing is sent to the device."""
        situation.method = answer.method
        situation.emit(SyncChosen(method=answer.method))
        return {"method": answer.method.value}

    def recoveries(self, situation: Situation, error: InstallerError) -> tuple[Recovery, ...]:
        """After an impossible method, only another one helps."""
        if error.code in (ErrorCode.SYNC_WIFI_ONLY, ErrorCode.SYNC_BLUETOOTH_ONLY):
            return (Recovery.CHANGE, Recovery.STOP)
        return super().recoveries(situation, error)
