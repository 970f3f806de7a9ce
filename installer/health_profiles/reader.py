"""Reads measurements from a connected device over the standard GATT health profiles.

A device deletes a measurement when its indication is confirmed, and the Bluetooth stack confirms by itself. So every
measurement that arrived is returned, also when the link drops or a malformed message came in between; and `keep` is
called inside the callback of the stack.

The order is that of the profiles: the clock is set, the measurements are subscribed to, a user gives consent, stored
records are asked for. Then the device says what it has, and ends the connection or falls silent. Both are the normal
end. It is a failure only if the link ends before all was subscribed to and asked for, or within a measurement of
several messages, or if nobody ended it (where the system tells that).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace

from installer.bluetooth.connection import Connection
from installer.bluetooth.uuids import expand_uuid16
from installer.catalogue.model import Profile
from installer.errors import ErrorCode, InstallerError
from installer.health_profiles import user_consent
from installer.health_profiles.arrived_measurements import (
    ArrivedMeasurements,
    CollectedMeasurement,
    KeepCallback,
    MalformedCallback,
)
from installer.health_profiles.characteristic_fields import CodecError
from installer.health_profiles.characteristics import CHARACTERISTICS
from installer.health_profiles.device_clock import ClockChange
from installer.health_profiles.device_features import DeviceFeatures, read_device_features
from installer.health_profiles.record_access import RECORD_ACCESS, StoredRecords
from installer.health_profiles.set_device_time import set_clock
from installer.health_profiles.stored_blood_pressure import RECORD
from installer.measurement import Measurement

__all__ = ["CollectOptions", "CollectedMeasurement", "collect", "measurements", "offered_profiles", "take_measurement"]

WAITING_ACTIVITY = "waiting for a measurement"
# A visit ends after this time, even if the device has more measurements: the next visit reads them.
MAX_VISIT_SECONDS = 600.0
# These profiles send current values all the time and store nothing, so they never become quiet.
LIVE_PROFILES = frozenset({Profile.HEART_RATE})
BLOOD_PRESSURE_SERVICE = expand_uuid16(0x1810)


@dataclass(frozen=True)
class CollectOptions:
    """What a collector does beside listening.

    `set_time`: set the device's clock first. `consent`: of the user whose measurements are wanted; `consent_needed`:
    without one, the device gives nothing. `last_record`: the number of the newest stored record that is known.
    `clock_change`: how the clock was set at an earlier visit; `on_clock_set` gets it when a wrong one was set.
    """

    set_time: bool = True
    consent: user_consent.Consent | None = None
    consent_needed: bool = False
    last_record: int | None = None
    clock_change: ClockChange | None = None
    on_clock_set: Callable[[ClockChange], None] = lambda _: None


USUAL = CollectOptions()


def offered_profiles(connection: Connection) -> tuple[Profile, ...]:
    """The health profiles that the device has, in the order of `Profile`."""
    return tuple(
        profile
        for profile, source in CHARACTERISTICS.items()
        if connection.has_characteristic(source.uuid, source.service)
    )


async def take_measurement(
    connection: Connection, profile: Profile, timeout: float = 60.0, options: CollectOptions = USUAL
) -> Measurement:
    """The first measurement that the device sends within `timeout` seconds.

    Raises MEASUREMENT_FAILED (none came, or the device does not have the profile), DEVICE_MISBEHAVED (malformed),
    CONNECTION_LOST.
    """
    async with aclosing(measurements(connection, profile, timeout, options)) as stream:
        async for measurement in stream:
            return measurement
    raise no_measurement_error(connection, timeout)


def no_measurement_error(connection: Connection, seconds: float) -> InstallerError:
    """MEASUREMENT_FAILED: no measurement came in time, or the device ended the connection before it sent one.

    Which of the two it was is in `data["hung_up"]`.
    """
    if connection.is_open:
        what = f"The device {connection.address} sent no measurement within {seconds:g} s."
    else:
        what = f"The device {connection.address} ended the connection, and sent no measurement before."
    return InstallerError(
        ErrorCode.MEASUREMENT_FAILED,
        what,
        "Use it once while it is connected, close to this computer, then try again.",
        address=connection.address,
        hung_up=not connection.is_open,
    )


async def measurements(
    connection: Connection, profile: Profile, quiet: float, options: CollectOptions = USUAL
) -> AsyncGenerator[Measurement]:
    """`collect` for one profile, without the raw bytes. A malformed message is raised at once."""
    async with aclosing(
        _collect(connection, (profile,), quiet, quiet, MAX_VISIT_SECONDS, None, options, skip_malformed=False)
    ) as stream:
        async for found in stream:
            yield found.measurement


async def collect(
    connection: Connection,
    profiles: Iterable[Profile],
    quiet: float,
    *,
    first: float | None = None,
    limit: float = MAX_VISIT_SECONDS,
    keep: KeepCallback | None = None,
    malformed: MalformedCallback | None = None,
    options: CollectOptions = USUAL,
) -> AsyncGenerator[CollectedMeasurement]:
    """All measurements that the device sends over those of `profiles` that it offers, in the order of arrival.

    Ends when nothing came for `quiet` seconds (before the first measurement: `first` seconds), when the device ends the
    connection, or after `limit` seconds. Heart rates come all the time and do not count. A profile that the device
    refuses is skipped if it allows another one.

    `keep` is called with each measurement inside the callback of the stack. If the stack confirms only after its
    callback, the device cannot delete a measurement before `keep` has stored it. An exception of `keep` ends the visit
    and is raised here; nothing more is kept. `malformed` gets, in the same way, the bytes of a malformed message and
    the reason; the message is then no failure.

    A body composition in two packets is returned when both arrived, or at the end of the visit. `keep` gets each
    packet when it arrives, as a measurement with the same time and user, because the device may delete it.

    Read the stream to its end, or give `keep`: the device considers every measurement that arrived as delivered.
    Raises at the end, after everything that arrived was returned: CONNECTION_LOST if the link ended too early (see the
    module); DEVICE_MISBEHAVED if a message was malformed (it is skipped); MEASUREMENT_FAILED if the device wants a
    consent and did not take one; DEVICE_REFUSED, DEVICE_MISBEHAVED if it did not send its stored records. Raises at
    once: MEASUREMENT_FAILED if the device offers none of the profiles, and the errors of subscribing.
    """
    async with aclosing(
        _collect(
            connection,
            tuple(profiles),
            first or quiet,
            quiet,
            limit,
            keep,
            options,
            skip_malformed=True,
            malformed=malformed,
        )
    ) as stream:
        async for found in stream:
            yield found


async def _collect(
    connection: Connection,
    profiles: tuple[Profile, ...],
    first: float,
    quiet: float,
    limit: float,
    keep: KeepCallback | None,
    options: CollectOptions,
    *,
    skip_malformed: bool,
    malformed: MalformedCallback | None = None,
) -> AsyncGenerator[CollectedMeasurement]:
    available = tuple(profile for profile in offered_profiles(connection) if profile in profiles)
    if not available:
        raise _not_offered_error(connection, profiles)
    loop = asyncio.get_running_loop()
    end = loop.time() + limit
    features = await _prepare(connection, available, options)
    queue = ArrivedMeasurements(keep, malformed, features, connection.repeats_values)
    failure: InstallerError | None = None
    asked_for_all = False
    try:
        try:
            await _subscribe(connection, available, queue)
            problems = await _ask_for_stored(connection, available, queue, options, end)
            asked_for_all = True
            deadline = loop.time() + first
            while (now := loop.time()) < min(deadline, end):
                try:
                    found = await connection.run_while_connected(
                        queue.get(), min(deadline, end) - now, WAITING_ACTIVITY
                    )
                except TimeoutError:
                    break
                if found is not None:
                    yield found
                    if found.profile not in LIVE_PROFILES:
                        deadline = loop.time() + quiet
                elif not skip_malformed:
                    raise _malformed_error(connection, queue.errors)
            # Messages that arrive before the device has processed this are confirmed too.
            for profile in available:
                await connection.unsubscribe(CHARACTERISTICS[profile].uuid)
            queue.finish()
            failure = next(iter(problems), None)
        except InstallerError as error:
            # Measurements of the first profile may have arrived during the subscription to the second.
            failure = error
            if asked_for_all and _ended_by_device(connection, error) and not queue.is_incomplete:
                failure = next(iter(problems), None)
        while not queue.empty:
            found = await queue.get()
            if found is not None:
                yield found
        if failure is not None:
            raise failure
        if queue.errors and malformed is None:
            raise _malformed_error(connection, queue.errors)
    finally:
        others = (RECORD, RECORD_ACCESS, user_consent.USER_CONTROL_POINT.uuid)
        for uuid in (*(CHARACTERISTICS[profile].uuid for profile in available), *others):
            with suppress(InstallerError):
                if connection.has_characteristic(uuid):
                    await connection.unsubscribe(uuid)


async def _prepare(connection: Connection, profiles: tuple[Profile, ...], options: CollectOptions) -> DeviceFeatures:
    features = await read_device_features(connection, profiles)
    if options.set_time:
        clock = await set_clock(connection, features.clock, options.clock_change, options.on_clock_set)
    else:
        clock = features.clock.with_earlier(options.clock_change)
    return replace(features, clock=clock)


def _ended_by_device(connection: Connection, error: InstallerError) -> bool:
    """Whether the link is down because the device ended it, as far as the system tells."""
    # BlueZ answers a request that the end of the link cut off as the device would refuse it.
    lost = error.code in (ErrorCode.CONNECTION_LOST, ErrorCode.DEVICE_REFUSED) and not connection.is_open
    return lost and not connection.radio_failed


async def _ask_for_stored(
    connection: Connection,
    profiles: tuple[Profile, ...],
    queue: ArrivedMeasurements,
    options: CollectOptions,
    end: float,
) -> list[InstallerError]:
    """Give the consent, and have the stored records sent. Returns what the device refuses. Raises CONNECTION_LOST."""
    problems = []
    try:
        if options.consent is not None and user_consent.offers_consent(connection):
            await user_consent.give_consent(connection, options.consent)
        elif options.consent_needed:
            raise user_consent.consent_missing(connection)
    except InstallerError as error:
        if error.code is ErrorCode.CONNECTION_LOST:
            raise
        problems.append(error)
    if Profile.BLOOD_PRESSURE in profiles and _has_records(connection):
        records = StoredRecords(connection, lambda: queue.last_record)
        try:
            await connection.subscribe(RECORD, queue.record_listener(Profile.BLOOD_PRESSURE))
            await records.subscribe()
            await records.report(options.last_record, end)
        except InstallerError as error:
            if error.code is ErrorCode.CONNECTION_LOST:
                raise
            problems.append(error)
    return problems


def _has_records(connection: Connection) -> bool:
    """Whether the device hands out stored blood pressures when it is asked for them."""
    return all(connection.has_characteristic(uuid, BLOOD_PRESSURE_SERVICE) for uuid in (RECORD, RECORD_ACCESS))


async def _subscribe(connection: Connection, profiles: tuple[Profile, ...], queue: ArrivedMeasurements) -> None:
    """Subscribe to all profiles. Raises DEVICE_REFUSED if the device refuses all; else as `Connection.subscribe`."""
    refusals = []
    for profile in profiles:
        try:
            await connection.subscribe(CHARACTERISTICS[profile].uuid, queue.listener(profile))
        except InstallerError as error:
            # Some devices allow a second profile only after pairing.
            if error.code not in (ErrorCode.DEVICE_REFUSED, ErrorCode.PAIRING_NEEDED):
                raise
            refusals.append(error)
    if len(refusals) == len(profiles):
        raise refusals[0]


def _not_offered_error(connection: Connection, profiles: tuple[Profile, ...]) -> InstallerError:
    names = ", ".join(f"“{profile}”" for profile in profiles)
    which = f"the health profile {names}" if len(profiles) == 1 else f"any of the health profiles {names}"
    return InstallerError(
        ErrorCode.MEASUREMENT_FAILED,
        f"The device {connection.address} does not offer {which} over Bluetooth.",
        "Check that the model is right, and that the device is set up as its vendor's app requires.",
        address=connection.address,
    )


def _malformed_error(connection: Connection, errors: list[CodecError]) -> InstallerError:
    what = "a malformed measurement" if len(errors) == 1 else f"{len(errors)} malformed measurements"
    return InstallerError(
        ErrorCode.DEVICE_MISBEHAVED,
        f"The device {connection.address} sent {what}: {errors[0]}.",
        "Measure again. If this continues, the firmware of the device violates the standard.",
        address=connection.address,
        count=len(errors),
    )
