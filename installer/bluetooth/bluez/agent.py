"""Answers BlueZ when it asks about a pairing: an org.bluez.Agent1 on our own connection, while we pair one device.

BlueZ asks the agent of the connection that called `Pair()`. It is never made the default agent: that place is the
desktop's. Where there is no other agent, BlueZ takes it as the default; so it refuses all devices but the one.

Source: `org.bluez.Agent1`, `org.bluez.AgentManager1`; measured in `bluez-behaviour` §2.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from installer.bluetooth.bluez.bus import AGENT, AGENT_MANAGER, SERVICE, BluezError, Bus
from installer.bluetooth.pairing import PairingDialog, is_passkey
from installer.errors import InstallerError

if TYPE_CHECKING:
    from dbus_fast import Message

PATH = "/org/device_installer/agent"
# Digits can be shown, typed, and compared.
CAPABILITY = "KeyboardDisplay"
REJECTED, CANCELED = "org.bluez.Error.Rejected", "org.bluez.Error.Canceled"


@dataclass
class Notes:
    """What happened at the agent during one pairing: BlueZ's own error does not tell.

    `nobody`: a question came, and nobody can be asked. `digits`: digits were typed, or shown to be typed on the device.
    `differs`: the person said that the numbers differ. `withdrawn`: BlueZ took back a question that was not answered.
    `problem`: what the dialog raised.
    """

    nobody: bool = False
    digits: bool = False
    differs: bool = False
    withdrawn: bool = False
    problem: BaseException | None = None


class Agent:
    """An async context manager: registered inside. `device`: the path of its D-Bus object; `dialog`: None for nobody.

    Entering raises BluezError, ADAPTER_FAILED, BLUETOOTH_MISSING.
    """

    def __init__(self, bus: Bus, device: str, name: str, dialog: PairingDialog | None) -> None:
        self.notes = Notes()
        self._bus = bus
        self._device = device
        self._name = name
        self._dialog = dialog
        self._owner = ""
        self._question: asyncio.Task[Any] | None = None

    async def __aenter__(self) -> Self:
        bus_service = "org.freedesktop.DBus"
        self._owner = await self._bus.call(
            "/org/freedesktop/DBus", bus_service, "GetNameOwner", "s", (SERVICE,), destination=bus_service
        )
        self._bus.messages.add_message_handler(self._hear)
        try:
            await self._bus.call("/org/bluez", AGENT_MANAGER, "RegisterAgent", "os", (PATH, CAPABILITY))
        except BaseException:
            self._bus.messages.remove_message_handler(self._hear)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        question = self._question
        self._withdraw()
        if question is not None:
            await asyncio.wait({question})
        with contextlib.suppress(BluezError, InstallerError):
            await self._bus.call("/org/bluez", AGENT_MANAGER, "UnregisterAgent", "o", (PATH,))
        self._bus.messages.remove_message_handler(self._hear)

    def _hear(self, message: Message) -> Message | bool | None:
        from dbus_fast import Message, MessageType

        if message.message_type is not MessageType.METHOD_CALL or message.interface != AGENT or message.path != PATH:
            return None
        if message.sender != self._owner:
            return Message.new_error(message, REJECTED, "Only the Bluetooth service may ask")
        match message.member:
            case "Release":
                self._withdraw()
                return Message.new_method_return(message)
            case "Cancel":
                self.notes.withdrawn = self._question is not None and not self._question.done()
                self._withdraw()
                return Message.new_method_return(message)
        if not message.body or message.body[0] != self._device:
            return Message.new_error(message, REJECTED, "Another device is being paired")
        ask = self._question_in(str(message.member), message.body)
        if ask is None:
            return Message.new_error(message, REJECTED, "This agent does not do that")
        if self._dialog is None:
            self.notes.nobody = True
            ask.close()
            return Message.new_error(message, REJECTED, "Nobody is there")
        self._withdraw()
        self._question = asyncio.ensure_future(ask)
        self._question.add_done_callback(partial(self._reply, message))
        return True

    def _question_in(self, member: str, body: list[Any]) -> Coroutine[Any, Any, tuple[Any, ...]] | None:
        """What to ask for this call, which then returns the values of the answer; None for a classic device's."""
        match member, body[1:]:
            case "RequestPasskey", []:
                return self._passkey()
            case "RequestConfirmation", [int(number)]:
                return self._same_number(_digits(number))
            case "DisplayPasskey", [int(number), int()]:
                return self._show(_digits(number))
            case "RequestAuthorization", []:
                return self._allow()
            case "AuthorizeService", [str()]:
                return self._allow()
        return None

    async def _passkey(self) -> tuple[Any, ...]:
        assert self._dialog is not None
        typed = await self._dialog.passkey(self._name)
        if not is_passkey(typed):
            raise ValueError("not six digits")
        self.notes.digits = True
        return (int(typed),)

    async def _same_number(self, number: str) -> tuple[Any, ...]:
        assert self._dialog is not None
        if not await self._dialog.same_number(self._name, number):
            self.notes.differs = True
            raise _Refused
        return ()

    async def _show(self, passkey: str) -> tuple[Any, ...]:
        assert self._dialog is not None
        self._dialog.show_passkey(self._name, passkey)
        self.notes.digits = True
        return ()

    async def _allow(self) -> tuple[Any, ...]:
        assert self._dialog is not None
        if not await self._dialog.allow(self._name):
            raise _Refused
        return ()

    def _reply(self, message: Message, question: asyncio.Task[tuple[Any, ...]]) -> None:
        from dbus_fast import Message

        if question.cancelled():
            # BlueZ has withdrawn it, and takes no notice of an answer.
            reply = Message.new_error(message, CANCELED, "Withdrawn")
        elif (problem := question.exception()) is not None:
            self.notes.problem = None if isinstance(problem, _Refused) else problem
            reply = Message.new_error(message, REJECTED, "No")
        else:
            values = question.result()
            reply = Message.new_method_return(message, "u" if values else "", list(values))
        if self._bus.messages.connected:
            self._bus.messages.send(reply)

    def _withdraw(self) -> None:
        question, self._question = self._question, None
        if question is not None:
            question.cancel()


class _Refused(Exception):
    """The person said no."""


def _digits(number: int) -> str:
    """BlueZ gives a number; the device shows six digits."""
    return f"{number:06d}"
