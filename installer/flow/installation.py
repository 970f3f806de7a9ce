"""An installation: runs the steps in order for one device and records each.

A front end supplies answers and renders events. This module and the steps decide what is allowed, what comes next,
and what may follow a failure.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Any

import installer
from installer.answers import Answers, StepKey
from installer.catalogue.model import Model
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import (
    InstallationStarted,
    Notice,
    Planned,
    StepDone,
    StepSkipped,
    StepStarted,
)
from installer.flow import outcome as outcomes
from installer.flow import permission_for_references
from installer.flow.environment import Environment
from installer.flow.front_end import Back, Cancelled, Failure, FrontEnd, Recovery
from installer.flow.lease_renewal import renew_lease
from installer.flow.outcome import Ending, Outcome
from installer.flow.record_keeper import RecordKeeper
from installer.flow.situation import Situation, model_in_given_answers
from installer.flow.steps import device_connection, device_trust
from installer.flow.steps.find import FindStep
from installer.flow.steps.guide import FollowGuideStep, GuidedLinkStep, OpenAccountStep
from installer.flow.steps.link import LinkStep
from installer.flow.steps.network import NetworkStep
from installer.flow.steps.provision import ProvisionStep
from installer.flow.steps.step import GoTo, Step
from installer.flow.steps.sync import SyncStep
from installer.flow.steps.verify import VerifyStep
from installer.wifi.repeated_secrets import without_secrets

if TYPE_CHECKING:
    from installer.events.json_lines import Event
    from installer.flow.resume import EarlierAttempt
    from installer.ledger.records import Record

STEPS: tuple[Step, ...] = (FindStep(), SyncStep(), NetworkStep(), ProvisionStep(), LinkStep(), VerifyStep())
# For a device that the vendor's app sets up. The find step decides which steps follow; both begin with the same three.
GUIDED_STEPS: tuple[Step, ...] = (*STEPS[:3], OpenAccountStep(), FollowGuideStep(), GuidedLinkStep(), VerifyStep())

# How often one step goes on after the computer's Bluetooth service was restarted.
MAX_OUTAGES = 3
OUTAGE_OVER = "The Bluetooth service of this computer was restarted, and is back: this step begins again."
MAY_HAVE_CREDENTIALS = (
    "The credentials were sent to the device: `device-installer resume` asks it whether it has joined, and goes on."
)
# After such a restart, it is the likely reason for these.
UNREACHABLE = (ErrorCode.DEVICE_NOT_FOUND, ErrorCode.CONNECTION_FAILED, ErrorCode.CONNECTION_LOST)


class Installation:
    """One run of the flow for one device."""

    def __init__(
        self, environment: Environment, front_end: FrontEnd, answers: Answers, earlier: EarlierAttempt | None = None
    ) -> None:
        """`earlier`: the attempt to resume; `answers` are then the answers for the resumed installation."""
        self.id = earlier.id if earlier is not None else secrets.token_hex(6)
        self._earlier = earlier
        self._front_end = front_end
        self._options = environment.options
        self._refused_step: StepKey | None = None
        record = self._open_record(environment, answers)
        given = answers.without(environment.options.ask)
        self.situation = Situation(
            id=self.id, environment=environment, front_end=front_end, given=given, emit=self._emit, record=record
        )
        address = earlier.address if earlier is not None else ""
        self._keeper = RecordKeeper(self.situation, may_write=earlier is None, address=address)
        asked = environment.options.ask
        self.situation.required_of_all = environment.options.required | device_trust.required_of_all(answers, asked)

    def _open_record(self, environment: Environment, answers: Answers) -> Record:
        records, version, context = environment.records, installer.__version__, environment.context
        if self._earlier is not None:
            return records.resume(self.id, version, context)
        return records.begin(self.id, version, context, outcomes.without_secrets(answers))

    async def run(self) -> Outcome:
        """Run the steps to the end. A failure that ends the installation is in the outcome, not an exception."""
        self._emit(
            InstallationStarted(
                version=installer.__version__,
                dry_run=self._options.dry_run,
                non_interactive=self._options.non_interactive,
                resumed=None if self._earlier is None else self._earlier.next_step(self.situation.given.link),
            )
        )
        try:
            ending: Ending = "planned"
            error: InstallerError | None = None
            try:
                await self._run_with_timeout()
                if not self._options.dry_run:
                    ending = outcomes.success_outcome(self.situation)
            except InstallerError as found:
                ending, error = "failed", found
            except (Cancelled, Back):
                ending, error = "cancelled", outcomes.cancelled_error()
            except asyncio.CancelledError:
                await self._end("cancelled", outcomes.cancelled_error())
                raise
            # The result is told before the parting, for which nobody has to wait.
            return await self._end(ending, error)
        finally:
            await device_connection.close_bluetooth(self.situation, for_good=True)

    async def _run_with_timeout(self) -> None:
        limit = asyncio.timeout(self._options.timeout)
        try:
            async with limit:
                await self._run_with_lease()
        except TimeoutError:
            if not limit.expired():
                raise
            raise InstallerError(
                ErrorCode.TIMEOUT,
                f"The time limit of {self._options.timeout:g} s is over.",
                "Give more time with --timeout. What was done is kept.",
            ) from None

    async def _run_with_lease(self) -> None:
        """Run the steps and renew the lease on the device; an expired lease would free it for other stations."""
        steps = asyncio.ensure_future(self._run_steps())
        renewal = asyncio.ensure_future(renew_lease(self.situation))
        try:
            await asyncio.wait((steps, renewal), return_when=asyncio.FIRST_COMPLETED)
            if renewal.done():
                renewal.result()
            await steps
        finally:
            for task in (steps, renewal):
                task.cancel()
            await asyncio.gather(steps, renewal, return_exceptions=True)

    def _check_given_answers(self) -> None:
        """Check given answers before any scan, except those of steps that may ask a person for another one."""
        for step in self._steps:
            if self.situation.may_ask(step.key):
                continue
            try:
                step.check_given_answer(self.situation)
            except InstallerError:
                self._refused_step = step.key
                raise

    async def _check_computer(self, model: Model) -> None:
        """Check what this computer lacks for the steps to come, before anything is sent to the device."""
        for step in self._steps:
            try:
                await step.check_computer(self.situation, model)
            except InstallerError:
                self._refused_step = step.key
                raise

    async def _run_steps(self) -> None:
        index = await self._first_index()
        problems: dict[StepKey, InstallerError] = {}
        given_model = model_in_given_answers(self.situation)
        computer_checked = given_model is not None
        if given_model is not None:
            await self._check_computer(given_model)
        while index < len(self._steps):
            step = self._steps[index]
            if step.key is not StepKey.FIND and not computer_checked:
                computer_checked = True
                await self._check_computer(self.situation.chosen_model)
            reason = step.skip_reason(self.situation)
            if reason is not None:
                self._emit(StepSkipped(step=step.key, reason=reason))
                index += 1
                continue
            back_to = self._previous(index)
            try:
                await self._run_step(index, problems.pop(step.key, None), can_go_back=back_to is not None)
                index += 1
            except Back:
                if back_to is None:
                    raise
                await self._ask_again(self._steps[back_to].key)
                index = back_to
            except GoTo as earlier:
                index = self._index(earlier.step)
            except _ChangeStep as change:
                index = self._index(change.step)
                problems[change.step] = change.problem
                await self._ask_again(change.step)

    async def _first_index(self) -> int:
        """The index of the first step to carry out. Raises DEVICE_TAKEN if another process runs this installation."""
        for remark in self.situation.environment.catalogue.remarks:
            self.situation.emit(Notice(code="catalogue", text=remark))
        try:
            settled = await permission_for_references.settle(self.situation)
        except InstallerError as error:
            self._refused_step = permission_for_references.step_of(error)
            raise
        if self._earlier is None:
            if settled:
                # Nothing was written yet: the record begins with what was allowed.
                self.situation.record = self._open_record(self.situation.environment, self.situation.given)
            self._check_given_answers()
            await self._keeper.keep_choices()
            return 0
        from installer.flow.restore import report_steps_done, restore_and_report

        # Later attempts use the answers of this one.
        await self.situation.record.claim(self._keeper.recorded_answers())
        self._keeper.may_write = True
        await self._keeper.keep_choices()
        first = await restore_and_report(self.situation, self._earlier)
        if first is StepKey.FIND:
            self._check_given_answers()
            return 0
        return report_steps_done(self.situation, self._earlier, first, self._steps)

    async def _run_step(self, index: int, problem: InstallerError | None, *, can_go_back: bool) -> None:
        """Run one step until it is done. Raises the error that ends the installation."""
        step = self._steps[index]
        started = time.monotonic()
        self._emit(StepStarted(step=step.key, seconds=step.usual_seconds))
        attempt = 0
        outages: list[InstallerError] = []
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
                    await device_connection.follow_address(self.situation)
                except Back:
                    # Back from a question within the step: ask for the step's answer again.
                    await self._ask_again(step.key)
                    answer = None
                    continue
                break
            except InstallerError as found:
                # What the device says may repeat what it got. Nothing of that is shown, recorded, or sent on.
                error = without_secrets(found, self.situation.secrets_of_device)
                if error.code is ErrorCode.PROOF_WRONG:
                    self.situation.forget_proof(error)
                if error.data.get("reconnect"):
                    await device_connection.disconnect(self.situation)
                if len(outages) < MAX_OUTAGES and await device_connection.wait_out_outage(self.situation, error):
                    outages.append(error)
                    self._go_on_after_outage(step)
                    continue
                if outages and step.key is not StepKey.FIND and error.code in UNREACHABLE:
                    # It was there before Bluetooth went away.
                    error = outages[-1]
                error = self._with_what_was_sent(error)
                recovery = await self._recover(step, error, attempt)
                if recovery is Recovery.CHANGE:
                    raise _ChangeStep(step.change_step(error), error) from error
        if self.situation.bonded and not self.situation.bond_recorded and result is not None:
            result, self.situation.bond_recorded = {**result, "bonded": True}, True
        answer = step.final_answer(self.situation, answer)
        self.situation.chosen = self.situation.chosen.with_answer(step.key, answer)
        took = time.monotonic() - started
        if not self._options.dry_run:
            next_step = next((s.key.value for s in self._steps[index + 1 :] if not s.skip_reason(self.situation)), None)
            await self.situation.record.step_done(
                step.key.value, took, result, reached=next_step, answers=self._keeper.recorded_answers()
            )
            await self._keeper.keep_choices()
        self._emit(StepDone(step=step.key, took=round(took, 3), result=result))

    def _with_what_was_sent(self, error: InstallerError) -> InstallerError:
        """An error of this computer's Bluetooth says whether the device may have its credentials already."""
        if not error.computers_bluetooth or not self.situation.credentials_sent:
            return error
        return error.with_advice(f"{error.todo} {MAY_HAVE_CREDENTIALS}", sent=True)

    def _go_on_after_outage(self, step: Step) -> None:
        self._emit(Notice(code="bluetooth_back", text=OUTAGE_OVER))
        if step.key is StepKey.PROVISION and self.situation.credentials_sent:
            # It is not known what the device has done meanwhile: it is asked, and nothing is sent blindly.
            self.situation.join_unconfirmed = True

    async def _recover(self, step: Step, error: InstallerError, attempt: int) -> Recovery:
        """What the person decides after a failure. Raises `error` if the installation ends here."""
        recoveries = step.recoveries(self.situation, error)
        change_asks = self.situation.may_ask(step.change_step(error))
        recoveries = tuple(r for r in recoveries if r is not Recovery.CHANGE or change_asks)
        may_ask = self.situation.may_ask(step.key) or (Recovery.CHANGE in recoveries and change_asks)
        if error.code is ErrorCode.ANSWER_MISSING or not may_ask:
            raise error
        self._keeper.failed(step.key, error, retried=True)
        recovery = await self._front_end.recover(
            Failure(
                step=step.key,
                error=error,
                recoveries=recoveries,
                attempt=attempt,
                change_step=step.change_step(error),
            )
        )
        if recovery is Recovery.STOP or recovery not in recoveries:
            raise error
        return recovery

    @property
    def _steps(self) -> tuple[Step, ...]:
        return GUIDED_STEPS if self.situation.guided else STEPS

    def _index(self, key: StepKey) -> int:
        return next(i for i, step in enumerate(self._steps) if step.key is key)

    def _previous(self, index: int) -> int | None:
        """The index of the nearest earlier step that asks a person; None after credentials were sent."""
        if self.situation.credentials_sent:
            return None
        for i in range(index - 1, -1, -1):
            step = self._steps[i]
            asked = self.situation.given.get(step.key) is None and self.situation.may_ask(step.key)
            if asked and step.skip_reason(self.situation) is None:
                return i
        return None

    async def _ask_again(self, key: StepKey) -> None:
        """Forget the choices from this step on; a given answer is asked for instead."""
        if key is StepKey.FIND:
            # A connected device does not advertise and would be missing from the list.
            await device_connection.disconnect(self.situation)
            device_trust.leave_device(self.situation)
        self.situation.forget_choice(key)

    def _emit(self, event: Event) -> None:
        self._front_end.show(event.model_copy(update={"installation": self.id}))

    async def _end(self, ending: Ending, error: InstallerError | None) -> Outcome:
        step = self._refused_step
        if step is None:
            done = {key for key in StepKey if self.situation.chosen.get(key) is not None}
            left = (s.key for s in self._steps if s.key not in done and s.skip_reason(self.situation) is None)
            step = next(left, None)
        return await self._keeper.end(outcomes.outcome_of(self.situation, ending, error), step)


class _ChangeStep(Exception):
    """Go back to `step` and ask again; `problem` is the reason."""

    def __init__(self, step: StepKey, problem: InstallerError) -> None:
        super().__init__(step)
        self.step = step
        self.problem = problem
