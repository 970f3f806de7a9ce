"""Verify: the first measurement, as proof that data flows."""

from __future__ import annotations

from typing import Any

from installer.answers import LinkAnswer, StepKey, VerifyAnswer
from installer.catalogue.model import SyncMethod
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import FirstMeasurement, Notice, WaitingForData
from installer.flow.situation import Situation
from installer.flow.steps import first_bluetooth_measurement, join_outcome
from installer.flow.steps.link import LinkStep
from installer.flow.steps.step import GoTo, Step
from installer.gateway import sync_advice

# For models whose first data comes later: a longer wait proves nothing.
LATE_DATA_WAIT_SECONDS = 30.0


class VerifyStep(Step):
    """Has the device delivered something?"""

    key = StepKey.VERIFY
    usual_seconds = 120.0

    def skip_reason(self, situation: Situation) -> str | None:
        """A Wi-Fi device needs a cloud, a Bluetooth-only device a health profile."""
        given = situation.given.verify
        if given is not None and given.skip and not _join_needs_confirmation(situation):
            return "not wanted"
        if situation.link_later:
            return "the device is linked later"
        if situation.method is SyncMethod.WIFI and not situation.chosen_model.cloud.data:
            return f"no cloud is known for {situation.chosen_model.name}; the device reports that it has joined"
        if situation.guided:
            return None  # the vendor's app brings its data to the cloud with both sync methods
        if situation.method is SyncMethod.BLUETOOTH and situation.chosen_model.profile is None:
            return f"{situation.chosen_model.name} has no standard health profile to read"
        return None

    async def answer(self, situation: Situation, problem: InstallerError | None, can_go_back: bool) -> VerifyAnswer:
        """Nobody is asked; the default is to wait for the first measurement."""
        given = situation.given.verify
        if given is not None and given.skip and situation.options.unconfirmed_join_wait is not None:
            return VerifyAnswer(wait=situation.options.unconfirmed_join_wait)
        return given or VerifyAnswer(wait=situation.options.deadlines.data)

    def plan(self, situation: Situation, answer: VerifyAnswer) -> str | None:
        """No data comes in a dry run."""
        return "wait for the first measurement"

    async def carry_out(self, situation: Situation, answer: VerifyAnswer) -> dict[str, Any]:
        """Read the first data over the open Bluetooth connection, or wait for it in the cloud."""
        await _check_still_linked(situation)
        if situation.method is SyncMethod.BLUETOOTH and not situation.guided:
            if situation.measurement is None:
                await first_bluetooth_measurement.collect(situation)
            situation.emit(
                Notice(code="gateway_needed", text=await sync_advice.gateway_advice(situation.environment.gateway))
            )
            return {"source": "bluetooth", "measurement": str(situation.measurement)}
        if situation.account is None or situation.cloud_device is None:
            raise InstallerError(ErrorCode.INTERNAL, "The device is not linked.", "This is a defect; report it.")
        model = situation.chosen_model
        todo = first_bluetooth_measurement.MEASUREMENT_INSTRUCTIONS.get(model.type.value, "")
        wait = min(answer.wait, LATE_DATA_WAIT_SECONDS) if model.cloud.later else answer.wait
        situation.emit(WaitingForData(source="cloud", seconds=wait, todo=todo))
        try:
            situation.measurement = await situation.account.first_data(
                model, situation.cloud_device.device_id, since=situation.started, deadline=wait
            )
        except InstallerError as error:
            if error.code is not ErrorCode.FIRST_DATA_TIMEOUT or not model.cloud.later:
                raise _with_resume_advice(situation, error) from None
            situation.emit(Notice(code="first_data_later", text=model.cloud.later))
            return {"source": "cloud", "measurement": None}
        await join_outcome.record_cloud_confirmation(situation)
        situation.emit(FirstMeasurement(source="cloud", measurement=situation.measurement))
        if situation.method is SyncMethod.BLUETOOTH:
            situation.emit(Notice(code="phone_needed", text=sync_advice.PHONE_NEEDED))
        return {"source": "cloud", "measurement": str(situation.measurement)}


def _join_needs_confirmation(situation: Situation) -> bool:
    """Whether only the first data can confirm that the device joined, and the run waits for it."""
    return situation.unconfirmed_provision_result is not None and situation.options.unconfirmed_join_wait is not None


async def _check_still_linked(situation: Situation) -> None:
    """Check that the device that an earlier attempt linked is still in the account. Raises GoTo to link it again."""
    if situation.earlier_linked_device_id is None:
        return
    device_id, answer = situation.earlier_linked_device_id, situation.chosen.link or LinkAnswer()
    there = await LinkStep().reopen(situation, answer, device_id)
    situation.earlier_linked_device_id = None
    if not there:
        situation.emit(Notice(code="link_gone", text="The device is no longer in the account: it is linked again."))
        raise GoTo(StepKey.LINK)


def _with_resume_advice(situation: Situation, error: InstallerError) -> InstallerError:
    """`error` with more advice, if an earlier process sent the credentials."""
    if error.code is not ErrorCode.FIRST_DATA_TIMEOUT or not situation.resumed:
        return error
    if situation.unconfirmed_provision_result is not None:
        todo = (
            "It is not confirmed that the device joined its network. If it shows that it waits to be set up, resume "
            f"again: it then gets the credentials again. Else: {error.todo}"
        )
    else:
        todo = f"{error.todo} If it was reset in the meantime, install it again."
    return error.with_advice(todo)
