"""What devices do when the stand-in for BlueZ pairs them: they ask its agent, or end it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from dbus_fast import MessageType

if TYPE_CHECKING:
    from tests.system.bluez_stand_in import StandIn

FAILED, CANCELED = "org.bluez.Error.AuthenticationFailed", "org.bluez.Error.AuthenticationCanceled"

# Returns the name of the error, or "" if the device is paired.
Device = Callable[["StandIn"], Coroutine[Any, Any, str]]


async def just_works(_: StandIn) -> str:
    """The agent is not asked when we begin (`bluez-behaviour` §2.2)."""
    return ""


async def refuses(_: StandIn) -> str:
    """The device takes no pairing."""
    return FAILED


async def hangs_up(bluez: StandIn) -> str:
    """The device ends the link."""
    bluez.hangs_up(bluez.pairing)
    return CANCELED


def shows(digits: int) -> Device:
    """A device that shows a passkey."""

    async def device(bluez: StandIn) -> str:
        answer = await bluez.ask("RequestPasskey")
        return "" if answer.body == [digits] else FAILED

    return device


def compares(number: int, *, device_says: bool = True) -> Device:
    """A device that shows a number and asks for a yes."""

    async def device(bluez: StandIn) -> str:
        answer = await bluez.ask("RequestConfirmation", "ou", number)
        return "" if device_says and answer.message_type is MessageType.METHOD_RETURN else FAILED

    return device


def has_keys(typed: int) -> Device:
    """A device with a keyboard, on which somebody types these digits."""

    async def device(bluez: StandIn) -> str:
        answer = await bluez.ask("DisplayPasskey", "ouq", 63140, 0)
        return "" if typed == 63140 and answer.message_type is MessageType.METHOD_RETURN else FAILED

    return device


async def cancels(bluez: StandIn) -> str:
    """The device ends the pairing while the agent is asked."""
    question = asyncio.ensure_future(bluez.ask("RequestPasskey"))
    await bluez.cancel_after.wait()
    await bluez.ask("Cancel", "")
    await question
    return CANCELED
