"""Reads measurements from a connected device over the standard GATT health profiles.

A device deletes a measurement when its indication is confirmed, and the Bluetooth stack confirms by itself. So every
measurement that arrived is returned, also when the link drops or a malformed message came in between; and `keep` is
called inside the callback of the stack.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing, suppress
from datetime import datetime
from typing import NamedTuple

from installer.bluetooth.connection import Connection
from installer.catalogue.model import Profile
from installer.errors import ErrorCode, InstallerError
from installer.health_profiles.characteristic_fields import CodecError, NoValue
from installer.health_profiles.characteristics import CHARACTERISTICS, DecodedMessage, MessageJoiner
from installer.health_profiles.device_features import DeviceFeatures, read_device_features
from installer.measurement import Measurement

WAITING_ACTIVITY = "waiting for a measurement"
# A visit ends after this time, even if the device has more measurements: the next visit reads them.
MAX_VISIT_SECONDS = 600.0
# These profiles send current values all the time and store nothing, so they never become quiet.
LIVE_PROFILES = frozenset({Profile.HEART_RATE})


class CollectedMeasurement(NamedTuple):
    """One measurement: its profile, its values, and the bytes as the device sent them.

    The bytes of several messages are concatenated. Times: see `Measurement`. If the device has a clock, they are
    corrected by the error of that clock.
    """

    profile: Profile
    measurement: Measurement
    raw: bytes


KeepCallback = Callable[[CollectedMeasurement], None]
MalformedCallback = Callable[[Profile, bytes, str], None]


def offered_profiles(connection: Connection) -> tuple[Profile, ...]:
    """The health profiles that the device has, in the order of `Profile`."""
    return tuple(
        profile
        for profile, source in CHARACTERISTICS.items()
        if connection.has_characteristic(source.uuid, source.service)
    )


async def take_measurement(connection: Connection, profile: Profile, timeout: float = 60.0) -> Measurement:
    """The first measurement that the device sends within `timeout` seconds.

    Raises MEASUREMENT_FAILED (none came, or the device does not have the profile), DEVICE_MISBEHAVED (malformed),
    CONNECTION_LOST.
    """
    async with aclosing(measurements(connection, profile, timeout)) as stream:
        async for measurement in stream:
            return measurement
    raise no_measurement_error(connection, timeout)


def no_measurement_error(connection: Connection, seconds: float) -> InstallerError:
    """MEASUREMENT_FAILED: no measurement came in time."""
    return InstallerError(
        ErrorCode.MEASUREMENT_FAILED,
        f"The device {connection.address} sent no measurement within {seconds:g} s.",
        "Use it once while it is connected, close to this computer, then try again.",
        address=connection.address,
    )


async def measurements(connection: Connection, profile: Profile, quiet: float) -> AsyncGenerator[Measurement]:
    """`collect` for one profile, without the raw bytes. A malformed message is raised at once."""
    async with aclosing(
        _collect(connection, (profile,), quiet, quiet, MAX_VISIT_SECONDS, None, skip_malformed=False)
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
) -> AsyncGenerator[CollectedMeasurement]:
    """All measurements that the device sends over those of `profiles` that it offers, in the order of arrival.

    Ends when nothing came for `quiet` seconds (before the first measurement: `first` seconds), or after `limit`
    seconds. Heart rates come all the time and do not count. A profile that the device refuses is skipped if it allows
    another one.

    `keep` is called with each measurement inside the callback of the stack. If the stack confirms only after its
    callback, the device cannot delete a measurement before `keep` has stored it. An exception of `keep` ends the visit
    and is raised here; nothing more is kept. `malformed` gets, in the same way, the bytes of a malformed message and
    the reason; the message is then no failure.

    A body composition in two packets is returned when both arrived, or at the end of the visit. `keep` gets each
    packet when it arrives, as a measurement with the same time and user, because the device may delete it.

    Read the stream to its end, or give `keep`: the device considers every measurement that arrived as delivered.
    Raises at the end, after everything that arrived was returned: CONNECTION_LOST; DEVICE_MISBEHAVED if a message was
    malformed (it is skipped). Raises at once: MEASUREMENT_FAILED if the device offers none of the profiles, and the
    errors of subscribing.
    """
    async with aclosing(
        _collect(
            connection, tuple(profiles), first or quiet, quiet, limit, keep, skip_malformed=True, malformed=malformed
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
    *,
    skip_malformed: bool,
    malformed: MalformedCallback | None = None,
) -> AsyncGenerator[CollectedMeasurement]:
    available = tuple(profile for profile in offered_profiles(connection) if profile in profiles)
    if not available:
        raise _not_offered_error(connection, profiles)
    loop = asyncio.get_running_loop()
    end = loop.time() + limit
    queue = _MeasurementQueue(keep, malformed, await read_device_features(connection, available))
    failure: InstallerError | None = None
    try:
        try:
            await _subscribe(connection, available, queue)
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
        except InstallerError as error:
            # Measurements of the first profile may have arrived during the subscription to the second.
            failure = error
        while not queue.empty:
            found = await queue.get()
            if found is not None:
                yield found
        if failure is not None:
            raise failure
        if queue.errors and malformed is None:
            raise _malformed_error(connection, queue.errors)
    finally:
        for profile in available:
            with suppress(InstallerError):
                await connection.unsubscribe(CHARACTERISTICS[profile].uuid)


async def _subscribe(connection: Connection, profiles: tuple[Profile, ...], queue: _MeasurementQueue) -> None:
    """Subscribe to all profiles. Raises DEVICE_REFUSED if the device refuses all; else as `Connection.subscribe`."""
    refusals = []
    for profile in profiles:
        try:
            await connection.subscribe(CHARACTERISTICS[profile].uuid, queue.listener(profile))
        except InstallerError as error:
            # Some devices allow a second profile only after pairing.
            if error.code is not ErrorCode.DEVICE_REFUSED:
                raise
            refusals.append(error)
    if len(refusals) == len(profiles):
        raise refusals[0]


class _MeasurementQueue:
    """The measurements that arrived, decoded and kept on arrival. `errors`: of the malformed messages."""

    def __init__(
        self, keep: KeepCallback | None, malformed: MalformedCallback | None, features: DeviceFeatures
    ) -> None:
        self._keep = keep
        self._malformed = malformed
        self._features = features
        self._joiners: dict[Profile, MessageJoiner] = {}
        self._queue: asyncio.Queue[CollectedMeasurement | CodecError | BaseException] = asyncio.Queue()
        self._failure: BaseException | None = None
        self.errors: list[CodecError] = []

    @property
    def empty(self) -> bool:
        return self._queue.empty()

    def listener(self, profile: Profile) -> Callable[[bytes], None]:
        """The callback for the messages of a profile."""
        joiner = self._joiners[profile] = MessageJoiner(profile)
        return lambda data: self._process(profile, lambda: joiner.feed(data), data)

    def finish(self) -> None:
        """No more messages can come: add the measurements that are incomplete."""
        for profile, joiner in self._joiners.items():
            if self._failure is None:
                self._process(profile, joiner.finish)

    def _process(self, profile: Profile, decode: Callable[[], Iterator[DecodedMessage]], data: bytes = b"") -> None:
        if self._failure is not None:
            # Raised into the stack: a stack that confirms after its callback then does not confirm.
            raise self._failure
        try:
            try:
                for decoded in decode():
                    self._add(profile, decoded)
            except NoValue:
                return  # the user measures again
            except CodecError as error:
                self._queue.put_nowait(error)
                if self._malformed is not None:
                    self._malformed(profile, data, str(error))
        except BaseException as error:
            self._failure = error
            self._queue.put_nowait(error)
            raise

    def _add(self, profile: Profile, decoded: DecodedMessage) -> None:
        measurement = self._features.complete(profile, decoded.measurement, datetime.now().astimezone())
        collected = CollectedMeasurement(profile, measurement, decoded.raw)
        if decoded.to_keep and self._keep is not None:
            self._keep(collected)
        if decoded.to_deliver:
            self._queue.put_nowait(collected)

    async def get(self) -> CollectedMeasurement | None:
        """The next measurement; None for a malformed message. Raises the exception of `keep`."""
        item = await self._queue.get()
        if isinstance(item, CodecError):
            self.errors.append(item)
            return None
        if isinstance(item, BaseException):
            raise item
        return item


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
