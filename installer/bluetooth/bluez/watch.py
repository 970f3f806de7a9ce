"""Watches BlueZ over a connection of its own: its service, the adapter that is used, and devices that vanish.

bleak reports neither the death of bluetoothd nor the removal of a device's object (`bluez-behaviour`, rules 10 and
12). Signals of one event come one after the other and in any order of blame: a service that is stopped first drops
the links, then removes the adapter, then leaves the bus. So what looks like an adapter's end is judged a moment later.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from installer.bluetooth.bluez.bus import ADAPTER, DEVICE, OBJECT_MANAGER, PROPERTIES, SERVICE, BluezError, system_bus
from installer.bluetooth.bluez.service import DBUS, BluezService
from installer.bluetooth.bluez.trouble import AdapterState, Trouble, error_of, is_on
from installer.bluetooth.system_errors import dbus_code
from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbus_fast import Message

    from installer.bluetooth.bluez.bus import Bus

# How long the other signals of the same event may take.
JUDGE_SECONDS = 0.3
ROUNDS_IF_OFF = 3
# How long a service that stops may take to leave the bus.
LEAVE_SECONDS = 3.0
# How long a service that has just started may take until its adapter is there and switched on.
SETTLE_SECONDS = 4.0
# How long the service may take to say whether the adapter is on.
ANSWER_SECONDS = 1.0
# BlueZ takes 2 to 3 s to end a link.
DISCONNECT_SECONDS = 5.0

_RULES = (
    f"type='signal',sender='{DBUS}',interface='{DBUS}',member='NameOwnerChanged',arg0='{SERVICE}'",
    f"type='signal',sender='{SERVICE}',interface='{OBJECT_MANAGER}'",
    f"type='signal',sender='{SERVICE}',interface='{PROPERTIES}',member='PropertiesChanged',arg0='{ADAPTER}'",
)

Callback = Callable[[], None]


class BluezWatch:
    """Created by `open`; call `close` at the end.

    `wanted`: the name of an adapter, its address, or None for the first one that is switched on.
    `trouble`: why Bluetooth does not work now, None if it does; `error`: the same as an error.
    """

    def __init__(self, wanted: str | None, bus: Bus, stack: AsyncExitStack) -> None:
        self.trouble: Trouble | None = None
        self.error: InstallerError | None = None
        self._wanted = wanted
        self._bus = bus
        self._stack = stack
        self._service = BluezService(bus)
        self._may_not_ask = False
        self._adapters: dict[str, AdapterState] = {}
        self._used: str | None = None  # the path of the adapter
        self._was_usable = False
        self._settle_until = 0.0
        self._judging: asyncio.Task[None] | None = None
        self._listeners: list[Callback] = []
        self._device_listeners: dict[str, list[Callback]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._changed = asyncio.Event()

    @classmethod
    async def open(cls, wanted: str | None = None, address: str | None = None) -> Self:
        """Begin to watch. `address`: of another D-Bus than the system's.

        The service is started if it can be. Raises BLUETOOTH_DENIED, BLUETOOTH_MISSING, ADAPTER_FAILED only if the bus
        cannot be reached; a service or adapter that is missing is its `trouble`.
        """
        async with AsyncExitStack() as stack:
            bus = await stack.enter_async_context(system_bus(wanted, address))
            watch = cls(wanted, bus, stack)
            await watch._begin()
            watch._stack = stack.pop_all()
        return watch

    @property
    def adapter(self) -> AdapterState | None:
        """The adapter that is used, as far as it is there."""
        return self._adapters.get(self._used or "")

    @property
    def adapters(self) -> list[AdapterState]:
        """All adapters of this computer."""
        return sorted(self._adapters.values(), key=lambda state: state.number)

    @property
    def bus(self) -> Bus:
        """Its connection, for questions: to open another one takes some 20 messages. Usable while it `lives`."""
        return self._bus

    @property
    def lives(self) -> bool:
        """Whether it still hears the bus, and so notices when Bluetooth is back."""
        return not self._closed and self.trouble is not Trouble.NO_BUS

    def listen(self, callback: Callback) -> Callback:
        """Call `callback` when Bluetooth stops working, and when it works again. Returns what ends that."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback) if callback in self._listeners else None

    def on_removed(self, path: str, callback: Callback) -> Callback:
        """Call `callback` when the object of this device is removed. Returns what ends that."""
        callbacks = self._device_listeners.setdefault(path, [])
        callbacks.append(callback)

        def end() -> None:
            if callback in callbacks:
                callbacks.remove(callback)
            if not callbacks and self._device_listeners.get(path) is callbacks:
                del self._device_listeners[path]

        return end

    async def wait_until_usable(self, seconds: float) -> bool:
        """Wait until Bluetooth works, for so many seconds at most. Whether it does."""
        await self._wait(lambda: self.trouble is None or not self.lives, seconds)
        return self.trouble is None

    async def check(self) -> None:
        """Make sure that `trouble` is right: a link has dropped or a call failed, and the reason may come a bit later.

        Takes about 0.3 s if nothing is wrong, and some seconds if the service hangs.
        """
        if self.trouble is None and self._judging is None and self._used is not None:
            try:
                found = await self._bus.call(
                    self._used,
                    PROPERTIES,
                    "GetAll",
                    "s",
                    (ADAPTER,),
                    seconds=ANSWER_SECONDS,
                    destination=self._service.owner,  # a service that has gone is not started for this
                )
                if not (isinstance(found, dict) and is_on(found)):
                    self._suspect(Trouble.OFF)
            except BluezError as error:
                gone = error.name.startswith("org.freedesktop.DBus.Error.Unknown")
                self._suspect(Trouble.PULLED if gone else Trouble.SERVICE_STOPPED)
            except InstallerError:
                self._suspect(Trouble.SERVICE_STOPPED)
        if self.trouble is None and self._judging is None:
            await self._wait(lambda: self.trouble is not None, JUDGE_SECONDS)
        if self._judging is not None:
            await asyncio.wait({self._judging}, timeout=ROUNDS_IF_OFF * JUDGE_SECONDS + 2 * LEAVE_SECONDS)

    async def disconnect(self, path: str) -> None:
        """End the link to this device, or the attempt to make one. Never raises."""
        with suppress(BluezError, InstallerError):
            await self._bus.call(path, DEVICE, "Disconnect", seconds=DISCONNECT_SECONDS)

    async def begin_disconnect(self, path: str) -> bool:
        """Have BlueZ end the link to this device. Whether it has begun to: it then goes on also without this program.

        BlueZ waits 2 s before it ends a link, and answers when it has. But it takes what one connection sends in its
        order: when it answers the question after that request, it has taken the request. Never raises.
        """
        if not self._service.owner or self._closed:
            return False
        self._start(self.disconnect(path))
        await asyncio.sleep(0)
        asked = ("ss", (DEVICE, "Connected"))
        try:
            await self._bus.call(
                path, PROPERTIES, "Get", *asked, seconds=ANSWER_SECONDS, destination=self._service.owner
            )
        except BluezError as error:
            return error.name.startswith("org.freedesktop.DBus.Error.Unknown")  # it has no such device any more
        except InstallerError:
            return False
        return True

    async def close(self) -> None:
        """Stop watching. Never raises."""
        if self._closed:
            return
        self._closed = True
        self._listeners.clear()
        self._device_listeners.clear()
        tasks = [*self._tasks, *([self._judging] if self._judging is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._stack.aclose()

    async def _begin(self) -> None:
        self._bus.messages.add_message_handler(self._hear)
        await asyncio.gather(*(self._service.ask_bus("AddMatch", "s", rule) for rule in _RULES))
        await self._service.look()
        started = not self._service.owner and await self._service.start()
        if self._service.owner:
            with suppress(BluezError, InstallerError):
                await self._read_objects()
        if started:
            self._settle_until = _now() + SETTLE_SECONDS
            asyncio.get_running_loop().call_later(SETTLE_SECONDS, self._evaluate)
        self._evaluate()
        self._start(self._follow_bus())
        if started and self.trouble is not None:
            await self.wait_until_usable(SETTLE_SECONDS)

    async def _read_objects(self) -> None:
        try:
            objects = await self._bus.objects()
        except BluezError as error:
            self._may_not_ask = dbus_code(error.name) is ErrorCode.BLUETOOTH_DENIED
            raise
        self._may_not_ask = False
        for path, interfaces in objects.items():
            self._add(path, interfaces)

    # Signals.

    def _hear(self, message: Message) -> None:
        from dbus_fast import MessageType
        from dbus_fast.unpack import unpack_variants

        if message.message_type is not MessageType.SIGNAL or self._closed:
            return
        body = message.body
        match (message.interface, message.member):
            case (str(interface), "NameOwnerChanged") if interface == DBUS and body[0] == SERVICE:
                self._owner_changed(str(body[1]), str(body[2]))
            case (str(interface), "InterfacesAdded") if interface == OBJECT_MANAGER and ADAPTER in body[1]:
                self._add(str(body[0]), {ADAPTER: unpack_variants(body[1][ADAPTER])})
                self._evaluate()
            case (str(interface), "InterfacesRemoved") if interface == OBJECT_MANAGER:
                self._removed(str(body[0]), body[1])
            case (str(interface), "PropertiesChanged") if interface == PROPERTIES and body[0] == ADAPTER:
                self._adapter_changed(str(message.path), unpack_variants(body[1]))

    def _owner_changed(self, old: str, new: str) -> None:
        crashed = bool(self._adapters)  # a service that is stopped removes its adapters first
        self._service.owner = new
        if old:
            self._adapters.clear()
            self._report(Trouble.SERVICE_RESTARTED if new else Trouble.SERVICE_STOPPED)
            if crashed and not new:
                self._start(self._service.revive(lambda: self._closed))
        if new:
            self._settle_until = _now() + SETTLE_SECONDS
            asyncio.get_running_loop().call_later(SETTLE_SECONDS + 0.01, self._evaluate)
            self._start(self._look_at_new_service())

    def _add(self, path: str, interfaces: Mapping[str, Mapping[str, Any]]) -> None:
        values = interfaces.get(ADAPTER)
        if values is None:
            return
        self._adapters[path] = AdapterState.of(path, values)

    def _removed(self, path: str, interfaces: list[str]) -> None:
        if DEVICE in interfaces:
            for callback in tuple(self._device_listeners.get(path, ())):
                callback()
        if ADAPTER in interfaces and self._adapters.pop(path, None) is not None:
            if path == self._used:
                self._suspect(Trouble.PULLED)
            self._evaluate()

    def _adapter_changed(self, path: str, changed: Mapping[str, Any]) -> None:
        state, powered = self._adapters.get(path), is_on(changed)
        if state is None or powered is None:
            return
        self._adapters[path] = replace(state, powered=powered)
        if path == self._used and not powered:
            self._suspect(Trouble.OFF)
        self._evaluate()

    # Judgement.

    def _suspect(self, trouble: Trouble) -> None:
        """Something is wrong. What it is shows when the other signals of the same event have come."""
        if self.trouble is None and self._judging is None:
            self._judging = asyncio.ensure_future(self._judge(trouble))

    async def _judge(self, suspected: Trouble) -> None:
        # A service that is told to stop, and an adapter that is pulled, look at first like one that is switched off.
        for _ in range(ROUNDS_IF_OFF if suspected is Trouble.OFF else 1):
            await asyncio.sleep(JUDGE_SECONDS)
            # It answers when it has done what it is at, and never if it is about to end.
            if not await self._service.answers(LEAVE_SECONDS):
                await self._wait(lambda: not self._service.owner, LEAVE_SECONDS)
            if self._used not in self._adapters:
                break
        self._judging = None
        if self._closed or self.trouble is not None:
            return
        # Links and scans have ended, also if all is well again.
        self._report(self._state_of(self._used) or suspected)
        self._evaluate()

    def _evaluate(self) -> None:
        """Look at what there is now; report if Bluetooth works again, or not for another reason."""
        if self._closed or self._judging is not None or self.trouble is Trouble.NO_BUS:
            return
        best = min(self._adapters, key=self._rank, default=None)
        fits = best is not None and self._wanted_fits(self._adapters[best])
        trouble = self._state_of(best if fits else None)
        if trouble is not None and _now() < self._settle_until and self._service.owner:
            if self.trouble is None:
                self._report(Trouble.SERVICE_RESTARTED)
            return
        if fits:
            self._used = best
        self._was_usable = self._was_usable or trouble is None
        if trouble is not self.trouble:
            self._report(trouble)

    def _rank(self, path: str) -> tuple[object, ...]:
        state = self._adapters[path]
        usable = state.powered and state.central
        return (not self._wanted_fits(state), not usable, path != self._used, not state.central, state.number)

    def _wanted_fits(self, state: AdapterState) -> bool:
        return self._wanted is None or self._wanted.upper() in (state.name.upper(), state.address.upper())

    def _state_of(self, path: str | None) -> Trouble | None:
        """What is wrong with this adapter now."""
        if not self._service.owner:
            return Trouble.SERVICE_STOPPED if self._was_usable else Trouble.NO_SERVICE
        state = self._adapters.get(path or "")
        if state is None and self._may_not_ask:
            return Trouble.DENIED
        if state is None:
            if self._was_usable:
                return Trouble.PULLED
            return Trouble.UNKNOWN_ADAPTER if self._wanted and self._adapters else Trouble.NO_ADAPTER
        if not state.powered:
            return Trouble.OFF
        return None if state.central else Trouble.NOT_CENTRAL

    def _report(self, trouble: Trouble | None) -> None:
        if self._closed:
            return
        self.trouble = trouble
        if trouble is None:
            self.error = None
        else:
            judging, self._judging = self._judging, None
            if judging is not None:
                judging.cancel()
            name = (self._used or self._wanted or "").rpartition("/")[2]
            self.error = error_of(trouble, name, self.adapters)
        waiting, self._changed = self._changed, asyncio.Event()
        waiting.set()
        for callback in tuple(self._listeners):
            callback()

    # Tasks.

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look_at_new_service(self) -> None:
        """The adapters of a service that has just come. It may go again meanwhile."""
        with suppress(BluezError, InstallerError):
            await self._read_objects()
        self._evaluate()

    async def _follow_bus(self) -> None:
        with suppress(OSError, EOFError):
            await self._bus.closed()
        self._report(Trouble.NO_BUS)

    async def _wait(self, happened: Callable[[], bool], seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not happened():
                    await self._changed.wait()


def _now() -> float:
    return time.monotonic()
