"""The base class of the steps.

A step says whether it applies, gets its answer (given, asked, or a default), checks it, and carries it out. It is
idempotent: after a failure it can be carried out again and continues where it was.
"""

from __future__ import annotations

import abc
from typing import Any, ClassVar

from installer.answers import StepKey
from installer.catalogue.model import Model
from installer.errors import InstallerError
from installer.flow.front_end import Recovery
from installer.flow.situation import TRUST_ERRORS, Situation


class GoTo(Exception):
    """Continue at an earlier step that turned out not to be done. Its answer stays."""

    def __init__(self, step: StepKey) -> None:
        super().__init__(step)
        self.step = step


class Step(abc.ABC):
    """One stage of the flow. It has no state: everything it learns is in the situation.

    `usual_seconds`: how long it usually takes at most.
    """

    key: ClassVar[StepKey]
    usual_seconds: ClassVar[float | None] = None

    def skip_reason(self, situation: Situation) -> str | None:
        """Why the step does not apply, in words; None if it applies."""
        return None

    @abc.abstractmethod
    async def answer(self, situation: Situation, problem: InstallerError | None, can_go_back: bool) -> Any:
        """The answer: given, asked for, or the default. `problem`: why the previous answer failed."""

    def check_given_answer(self, situation: Situation) -> None:
        """Raise the error of a given answer that needs no radio to be found wrong; called before the first scan."""

    async def check_computer(self, situation: Situation, model: Model) -> None:
        """Raise the error of what this computer lacks for the step with a device of this model.

        Called before anything is sent to the device: before the first scan if the answers name the model.
        """

    def check(self, situation: Situation, answer: Any) -> None:
        """Raise the error that makes this answer impossible; called before `carry_out`."""

    @abc.abstractmethod
    async def carry_out(self, situation: Situation, answer: Any) -> dict[str, Any]:
        """Carry out the answer; returns the result for the record (JSON types, no secret)."""

    def final_answer(self, situation: Situation, answer: Any) -> Any:
        """The answer, completed with choices that were made in `carry_out`."""
        return answer

    def plan(self, situation: Situation, answer: Any) -> str | None:
        """For a dry run: what would be done, in words. None: carry it out, because it changes nothing."""
        return None

    def recoveries(self, situation: Situation, error: InstallerError) -> tuple[Recovery, ...]:
        """The possible recoveries from this failure, the best first."""
        del situation, error
        return (Recovery.RETRY, Recovery.STOP)

    def change_step(self, error: InstallerError) -> StepKey:
        """The step at which `Recovery.CHANGE` asks again. If it may be another device, that is the choice of device."""
        return StepKey.FIND if error.code in TRUST_ERRORS else self.key
