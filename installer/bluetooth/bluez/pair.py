"""Pairs with a device over our own connection to the bus, with our own agent, and says why it failed.

bleak's pairing is not used: BlueZ asks the agent of the connection that calls `Pair()`, and bleak's has none.

Source: measured in `bluez-behaviour` §2: what `Pair()` answers, and that it may never answer. And: on a link that
stands, BlueZ 5.82 raises its security by what the agents could do when the link was made; without one that is Just
Works, and nobody is asked for digits. So the link is ended first, and `Pair()` makes a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from bleak.exc import BleakDBusError

from installer.bluetooth import system_errors
from installer.bluetooth.bluez.agent import Agent, Notes
from installer.bluetooth.bluez.bus import ADAPTER, DEVICE, PROPERTIES, BluezError, Bus
from installer.bluetooth.pairing import (
    PERSON_SECONDS,
    PairingDialog,
    PairingEnd,
    pairing_failed,
    pairing_needed,
)
from installer.errors import ErrorCode, InstallerError

# BlueZ ends a pairing after 31 to 32 s; a link may have to be made before.
PAIR_SECONDS = 45.0
# Less than the 30 s that a pairing may take, and more than a device takes to refuse or to hang up.
TOO_LATE_SECONDS = PERSON_SECONDS - 3.0
LOOK_SECONDS = 0.3
# A link ends after 2 to 3 s (`bluez-behaviour` §3).
END_LINK_SECONDS = 10.0
# The kernel tells BlueZ twice that a link has ended at its request: the event, and 40 ms later the confirmation (seen
# with 5.82). BlueZ cancels a pairing that it has begun in between. So it gets this time; and a pairing that is
# cancelled so early is asked for once more.
CONFIRMED_SECONDS = 0.3
CANCELED_AT_ONCE_SECONDS = 1.0
_ALREADY, _IN_PROGRESS = "org.bluez.Error.AlreadyExists", "org.bluez.Error.InProgress"
_CANCELED = "org.bluez.Error.AuthenticationCanceled"
_GONE = "org.freedesktop.DBus.Error.UnknownObject"


async def pair(bus: Bus, path: str, address: str, name: str, dialog: PairingDialog | None) -> None:
    """Pair with the device at this path. Does nothing if it is paired. If another program pairs it, wait for that.

    A link to it is ended before. Raises PAIRING_NEEDED, PAIRING_FAILED, what the dialog raised, CONNECTION_LOST, and
    the BLUETOOTH_* errors.
    """
    try:
        async with Agent(bus, path, name, dialog) as agent:
            if await is_paired(bus, path):
                return
            had_link = await _end_link(bus, path)
            if had_link:
                await asyncio.sleep(CONFIRMED_SECONDS)
            try:
                await _pair(bus, path, address, name, agent, may_be_canceled=had_link)
            except BaseException:
                # BlueZ keeps the link on which a pairing failed, and a connected device is not heard.
                with contextlib.suppress(BluezError, InstallerError):
                    await _end_link(bus, path)
                raise
    except BluezError as error:
        raise _system_error(bus, address, error) from None


async def _pair(bus: Bus, path: str, address: str, name: str, agent: Agent, *, may_be_canceled: bool) -> None:
    """`may_be_canceled`: by the confirmation that the link before has ended."""
    loop = asyncio.get_running_loop()
    end = loop.time() + PAIR_SECONDS
    # `Pair()` on a paired device is not answered by each version of BlueZ.
    while not await is_paired(bus, path):
        started = loop.time()
        try:
            async with asyncio.timeout_at(max(end, started + PAIR_SECONDS)):
                await bus.call(path, DEVICE, "Pair", seconds=None)
            if not await is_paired(bus, path):
                # Seen after a request that began a pairing for which there was no agent.
                raise pairing_failed(address, name, PairingEnd.DEVICE_HUNG_UP)
            return
        except BluezError as error:
            if error.name == _ALREADY:
                return
            at_once = error.name == _CANCELED and loop.time() - started < CANCELED_AT_ONCE_SECONDS
            if at_once and may_be_canceled and agent.notes == Notes():
                may_be_canceled = False
            elif error.name != _IN_PROGRESS or loop.time() > end:
                raise await _why(bus, path, address, name, agent, error, loop.time() - started) from None
        except TimeoutError:
            with contextlib.suppress(BluezError, InstallerError):
                await bus.call(path, DEVICE, "CancelPairing")
            why = "the Bluetooth service does not answer a request to pair"
            raise system_errors.not_answered(bus.adapter, why, "linux") from None
        # The agent of the desktop is asking the person.
        await asyncio.sleep(LOOK_SECONDS)


async def is_paired(bus: Bus, path: str) -> bool:
    """Whether this computer has the keys of the device. Raises BluezError."""
    return (await _property(bus, path, DEVICE, "Paired")) is True


async def _end_link(bus: Bus, path: str) -> bool:
    """End the link, if there is one; whether there was. Raises BluezError and the errors of the bus."""
    if not await _property(bus, path, DEVICE, "Connected"):
        return False
    await bus.call(path, DEVICE, "Disconnect")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(END_LINK_SECONDS):
            while await _property(bus, path, DEVICE, "Connected"):  # noqa: ASYNC110 - the property is BlueZ's
                await asyncio.sleep(LOOK_SECONDS)
    return True


async def look_anew(bus: Bus, path: str, address: str) -> None:
    """Let BlueZ find the device anew, so that no request to it is left. Raises CONNECTION_LOST and adapter errors."""
    from installer.bluetooth.bluez import look_anew

    try:
        await look_anew.look_anew(bus, path)
    except BluezError as error:
        raise _system_error(bus, address, error) from None
    except TimeoutError:
        raise _system_error(bus, address, BluezError(_GONE)) from None


async def has_agent(bus: Bus, path: str) -> bool:
    """Whether somebody has registered an agent; `path`: of a device. Raises BluezError.

    An adapter becomes pairable with the first agent.
    """
    return (await _property(bus, path.rpartition("/")[0], ADAPTER, "Pairable")) is True


async def _property(bus: Bus, path: str, interface: str, name: str) -> Any:
    return await bus.call(path, PROPERTIES, "Get", "ss", (interface, name))


async def _why(
    bus: Bus, path: str, address: str, name: str, agent: Agent, error: BluezError, took: float
) -> BaseException:
    """Why `Pair()` failed. BlueZ's error covers many causes; the agent and the time tell them apart."""
    notes = agent.notes
    if notes.problem is not None:
        return notes.problem
    if notes.nobody:
        return pairing_needed(address, name)
    if not error.name.startswith("org.bluez.Error.Authentication"):
        return _system_error(bus, address, error)
    adapter = path.rpartition("/")[0]
    if (await _property(bus, adapter, ADAPTER, "Powered")) is False:
        return system_errors.bluetooth_off()
    if notes.differs:
        end = PairingEnd.OTHER_NUMBER
    elif error.name == _CANCELED and took >= TOO_LATE_SECONDS:
        end = PairingEnd.PERSON_TOO_LATE if notes.withdrawn else PairingEnd.DEVICE_TOO_LATE
    elif error.name == _CANCELED:
        end = PairingEnd.DEVICE_HUNG_UP
    else:
        end = PairingEnd.WRONG_DIGITS if notes.digits else PairingEnd.DEVICE_REFUSED
    return pairing_failed(address, name, end)


def _system_error(bus: Bus, address: str, error: BluezError) -> InstallerError:
    if error.name == _GONE:
        return InstallerError(
            ErrorCode.CONNECTION_LOST,
            f"The device {address} went out of reach while it was being paired.",
            "Bring it close to this computer and keep it awake, then try again.",
            address=address,
        )
    return system_errors.adapter_error(BleakDBusError(error.name, [error.text]), bus.adapter)
