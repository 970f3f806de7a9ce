"""Takes what a device measured over its connection, by the standard health profiles that it offers.

A device forgets a measurement once its indication was confirmed, which the Bluetooth stack does by itself. So what has
arrived is always handed on, also when the link drops or something that makes no sense came in between; and `keep` sees
each one in the very callback by which the stack delivers it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing, suppress
from datetime import datetime
from typing import NamedTuple

from installer.bluetooth.connection import Connection
from installer.catalogue.catalogue import Profile
from installer.errors import ErrorCode, InstallerError
from installer.health_profiles import characteristics
from installer.health_profiles.device_features import About, read_about
from installer.measurement import Measurement

WHAT = "waiting for a measurement"
# No visit lasts longer, however much a device has to tell; what it still holds comes with the next one.
LIMIT_SECONDS = 600.0
# These tell what is now, again and again, and keep nothing: waiting for their silence would last for ever.
LIVE = frozenset({Profile.HEART_RATE})


class Collected(NamedTuple):
    """One measurement: the profile it came by, what it says, and the bytes as the device sent them.

    The bytes of one that came in several parts stand one after the other. Its times: see `Measurement`; where the
    device tells its own clock, they are corrected by what it is wrong.
    """

    profile: Profile
    measurement: Measurement
    raw: bytes


Keep = Callable[[Collected], None]
Strange = Callable[[Profile, bytes, str], None]


def offered(connection: Connection) -> tuple[Profile, ...]:
    """The health profiles that the device has, in the order of `Profile`."""
    return tuple(
        profile
        for profile, source in characteristics.CHARACTERISTICS.items()
        if connection.has_characteristic(source.uuid, source.service)
    )


async def take_measurement(connection: Connection, profile: Profile, timeout: float = 60.0) -> Measurement:
    """The first measurement that the device sends within `timeout` seconds.

    Raises MEASUREMENT_FAILED (none came, or the device has no such profile), DEVICE_MISBEHAVED
    (it makes no sense), CONNECTION_LOST.
    """
    async with aclosing(measurements(connection, profile, timeout)) as stream:
        async for measurement in stream:
            return measurement
    raise nothing_came(connection, timeout)


def nothing_came(connection: Connection, seconds: float) -> InstallerError:
    """MEASUREMENT_FAILED: the device was waited for in vain."""
    return InstallerError(
        ErrorCode.MEASUREMENT_FAILED,
        f"The device {connection.address} sent no measurement within {seconds:g} s.",
        "Use it once while it is connected, close to this computer, then try again.",
        address=connection.address,
    )


async def measurements(connection: Connection, profile: Profile, quiet: float) -> AsyncGenerator[Measurement]:
    """`collect` for one profile, the measurements alone; what makes no sense is raised at once."""
    async with aclosing(_visit(connection, (profile,), quiet, quiet, LIMIT_SECONDS, None, patient=False)) as stream:
        async for found in stream:
            yield found.measurement


async def collect(
    connection: Connection,
    profiles: Iterable[Profile],
    quiet: float,
    *,
    first: float | None = None,
    limit: float = LIMIT_SECONDS,
    keep: Keep | None = None,
    strange: Strange | None = None,
) -> AsyncGenerator[Collected]:
    """All that the device tells by those of `profiles` that it offers, in the order in which it tells it.

    Ends when nothing came for `quiet` seconds (`first`: for the first one), or after `limit` seconds. A heart rate,
    which is told all the time, does not count. A profile that the device refuses, while it allows another, is left out.

    `keep` is called with each measurement inside the stack's own callback: what it has written is safe before the
    device may forget it, as far as the stack confirms only after its callback. What `keep` raises ends the visit and
    is raised here; nothing is kept after it. `strange` gets, in the same way, the bytes of a message that makes no
    sense, and why; that is no failure then.

    A body composition that comes in two packets is handed on when both are there, or the visit is over. `keep` gets
    each of them as it comes, as a measurement of the same time and user: confirmed, the device may forget it.

    Take all of it, or give `keep`: the device holds what has arrived for delivered. Raises at the end, when all that
    had arrived was handed on: CONNECTION_LOST; DEVICE_MISBEHAVED if something made no sense (it is passed over). At
    once: MEASUREMENT_FAILED if the device offers none of the profiles, and what subscribing raises.
    """
    async with aclosing(
        _visit(connection, tuple(profiles), first or quiet, quiet, limit, keep, patient=True, strange=strange)
    ) as stream:
        async for found in stream:
            yield found


async def _visit(
    connection: Connection,
    profiles: tuple[Profile, ...],
    first: float,
    quiet: float,
    limit: float,
    keep: Keep | None,
    *,
    patient: bool,
    strange: Strange | None = None,
) -> AsyncGenerator[Collected]:
    here = tuple(profile for profile in offered(connection) if profile in profiles)
    if not here:
        raise _not_offered(connection, profiles)
    loop = asyncio.get_running_loop()
    end = loop.time() + limit
    inbox = _Inbox(keep, strange, await read_about(connection, here))
    failure: InstallerError | None = None
    try:
        try:
            await _subscribe(connection, here, inbox)
            deadline = loop.time() + first
            while (now := loop.time()) < min(deadline, end):
                try:
                    found = await connection.race(inbox.take(), min(deadline, end) - now, WHAT)
                except TimeoutError:
                    break
                if found is not None:
                    yield found
                    if found.profile not in LIVE:
                        deadline = loop.time() + quiet
                elif not patient:
                    raise _nonsense(connection, inbox.nonsense)
            # What comes until the device has heard that nobody listens any more is confirmed, too.
            for profile in here:
                await connection.unsubscribe(characteristics.CHARACTERISTICS[profile].uuid)
            inbox.over()
        except InstallerError as error:
            # The first profile's measurements may have come while the second one was subscribed.
            failure = error
        while inbox.waiting:
            found = await inbox.take()
            if found is not None:
                yield found
        if failure is not None:
            raise failure
        if inbox.nonsense and strange is None:
            raise _nonsense(connection, inbox.nonsense)
    finally:
        for profile in here:
            with suppress(InstallerError):
                await connection.unsubscribe(characteristics.CHARACTERISTICS[profile].uuid)


async def _subscribe(connection: Connection, profiles: tuple[Profile, ...], inbox: _Inbox) -> None:
    """Listen to all of them. Raises DEVICE_REFUSED if the device refuses each; else as `Connection.subscribe`."""
    refused = []
    for profile in profiles:
        try:
            await connection.subscribe(characteristics.CHARACTERISTICS[profile].uuid, inbox.listener(profile))
        except InstallerError as error:
            # Some devices keep a second profile for whoever has paired with them.
            if error.code is not ErrorCode.DEVICE_REFUSED:
                raise
            refused.append(error)
    if len(refused) == len(profiles):
        raise refused[0]


class _Inbox:
    """What has arrived, decoded and kept as it came. `nonsense`: why messages were passed over."""

    def __init__(self, keep: Keep | None, strange: Strange | None, about: About) -> None:
        self._keep = keep
        self._strange = strange
        self._about = about
        self._parts: dict[Profile, characteristics.Parts] = {}
        self._queue: asyncio.Queue[Collected | characteristics.CodecError | BaseException] = asyncio.Queue()
        self._failed: BaseException | None = None
        self.nonsense: list[characteristics.CodecError] = []

    @property
    def waiting(self) -> bool:
        return not self._queue.empty()

    def listener(self, profile: Profile) -> Callable[[bytes], None]:
        """The callback for a profile's messages."""
        parts = self._parts[profile] = characteristics.Parts(profile)
        return lambda data: self._arrived(profile, lambda: parts.feed(data), data)

    def over(self) -> None:
        """No more can come: what waits for its other part is all there is of it."""
        for profile, parts in self._parts.items():
            if self._failed is None:
                self._arrived(profile, parts.rest)

    def _arrived(self, profile: Profile, read: Callable[[], Iterator[characteristics.Told]], data: bytes = b"") -> None:
        if self._failed is not None:
            # Raised to the stack, so that one that confirms after its callback does not confirm.
            raise self._failed
        try:
            try:
                for told in read():
                    self._take_in(profile, told)
            except characteristics.NoValue:
                return  # the person measures again
            except characteristics.CodecError as error:
                self._queue.put_nowait(error)
                if self._strange is not None:
                    self._strange(profile, data, str(error))
        except BaseException as error:
            self._failed = error
            self._queue.put_nowait(error)
            raise

    def _take_in(self, profile: Profile, told: characteristics.Told) -> None:
        measurement = self._about.completed(profile, told.measurement, datetime.now().astimezone())
        found = Collected(profile, measurement, told.raw)
        if told.piece and self._keep is not None:
            self._keep(found)
        if told.whole:
            self._queue.put_nowait(found)

    async def take(self) -> Collected | None:
        """The next one; None for one that makes no sense. Raises what `keep` raised."""
        item = await self._queue.get()
        if isinstance(item, characteristics.CodecError):
            self.nonsense.append(item)
            return None
        if isinstance(item, BaseException):
            raise item
        return item


def _not_offered(connection: Connection, profiles: tuple[Profile, ...]) -> InstallerError:
    names = ", ".join(f"“{profile}”" for profile in profiles)
    which = f"the health profile {names}" if len(profiles) == 1 else f"any of the health profiles {names}"
    return InstallerError(
        ErrorCode.MEASUREMENT_FAILED,
        f"The device {connection.address} does not offer {which} over Bluetooth.",
        "Check that the model is the right one, and that the device is set up as its vendor's app wants it.",
        address=connection.address,
    )


def _nonsense(connection: Connection, found: list[characteristics.CodecError]) -> InstallerError:
    first = "a measurement that makes no sense" if len(found) == 1 else f"{len(found)} measurements that make no sense"
    return InstallerError(
        ErrorCode.DEVICE_MISBEHAVED,
        f"The device {connection.address} sent {first}: {found[0]}.",
        "Measure again; if this stays, its firmware breaks the standard.",
        address=connection.address,
        count=len(found),
    )
