"""The first measurement of a Bluetooth-only device, taken on the connection of the installation."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from installer.catalogue.catalogue import Profile
from installer.errors import ErrorCode, InstallerError
from installer.events.stream import FirstMeasurement, Notice, WaitingForData
from installer.flow.steps import device_connection
from installer.flow.steps.step import Situation
from installer.measurement import Measurement

if TYPE_CHECKING:
    from installer.bluetooth.connection import Connection
    from installer.gateway.installation_handover import InstallationHandover

WHAT_TO_DO = {
    "scale": "Step on the scale.",
    "blood-pressure monitor": "Take a blood-pressure measurement.",
    "thermometer": "Take a temperature.",
    "watch": "Wear the watch and take a few steps.",
    "sleep mat": "Lie down on the bed for a moment.",
}
# After the first one, what the device has stored comes without a pause.
QUIET_SECONDS = 1.0


async def collect(situation: Situation) -> Measurement:
    """Take one measurement over the device's standard health profile. Raises MEASUREMENT_FAILED, CONNECTION_LOST.

    Where this computer has a gateway, all that the device has is taken, and given to it: the device forgets it.
    """
    from installer.health_profiles.reader import take_measurement

    model = situation.the_model
    if model.profile is None:
        raise InstallerError(
            ErrorCode.MEASUREMENT_FAILED,
            f"The catalogue names no health profile for {model.name}, so no measurement can be read over Bluetooth.",
            "Add `profile` to its entry, or choose Wi-Fi.",
        )
    limit = situation.options.deadlines.measurement
    connection, _ = await device_connection.connected(situation)
    situation.emit(WaitingForData(source="bluetooth", seconds=limit, todo=WHAT_TO_DO.get(model.type.value, "")))
    with ExitStack() as stack:
        handover = _gateway(situation, connection, stack)
        if handover is None:
            situation.measurement = await take_measurement(connection, model.profile, timeout=limit)
        else:
            situation.measurement = await _take_all(connection, model.profile, limit, handover)
    if handover is not None and handover.failure is not None:
        text = f"The gateway will not deliver what the device has told now: {handover.failure.what}"
        situation.emit(Notice(code="not_handed_over", text=text))
    situation.emit(FirstMeasurement(source="bluetooth", measurement=situation.measurement))
    return situation.measurement


async def _take_all(connection: Connection, main: Profile, limit: float, handover: InstallationHandover) -> Measurement:
    """The newest measurement of the profile `main`, and all others by the way."""
    from installer.health_profiles import reader

    newest: Measurement | None = None
    try:
        found = reader.collect(
            connection,
            [profile for profile in reader.offered(connection) if profile is main or profile not in reader.LIVE],
            QUIET_SECONDS,
            first=limit,
            keep=handover.keep,
        )
        async for one in found:
            if one.profile is main:
                newest = one.measurement
    except InstallerError:
        # What is wanted here is a proof that data flows; what the device has not told is still with it.
        if newest is None:
            raise
    if newest is None:
        raise reader.nothing_came(connection, limit)
    return newest


def _gateway(situation: Situation, connection: Connection, stack: ExitStack) -> InstallationHandover | None:
    """The gateway's outbox, if this computer has one that can be used, until the stack is left."""
    place = situation.surroundings.gateway
    if place is None or not place.outbox.exists():
        return None
    from installer.gateway.devices import GatewayDevice
    from installer.gateway.installation_handover import handing_over

    model, account = situation.the_model, situation.account
    name = connection.name or model.name
    target = GatewayDevice(connection.address, (), model.id, name, account.name if account is not None else "")
    try:
        return stack.enter_context(handing_over(place, target))
    except InstallerError:
        # `gateway status` tells what is wrong with it; an installation does not depend on it.
        return None
