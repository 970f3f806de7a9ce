"""Verify: the first measurement, as proof that data flows."""

from __future__ import annotations

from typing import Any

from installer.answers import LinkAnswer, StepKey, VerifyAnswer
from installer.catalogue.catalogue import SyncMethod
from installer.errors import ErrorCode, InstallerError
from installer.events.stream import FirstMeasurement, Notice, WaitingForData
from installer.flow.steps import first_bluetooth_measurement, join_confirmation
from installer.flow.steps.link import Link
from installer.flow.steps.step import GoTo, Situation, Step

# Where the first data cannot come at once, a short look is enough: waiting longer proves nothing.
LATER_SECONDS = 30.0
GATEWAY = (
    "This device syncs over Bluetooth only: a gateway must be running within its reach, and be online, "
    "or its data stays on the device."
)
PHONE = (
    "This device syncs over Bluetooth only: the phone with the vendor's app must stay near it and online, and the app "
    "must keep running in the background, or the data stays on the device."
)


class Verify(Step):
    """Has the device delivered something?"""

    key = StepKey.VERIFY
    seconds = 120.0

    def skip_reason(self, situation: Situation) -> str | None:
        """Without a cloud there is nothing to watch for a Wi-Fi device."""
        given = situation.given.verify
        if given is not None and given.skip and not _doubted(situation):
            return "not wanted"
        if situation.later:
            return "the device is linked later"
        if situation.method is SyncMethod.WIFI and not situation.the_model.cloud.data:
            return f"no cloud is known for {situation.the_model.name}; the device reports that it has joined"
        if situation.guided:
            return None  # whichever way it syncs, the vendor's cloud gets its data
        if situation.method is SyncMethod.BLUETOOTH and situation.the_model.profile is None:
            return f"{situation.the_model.name} has no standard health profile to read"
        return None

    async def answer(self, situation: Situation, problem: InstallerError | None, can_go_back: bool) -> VerifyAnswer:
        """Nobody is asked: the default is to wait for the first measurement."""
        given = situation.given.verify
        if given is not None and given.skip and situation.options.doubt is not None:
            return VerifyAnswer(wait=situation.options.doubt)
        return given or VerifyAnswer(wait=situation.options.deadlines.data)

    def plan(self, situation: Situation, answer: VerifyAnswer) -> str | None:
        """Nothing will come in a dry run."""
        return "wait for the first measurement"

    async def carry_out(self, situation: Situation, answer: VerifyAnswer) -> dict[str, Any]:
        """Over Bluetooth on the same connection, or by Wi-Fi from the cloud."""
        await _still_linked(situation)
        if situation.method is SyncMethod.BLUETOOTH and not situation.guided:
            if situation.measurement is None:
                await first_bluetooth_measurement.collect(situation)
            situation.emit(Notice(code="gateway_needed", text=await _gateway(situation)))
            return {"source": "bluetooth", "measurement": str(situation.measurement)}
        if situation.account is None or situation.cloud_device is None:
            raise InstallerError(ErrorCode.INTERNAL, "The device is not linked.", "This is a defect; report it.")
        model = situation.the_model
        todo = first_bluetooth_measurement.WHAT_TO_DO.get(model.type.value, "")
        wait = min(answer.wait, LATER_SECONDS) if model.cloud.later else answer.wait
        situation.emit(WaitingForData(source="cloud", seconds=wait, todo=todo))
        try:
            situation.measurement = await situation.account.first_data(
                model, situation.cloud_device.device_id, since=situation.started, deadline=wait
            )
        except InstallerError as error:
            if error.code is not ErrorCode.FIRST_DATA_TIMEOUT or not model.cloud.later:
                raise _resumed(situation, error) from None
            situation.emit(Notice(code="first_data_later", text=model.cloud.later))
            return {"source": "cloud", "measurement": None}
        await join_confirmation.confirmed(situation)
        situation.emit(FirstMeasurement(source="cloud", measurement=situation.measurement))
        if situation.method is SyncMethod.BLUETOOTH:
            situation.emit(Notice(code="phone_needed", text=PHONE))
        return {"source": "cloud", "measurement": str(situation.measurement)}


def _doubted(situation: Situation) -> bool:
    """Nobody has seen the device join, and only its first data can show that it has."""
    return situation.unseen is not None and situation.options.doubt is not None


async def _still_linked(situation: Situation) -> None:
    """What an earlier attempt linked is looked for in the account; one that was taken off it is linked anew."""
    if situation.linked_as is None:
        return
    device_id, answer = situation.linked_as, situation.made.link or LinkAnswer()
    there = await Link().reopen(situation, answer, device_id)
    situation.linked_as = None
    if not there:
        situation.emit(Notice(code="link_gone", text="The device is no longer in the account: it is linked again."))
        raise GoTo(StepKey.LINK)


def _resumed(situation: Situation, error: InstallerError) -> InstallerError:
    """The same for a device that this process has not seen joining its network."""
    if error.code is not ErrorCode.FIRST_DATA_TIMEOUT or not situation.resumed:
        return error
    if situation.unseen is not None:
        todo = (
            "Nobody saw it join its network. If it shows that it waits to be set up, resume once more: it then gets "
            f"the credentials again. Else: {error.todo}"
        )
    else:
        todo = f"{error.todo} If it was reset meanwhile, install it anew."
    return InstallerError(error.code, error.what, todo, **error.data)


async def _gateway(situation: Situation) -> str:
    """What is needed, and whether it is there."""
    place = situation.surroundings.gateway
    if place is None:
        return GATEWAY
    from installer.gateway import sync_advice

    return f"{GATEWAY} {await sync_advice.words(place)}"
