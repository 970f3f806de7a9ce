"""One visit to a device: connect, subscribe to its health profiles, write what it sends until it has no more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from bleak.backends.device import BLEDevice

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.connection import Connection
from installer.catalogue.model import Profile
from installer.errors import ErrorCode, InstallerError
from installer.gateway import earlier_visits
from installer.gateway.devices import GatewayDevice
from installer.gateway.outbox import Outbox
from installer.gateway.outbox_writer import OutboxWriter
from installer.health_profiles import reader
from installer.health_profiles.user_consent import Consent

# A confirmation has reached the device after this many seconds, if the device has not ended the link before.
CONFIRMATION_SECONDS = 0.3
CONSENT_CODE_SECONDS = 10.0

# What the record of a visit says besides, and what to do. A gateway asks nobody, and pairs nothing.
_ADVICE = {
    ErrorCode.PAIRING_NEEDED: (
        "Install it once more on this computer, which pairs it.",
        "`device-installer install --device {0}`, or pair it in the Bluetooth settings of this computer. The gateway "
        "then collects by itself.",
    ),
    ErrorCode.BOND_LOST: (
        "If you reset it, install it once more on this computer.",
        "`device-installer install --device {0} --renew-bond`. The gateway then collects by itself.",
    ),
}


@dataclass(frozen=True)
class VisitTimeouts:
    """Seconds. `connect`: for a connection; `first`: until the first measurement; `quiet`: without a further one.

    `total`: for the whole visit. A device that was just switched on needs time to measure.
    """

    connect: float = 20.0
    first: float = 30.0
    quiet: float = 3.0
    total: float = 180.0


class VisitEnd(NamedTuple):
    """How a visit ended. `by_device`: the device ended the connection; `in_doubt`: at once after its last message.

    Then the last confirmation may not have reached it.
    """

    by_device: bool
    in_doubt: bool


async def _take_any(_: Connection) -> None:
    """Whichever unit answers."""


async def visit_device(
    adapter: Adapter,
    device: BLEDevice,
    profiles: Sequence[Profile],
    writer: OutboxWriter,
    timeouts: VisitTimeouts,
    on_connected: Callable[[], None] = lambda: None,
    check: Callable[[Connection], Awaitable[None]] = _take_any,
    options: reader.CollectOptions = reader.USUAL,
) -> VisitEnd:
    """Collect all measurements that the device has. `on_connected` is called when the connection is open.

    `check` raises if another unit answers, before anything is read from it.

    A paired device is collected from as any other; nothing is paired, for nobody is there to answer.

    Raises CONNECTION_FAILED, CONNECTION_LOST, DEVICE_REFUSED, DEVICE_MISBEHAVED, MEASUREMENT_FAILED (it has none of
    the profiles), PAIRING_NEEDED, BOND_LOST, and what `writer` raised. What came before the error is written.
    """
    try:
        connection = await Connection.open(adapter, device, timeouts.connect, attempts=2)
    except InstallerError as error:
        raise _with_advice(error) from None
    try:
        on_connected()
        await check(connection)
        stream = reader.collect(
            connection,
            profiles,
            timeouts.quiet,
            first=timeouts.first,
            limit=timeouts.total,
            keep=writer.write_measurement,
            malformed=writer.write_unreadable,
            options=options,
        )
        async with aclosing(stream) as measurements:
            async for _ in measurements:
                pass  # the writer has it already
        if connection.lost_at is None:
            return VisitEnd(by_device=False, in_doubt=False)
        # `lost_at` is of the loop's clock, which is the monotonic one.
        return VisitEnd(by_device=True, in_doubt=connection.lost_at - writer.last_message < CONFIRMATION_SECONDS)
    except InstallerError as error:
        # If a message could not be written, the connection ends; then the reason is the writer's.
        raise writer.failure or _with_advice(error) from None
    finally:
        await connection.close()


async def collect_options(device: GatewayDevice, outbox: Outbox) -> reader.CollectOptions:
    """How to collect from this device. Raises SECRET_UNAVAILABLE for its consent code; DATABASE_FAILED."""
    consent = None
    if device.consent is not None:
        code = await device.consent.code.fetch_within(CONSENT_CODE_SECONDS, "consent code")
        consent = Consent(device.consent.user, code)
    return reader.CollectOptions(
        set_time=device.set_time,
        consent=consent,
        consent_needed=device.consent_needed,
        last_record=earlier_visits.last_record(outbox, device.address),
        clock_change=earlier_visits.clock_change(outbox, device.address),
        on_clock_set=partial(earlier_visits.remember_clock_change, outbox, device.address),
    )


def _with_advice(error: InstallerError) -> InstallerError:
    """The same, with what a person does later about a device that wants to be paired."""
    if error.code not in _ADVICE:
        return error
    told, todo = _ADVICE[error.code]
    address = error.data.get("address", "ADDRESS")
    return InstallerError(error.code, f"{error.what} {told}", todo.format(address), **error.data)
