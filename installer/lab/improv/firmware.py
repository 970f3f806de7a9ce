"""The Improv firmware of a lab device: what it does with the bytes that a client writes.

Written from the Improv Wi-Fi specification for BLE as given in `facts/improv-ble.md` (§ numbers are that sheet's); it
shares no code with the installer's driver. No Bluetooth in here: the device binds it to GATT.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Protocol

from pydantic import SecretStr

from installer.lab.access_points import Heard
from installer.lab.fault_counter import FaultBox
from installer.lab.improv.frames import (
    AUTH,
    CAPABILITIES,
    ERROR,
    HOSTNAME,
    HOSTNAME_BIT,
    IDENTIFY_BIT,
    INFO_BIT,
    MAX_DATA,
    POINTS,
    RESULT,
    SCAN_BIT,
    STATE,
    Command,
    Error,
    State,
    checksum,
    frame,
    spoil,
    strings,
    text,
)
from installer.lab.scenario import PressAfter
from installer.lab.timers import Timers


class Firmware(Protocol):
    """What the rest of the device does for its Improv part."""

    def changed(self, characteristic: str, value: bytes) -> None:
        """This characteristic has a new value: notify it."""

    def scan(self) -> Awaitable[list[Heard]]:
        """The access points in reach."""

    def join(self, ssid: str, passphrase: SecretStr) -> Awaitable[bool]:
        """Try to join; whether it worked."""

    def drop(self) -> None:
        """End the Bluetooth link as a lost one, now."""

    def drop_soon(self) -> None:
        """The same, after the client has its write response."""

    def provisioned(self) -> None:
        """The client was told that the device is provisioned."""

    def log(self, words: str) -> None:
        """A line for the lab's log."""


class Improv:
    """The five characteristics and what is behind them. All methods belong to the event loop's thread."""

    def __init__(
        self,
        firmware: Firmware,
        faults: FaultBox,
        *,
        info: Sequence[str],
        hostname: str,
        url: str,
        wifi: bool,
        authorization: str | PressAfter,
        expires: float,
    ) -> None:
        self._firmware = firmware
        self._faults = faults
        self._info = tuple(info)
        self._first_hostname = hostname
        self._url = url
        self._wifi = wifi
        self._authorization = authorization
        self._expires = expires
        self.capabilities = IDENTIFY_BIT | INFO_BIT | (SCAN_BIT | HOSTNAME_BIT if wifi else 0)
        self._timers = Timers()
        self._task: asyncio.Task[None] | None = None
        self._scanning: asyncio.Task[None] | None = None
        self._connected = False
        self._clear()

    def _clear(self) -> None:
        self.state = State.AUTHORIZED if self._authorization == "none" else State.AUTHORIZATION_REQUIRED
        self.error = Error.NONE
        self.result = b""
        self.hostname = self._first_hostname
        self.identified = self.credentials_received = self.wifi_commands = 0
        self._buffer = b""
        self._blocked = self._deaf = False

    def reset(self) -> None:
        """Factory state."""
        for task in (self._task, self._scanning):
            if task is not None:
                task.cancel()
        self._task = self._scanning = None
        self._timers.clear()
        self._clear()

    # The link.

    def connected(self) -> None:
        """A client connected."""
        self._connected = True
        self._blocked = self._faults.take("never_authorized") is not None
        self._expect_press()

    def disconnected(self) -> None:
        """The client is gone: a half-sent frame and the error are forgotten (§8)."""
        self._connected = self._blocked = self._deaf = False
        self._buffer = b""
        self.error = Error.NONE
        self._timers.cancel("press")

    def values(self, characteristic: str) -> bytes:
        """What reading `characteristic` gives."""
        return {
            STATE: bytes((self.state,)),
            ERROR: bytes((self.error,)),
            RESULT: self.result,
            CAPABILITIES: bytes((self.capabilities,)),
        }[characteristic]

    def service_data(self) -> bytes:
        """The six bytes of the advertisement (§11)."""
        return bytes((self.state, self.capabilities, 0, 0, 0, 0))

    # Authorisation.

    def press(self) -> None:
        """Somebody presses the button."""
        if self._blocked or self._authorization in ("never", "none"):
            return
        if self.state in (State.AUTHORIZATION_REQUIRED, State.AUTHORIZED):
            self._timers.cancel("press")
            self._enter(State.AUTHORIZED)
            self._restart_expiry()

    def _restart_expiry(self) -> None:
        if self._authorization != "none":
            self._timers.later("expiry", self._expires, self._expire)

    def _expire(self) -> None:
        if self.state is State.AUTHORIZED:
            self._enter(State.AUTHORIZATION_REQUIRED)
            self._expect_press()

    def _expect_press(self) -> None:
        waits = self._connected and not self._blocked and self.state is State.AUTHORIZATION_REQUIRED
        if waits and isinstance(self._authorization, PressAfter):
            self._timers.later("press", self._authorization.press_after, self.press)

    def taken_over(self) -> None:
        """Another app sends credentials, wrong ones."""
        self._provision(text("Another network") + text("another passphrase"))

    # Commands.

    def write(self, data: bytes) -> None:
        """A write to the command characteristic: part of a frame, or all of it (§8)."""
        if self._deaf:
            return
        self._buffer += data
        if len(self._buffer) < 3:
            return
        excess = len(self._buffer) - 3 - self._buffer[1]
        if excess < 0:
            if self._faults.take("drop", "half") is not None:
                self._lose("half")
            return
        whole, self._buffer = self._buffer, b""
        if excess == 0:
            self._received(whole)

    def _received(self, whole: bytes) -> None:
        if self.error is not Error.NONE:
            self._fail(Error.NONE)
        command, data = whole[0], whole[2:-1]
        if checksum(whole[:-1]) != whole[-1]:
            self._fail(Error.MALFORMED)
            return
        known = {Command.IDENTIFY, Command.INFO} | ({Command.SCAN, Command.HOSTNAME} if self._wifi else set())
        if command == Command.WIFI:
            self.wifi_commands += 1
        if command not in known and not (command == Command.WIFI and self._wifi):
            self._fail(Error.UNKNOWN_COMMAND)
            return
        point = POINTS[Command(command)]
        if self._faults.take("drop", point) is not None:
            self._lose(point)
        elif self._faults.take("silent", point) is not None:
            self._firmware.log(f"fault: no answer to {point}")
        else:
            self._obey(Command(command), data)

    def _lose(self, point: str) -> None:
        self._firmware.log(f"fault: the link drops at {point}")
        self._deaf = True
        self._firmware.drop_soon()

    def _obey(self, command: Command, data: bytes) -> None:
        if command is Command.IDENTIFY:
            self.identified += 1
            self._firmware.log("identifies itself")
        elif command is Command.INFO:
            self._answer(command, list(self._info))
        elif command is Command.SCAN:
            if self._scanning is None or self._scanning.done():
                self._scanning = asyncio.create_task(self._scan())
        elif command is Command.HOSTNAME:
            self._name(data)
        else:
            self._provision(data)

    async def _scan(self) -> None:
        heard = await self._firmware.scan()
        found: list[str] = []
        size = 0
        for point in heard:
            entry = [point.ssid, str(point.rssi), AUTH[point.security]]
            size += sum(len(text(part)) for part in entry)
            if size > MAX_DATA:
                break
            found += entry
        self._answer(Command.SCAN, found)

    def _name(self, data: bytes) -> None:
        if self.state is not State.AUTHORIZED:
            self._fail(Error.NOT_AUTHORIZED)
            return
        if data:
            name = self._hostname(data[1:]) if data[0] == len(data) - 1 else None
            name = name or self._hostname(data)
            if name is None:
                self._fail(Error.BAD_HOSTNAME)
                return
            self.hostname = name
            self._restart_expiry()
        self._answer(Command.HOSTNAME, [self.hostname])

    @staticmethod
    def _hostname(data: bytes) -> str | None:
        try:
            name = data.decode("ascii")
        except UnicodeDecodeError:
            return None
        return name if HOSTNAME.match(name) else None

    def _provision(self, data: bytes) -> None:
        if self.state is not State.AUTHORIZED:
            self._fail(Error.NOT_AUTHORIZED)
            return
        parts = strings(data)
        if parts is None or len(parts) != 2:
            self._fail(Error.MALFORMED)
            return
        self.credentials_received += 1
        ssid = parts[0].decode("utf-8", "surrogateescape")
        passphrase = SecretStr(parts[1].decode("utf-8", "surrogateescape"))
        self._timers.cancel("expiry")
        self._enter(State.PROVISIONING)
        self._task = asyncio.create_task(self._join(ssid, passphrase))

    async def _join(self, ssid: str, passphrase: SecretStr) -> None:
        if not await self._firmware.join(ssid, passphrase):
            self._fail(Error.CANNOT_JOIN)
            self._enter(State.AUTHORIZED)
            self._restart_expiry()
            return
        if self._faults.take("drop", "provisioned") is not None:
            self._firmware.log("fault: the link drops at provisioned")
            self._firmware.drop()
        if self._faults.peek("garbage", "credentials") == "order":
            self._faults.take("garbage", "credentials")
            self._enter(State.PROVISIONED)
            self._enter(State.PROVISIONING)
            self._enter(State.AUTHORIZED)
            self.state = State.PROVISIONED
            return
        self._enter(State.PROVISIONED)
        self._answer(Command.WIFI, [self._url])
        self._firmware.provisioned()

    # Answers.

    def _answer(self, command: Command, parts: Sequence[str]) -> None:
        whole = frame(command, b"".join(text(part) for part in parts)[:MAX_DATA])
        kind = self._faults.take("garbage", POINTS[command])
        if kind is not None:
            self._firmware.log(f"fault: the answer to {POINTS[command]} is garbage ({kind})")
            whole = spoil(whole, str(kind))
        self.result = whole
        self._firmware.changed(RESULT, whole)

    def _fail(self, error: Error) -> None:
        self.error = error
        if error is not Error.NONE:
            self._firmware.log(f"error 0x{error:02x} ({error.name.lower().replace('_', ' ')})")
        self._firmware.changed(ERROR, bytes((error,)))

    def _enter(self, state: State) -> None:
        if state is not self.state:
            self.state = state
            self._firmware.log(f"state: {state.name.lower().replace('_', ' ')}")
            self._firmware.changed(STATE, bytes((state,)))
