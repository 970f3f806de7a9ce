"""The flow: runs the steps in order for one device, and records each.

It is the same for every front end. A front end supplies answers and renders events; what is
allowed, what comes next, and what may follow a failure is decided here and in the steps.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any, Literal

import installer
from installer.answers import Answers, StepKey
from installer.errors import ErrorCode, InstallerError
from installer.events.stream import (
    Event,
    Failed,
    InstallationDone,
    InstallationStarted,
    Planned,
    StepDone,
    StepSkipped,
    StepStarted,
)
from installer.flow import outcome as outcomes
from installer.flow.outcome import Outcome
from installer.flow.questions import Back, Cancelled, Failure, FrontEnd, Recovery
from installer.flow.resume import EarlierAttempt, begin_at, go_on
from installer.flow.steps import device_connection
from installer.flow.steps.find import Find
from installer.flow.steps.guide import Arrived, FollowTheGuide, OpenAccount
from installer.flow.steps.link import Link
from installer.flow.steps.network import ChooseTheNetwork
from installer.flow.steps.provision import Provision
from installer.flow.steps.step import Environment, GoTo, Situation, Step
from installer.flow.steps.sync import Sync
from installer.flow.steps.verify import Verify
from installer.ledger.records import Record

STEPS: tuple[Step, ...] = (Find(), Sync(), ChooseTheNetwork(), Provision(), Link(), Verify())
# A device that only its vendor's app sets up. Both begin alike: finding the device tells which way it goes.
GUIDED: tuple[Step, ...] = (*STEPS[:3], OpenAccount(), FollowTheGuide(), Arrived(), Verify())

# After this step something has left for the device that no Back can fetch.
POINT_OF_NO_RETURN = StepKey.PROVISION
RENEWALS = 4  # how often within the time that a silent process is given


class Installation:
    """One run of the flow for one device."""

    def __init__(
        self, surroundings: Environment, front: FrontEnd, answers: Answers, past: EarlierAttempt | None = None
    ) -> None:
        """`past`: the record of an installation that is gone on with; `answers` are then those to go on with."""
        self.id = past.id if past is not None else secrets.token_hex(6)
        self._past = past
        self._mine = past is None  # whether this process may write the record
        self._front = front
        self._options = surroundings.options
        self._started = time.monotonic()
        self._foreseen: StepKey | None = None
        self._record = self._records_entry(surroundings, answers)
        given = answers.without(surroundings.options.ask)
        self.situation = Situation(
            id=self.id, surroundings=surroundings, front=front, given=given, emit=self._emit, record=self._record
        )

    def _records_entry(self, surroundings: Environment, answers: Answers) -> Record:
        records, version, context = surroundings.records, installer.__version__, surroundings.context
        if self._past is not None:
            return records.resume(self.id, version, context)
        return records.begin(self.id, version, context, outcomes.kept(answers))

    async def run(self) -> Outcome:
        """Walk the steps to the end. Failures that nobody mends end in the outcome, not in an exception."""
        self._emit(
            InstallationStarted(
                version=installer.__version__,
                dry_run=self._options.dry_run,
                non_interactive=self._options.non_interactive,
                resumed=None if self._past is None else self._past.reached(self.situation.given.link),
            )
        )
        try:
            await self._walk_in_time()
            ended: Outcome = self._outcome("planned" if self._options.dry_run else outcomes.reached(self.situation))
        except InstallerError as error:
            ended = self._outcome("failed", error)
        except (Cancelled, Back):
            ended = self._outcome("cancelled", outcomes.cancelled())
        except asyncio.CancelledError:
            await self._end(self._outcome("cancelled", outcomes.cancelled()))
            raise
        finally:
            await device_connection.leave(self.situation)
        return await self._end(ended)

    async def _walk_in_time(self) -> None:
        limit = asyncio.timeout(self._options.timeout)
        try:
            async with limit:
                await self._walk_and_keep()
        except TimeoutError:
            if not limit.expired():
                raise
            raise InstallerError(
                ErrorCode.TIMEOUT,
                f"The time of {self._options.timeout:g} s is over.",
                "Give more with --timeout. What was done is kept.",
            ) from None

    async def _walk_and_keep(self) -> None:
        """Walk, and say meanwhile that this process lives; without that the device would be free for others."""
        walking = asyncio.ensure_future(self._walk())
        keeping = asyncio.ensure_future(self._keep())
        try:
            await asyncio.wait((walking, keeping), return_when=asyncio.FIRST_COMPLETED)
            if keeping.done():
                keeping.result()
            await walking
        finally:
            for task in (walking, keeping):
                task.cancel()
            await asyncio.gather(walking, keeping, return_exceptions=True)

    async def _keep(self) -> None:
        """Renew what this process holds. Raises DEVICE_TAKEN when it was lost, and the ledger's failures in the end."""
        limit = self._record.seconds
        last = time.monotonic()
        while True:
            await asyncio.sleep(limit / RENEWALS)
            if self._options.dry_run or not self._record.opened:
                last = time.monotonic()
                continue
            try:
                await self._record.alive()
                last = time.monotonic()
            except InstallerError as error:
                # A ledger that is away for a moment changes nothing yet: nobody else can have taken the device.
                if error.code is not ErrorCode.DATABASE_FAILED or time.monotonic() - last > limit * (1 - 1 / RENEWALS):
                    raise

    def _foresee(self) -> None:
        """What needs no radio is refused before any scan; where a person can be asked, at the step itself."""
        for step in self._steps:
            if self.situation.may_ask(step.key):
                continue
            try:
                step.foresee(self.situation)
            except InstallerError:
                self._foreseen = step.key
                raise

    async def _walk(self) -> None:
        index = await self._begin()
        problems: dict[StepKey, InstallerError] = {}
        while index < len(self._steps):
            step = self._steps[index]
            reason = step.skip_reason(self.situation)
            if reason is not None:
                self._emit(StepSkipped(step=step.key, reason=reason))
                index += 1
                continue
            back_to = self._previous(index)
            try:
                await self._one(index, problems.pop(step.key, None), can_go_back=back_to is not None)
                index += 1
            except Back:
                if back_to is None:
                    raise
                await self._ask_again(self._steps[back_to].key)
                index = back_to
            except GoTo as earlier:
                index = self._index(earlier.step)
            except _ChangeAt as change:
                index = self._index(change.step)
                problems[change.step] = change.problem
                await self._ask_again(change.step)

    async def _begin(self) -> int:
        """The first step that is to be carried out. Raises DEVICE_TAKEN where somebody works on this installation."""
        if self._past is None:
            self._foresee()
            return 0
        # A choice that is made anew with this attempt holds for the ones after it too.
        await self._record.claimed(self._answers())
        self._mine = True
        first = await go_on(self.situation, self._past)
        if first is StepKey.FIND:
            self._foresee()
            return 0
        return begin_at(self.situation, self._past, first, self._steps)

    async def _one(self, index: int, problem: InstallerError | None, *, can_go_back: bool) -> None:
        """One step, until it is done; raises what the person or the script cannot or will not mend."""
        step = self._steps[index]
        began = time.monotonic()
        self._emit(StepStarted(step=step.key, seconds=step.seconds))
        attempt = 0
        answer: Any = None
        while True:
            attempt += 1
            try:
                if answer is None:
                    answer = await step.answer(self.situation, problem, can_go_back)
                    step.check(self.situation, answer)
                plan = step.plan(self.situation, answer) if self._options.dry_run else None
                if plan is not None:
                    self._emit(Planned(step=step.key, text=plan))
                    return
                try:
                    result = await step.carry_out(self.situation, answer)
                except Back:
                    # Out of a question within the step: the step's own choice is made anew.
                    await self._ask_again(step.key)
                    answer = None
                    continue
                break
            except InstallerError as error:
                if error.code is ErrorCode.PROOF_WRONG:
                    self.situation.forget_proof(error)
                if error.data.get("reconnect"):
                    await device_connection.disconnect(self.situation)
                recovery = await self._recover(step, error, attempt)
                if recovery is Recovery.CHANGE:
                    raise _ChangeAt(step.change_at(error), error) from error
        answer = step.settled(self.situation, answer)
        self.situation.made = self.situation.made.with_answer(step.key, answer)
        took = time.monotonic() - began
        if not self._options.dry_run:
            reached = next((s.key.value for s in self._steps[index + 1 :] if not s.skip_reason(self.situation)), None)
            await self._record.step_done(step.key.value, took, result, reached=reached, answers=self._answers())
        self._emit(StepDone(step=step.key, took=round(took, 3), result=result))

    async def _recover(self, step: Step, error: InstallerError, attempt: int) -> Recovery:
        """What to do about a failure; raises `error` itself when it ends the installation."""
        recoveries = step.recoveries(self.situation, error)
        change_asks = self.situation.may_ask(step.change_at(error))
        recoveries = tuple(r for r in recoveries if r is not Recovery.CHANGE or change_asks)
        asks = self.situation.may_ask(step.key) or (Recovery.CHANGE in recoveries and change_asks)
        if error.code is ErrorCode.ANSWER_MISSING or not asks:
            raise error
        self._note_failure(step.key, error, retried=True)
        recovery = await self._front.recover(
            Failure(step=step.key, error=error, recoveries=recoveries, attempt=attempt)
        )
        if recovery is Recovery.STOP or recovery not in recoveries:
            raise error
        return recovery

    @property
    def _steps(self) -> tuple[Step, ...]:
        return GUIDED if self.situation.guided else STEPS

    def _index(self, key: StepKey) -> int:
        return next(i for i, step in enumerate(self._steps) if step.key is key)

    def _previous(self, index: int) -> int | None:
        """Where Back leads from here: the nearest step that asks a person; nowhere once something was sent."""
        if self.situation.sent:
            return None
        for i in range(index - 1, -1, -1):
            step = self._steps[i]
            asked = self.situation.given.get(step.key) is None and self.situation.may_ask(step.key)
            if asked and step.skip_reason(self.situation) is None:
                return i
        return None

    async def _ask_again(self, key: StepKey) -> None:
        """From this step on, what was chosen no longer holds; a given answer is asked instead."""
        if key is StepKey.FIND:
            # A device that is connected does not advertise: it would be missing from the list.
            await device_connection.disconnect(self.situation)
        self.situation.forget_choice(key)

    def _emit(self, event: Event) -> None:
        self._front.show(event.model_copy(update={"installation": self.id}))

    def _note_failure(self, step: StepKey | None, error: InstallerError, *, retried: bool) -> None:
        self._emit(
            Failed(
                step=step,
                code=error.code.value,
                exit_status=error.exit_status,
                what=error.what,
                todo=error.todo,
                retried=retried,
                data=error.data,
            )
        )
        if not self._options.dry_run and self._mine:
            self._record.failed(step.value if step else None, error.code.value, error.what)

    def _outcome(
        self,
        outcome: Literal["installed", "to_be_linked", "failed", "cancelled", "planned"],
        error: InstallerError | None = None,
    ) -> Outcome:
        return Outcome(
            outcome,
            self.situation.made,
            outcomes.summary(self.situation),
            error,
            self.situation.measurement,
            self.situation.left,
        )

    async def _end(self, ended: Outcome) -> Outcome:
        if ended.error is not None and ended.outcome == "failed":
            ended.error = outcomes.with_what_holds(ended.error, self.situation)
            self._note_failure(self._current_step(), ended.error, retried=False)
        # Who looked at the list and left has begun nothing.
        if not self._options.dry_run and self._mine and (self._record.opened or ended.outcome != "cancelled"):
            try:
                await self._record.end(self._kept_as(ended))
            except InstallerError as error:
                if ended.error is None:
                    ended = self._outcome("failed", outcomes.with_what_holds(error, self.situation))
                    self._note_failure(None, error, retried=False)
        took = round(time.monotonic() - self._started, 3)
        self._emit(InstallationDone(outcome=ended.outcome, took=took, summary=ended.summary))
        return ended

    def _answers(self) -> dict[str, Any]:
        """The choices that the record keeps."""
        return outcomes.choices(self.situation)

    def _kept_as(self, ended: Outcome) -> str:
        """The outcome that the record keeps."""
        return ended.outcome

    def _current_step(self) -> StepKey | None:
        if self._foreseen is not None:
            return self._foreseen
        done = {key for key in StepKey if self.situation.made.get(key) is not None}
        return next((s.key for s in self._steps if s.key not in done and s.skip_reason(self.situation) is None), None)


class _ChangeAt(Exception):
    """Go back to `step` and ask again, because of `problem`."""

    def __init__(self, step: StepKey, problem: InstallerError) -> None:
        super().__init__(step)
        self.step = step
        self.problem = problem
