"""The first measurement of a Bluetooth-only device, taken on the connection of the installation."""

from __future__ import annotations

from installer.errors import ErrorCode, InstallerError
from installer.events import FirstMeasurement, WaitingForData
from installer.measurement import Measurement
from installer.steps import device
from installer.steps.base import Situation

WHAT_TO_DO = {
    "scale": "Step on the scale.",
    "blood-pressure monitor": "Take a blood-pressure measurement.",
    "thermometer": "Take a temperature.",
    "watch": "Wear the watch and take a few steps.",
    "sleep mat": "Lie down on the bed for a moment.",
}


async def collect(situation: Situation) -> Measurement:
    """Take one measurement over the device's standard health profile. Raises MEASUREMENT_FAILED, CONNECTION_LOST."""
    from installer.health.reader import take_measurement

    model = situation.the_model
    if model.profile is None:
        raise InstallerError(
            ErrorCode.MEASUREMENT_FAILED,
            f"The catalogue names no health profile for {model.name}, so no measurement can be read over Bluetooth.",
            "Add `profile` to its entry, or choose Wi-Fi.",
        )
    limit = situation.options.deadlines.measurement
    connection, _ = await device.connected(situation)
    situation.emit(WaitingForData(source="bluetooth", seconds=limit, todo=WHAT_TO_DO.get(model.type.value, "")))
    situation.measurement = await take_measurement(connection, model.profile, timeout=limit)
    situation.emit(FirstMeasurement(source="bluetooth", measurement=situation.measurement))
    return situation.measurement
