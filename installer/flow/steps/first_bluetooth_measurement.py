"""The first measurement of a Bluetooth-only device, read over the installation's connection."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from installer.catalogue.model import Profile
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import FirstMeasurement, Notice, WaitingForData
from installer.flow.situation import Situation
from installer.flow.steps import device_connection
from installer.measurement import Measurement
from installer.storage.private_files import is_absent

if TYPE_CHECKING:
    from installer.bluetooth.connection import Connection
    from installer.gateway.installation_handover import InstallationHandover
    from installer.health_profiles.reader import CollectOptions

MEASUREMENT_INSTRUCTIONS = {
    "scale": "Step on the scale.",
    "blood-pressure monitor": "Take a blood-pressure measurement.",
    "thermometer": "Take a temperature.",
    "watch": "Wear the watch and take a few steps.",
    "sleep mat": "Lie down on the bed for a moment.",
}
# A device sends its stored measurements without a pause; after this much silence they are complete.
END_OF_DATA_SECONDS = 1.0
CONSENT_CODE_SECONDS = 30.0
# A device that has come back may still tell what it has.
MIN_WAIT_SECONDS = 1.0


async def collect(situation: Situation) -> Measurement:
    """Read one measurement over the device's standard health profile. Raises MEASUREMENT_FAILED, CONNECTION_LOST.

    If this computer has a gateway, all stored measurements are read and given to it: the device deletes them.
    """
    from installer.health_profiles.reader import take_measurement

    model = situation.chosen_model
    if model.profile is None:
        raise InstallerError(
            ErrorCode.MEASUREMENT_FAILED,
            f"The catalogue names no health profile for {model.name}, so no measurement can be read over Bluetooth.",
            "Add `profile` to its entry, or choose Wi-Fi.",
        )
    limit = situation.options.deadlines.measurement
    connection, _ = await device_connection.ensure_connected(situation)
    situation.emit(
        WaitingForData(source="bluetooth", seconds=limit, todo=MEASUREMENT_INSTRUCTIONS.get(model.type.value, ""))
    )
    end = asyncio.get_running_loop().time() + limit
    with ExitStack() as stack:
        handover = _open_gateway_handover(situation, connection, stack)
        options = await _collect_options(situation, connection, handover)
        while True:
            left = max(end - asyncio.get_running_loop().time(), MIN_WAIT_SECONDS)
            try:
                if handover is None:
                    situation.measurement = await take_measurement(connection, model.profile, left, options)
                else:
                    situation.measurement = await _read_all(connection, model.profile, left, handover, options)
                break
            except InstallerError as error:
                connection = await _connect_again(situation, error, end)
    if handover is not None and handover.failure is not None:
        text = f"The gateway will not deliver the measurements that were read now: {handover.failure.what}"
        situation.emit(Notice(code="not_handed_over", text=text))
    situation.emit(FirstMeasurement(source="bluetooth", measurement=situation.measurement))
    return situation.measurement


async def _connect_again(situation: Situation, error: InstallerError, end: float) -> Connection:
    """A device that hung up because nobody used it is awaited, and connected again, until `end` (in the loop's time).

    Raises `error` if it did not hang up so, or does not come back in time.
    """
    left = end - asyncio.get_running_loop().time()
    if not error.data.get("hung_up") or left <= 0:
        raise error
    try:
        await device_connection.connect(situation, find=left)
        again, _ = await device_connection.ensure_connected(situation)
    except InstallerError:
        raise error from None
    return again


async def _collect_options(
    situation: Situation, connection: Connection, handover: InstallationHandover | None
) -> CollectOptions:
    from installer.health_profiles.reader import CollectOptions
    from installer.health_profiles.user_consent import Consent

    model, given = situation.chosen_model, situation.environment.consents.get(connection.address)
    consent = None
    if given is not None:
        consent = Consent(given.user, await given.code.fetch_within(CONSENT_CODE_SECONDS, "consent code"))
    usual = CollectOptions(set_time=model.set_time, consent=consent, consent_needed=model.consent)
    return usual if handover is None else replace(usual, on_clock_set=handover.remember_clock_change)


async def _read_all(
    connection: Connection, main: Profile, limit: float, handover: InstallationHandover, options: CollectOptions
) -> Measurement:
    """Read all measurements; the newest of the profile `main`."""
    from installer.health_profiles import reader

    newest: Measurement | None = None
    try:
        found = reader.collect(
            connection,
            [
                profile
                for profile in reader.offered_profiles(connection)
                if profile is main or profile not in reader.LIVE_PROFILES
            ],
            END_OF_DATA_SECONDS,
            first=limit,
            keep=handover.write_measurement,
            options=options,
        )
        async for collected in found:
            if collected.profile is main:
                newest = collected.measurement
    except InstallerError:
        # One measurement proves that data flows; the others are still on the device.
        if newest is None:
            raise
    if newest is None:
        raise reader.no_measurement_error(connection, limit)
    return newest


def _open_gateway_handover(
    situation: Situation, connection: Connection, stack: ExitStack
) -> InstallationHandover | None:
    """The handover to this computer's gateway, until the stack closes; None without a usable gateway."""
    files = situation.environment.gateway
    if files is None or is_absent(files.outbox):
        return None
    from installer.gateway.devices import GatewayDevice
    from installer.gateway.installation_handover import outbox_handover

    model, account = situation.chosen_model, situation.account
    name = connection.name or model.name
    target = GatewayDevice(connection.address, (), model.id, name, account.name if account is not None else "")
    try:
        return stack.enter_context(outbox_handover(files, target))
    except InstallerError as error:
        # An installation does not depend on the gateway.
        text = f"The gateway will not deliver the measurements that are read now. {error}"
        situation.emit(Notice(code="not_handed_over", text=text))
        return None
