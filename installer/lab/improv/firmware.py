"""The Improv firmware of a lab device: it obeys the commands of a client, waits for its button, and joins a network.

Written from the Improv Wi-Fi specification for BLE as given in `facts/improv-ble.md` (§ numbers are that sheet's); it
shares no code with the installer's driver. It uses no Bluetooth: the device connects it to GATT.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Protocol

from pydantic import SecretStr

from installer.lab.access_points import ScannedAccessPoint
from installer.lab.device_faults import FaultCounter
from installer.lab.improv.frames import (
    CAPABILITIES,
    ERROR,
    FAULT_POINTS,
    HOSTNAME,
    HOSTNAME_BIT,
    IDENTIFY_BIT,
    INFO_BIT,
    MAX_DATA,
    RESULT,
    SCAN_BIT,
    SECURITY_TEXTS,
    STATE,
    Command,
    Error,
    State,
    checksum,
    frame,
    pack_string,
    spoiled,
    unpack_strings,
)
from installer.lab.scenario import PressAfter
from installer.lab.timers import Timers


class Board(Protocol):
    """The parts of the device that this firmware uses."""

    def changed(self, characteristic: str, value: bytes) -> None:
        """Notify a new value of this characteristic."""

    def scan(self) -> Awaitable[list[ScannedAccessPoint]]:
        """The access points in reach."""

    def join(self, ssid: str, passphrase: SecretStr) -> Awaitable[bool]:
        """Try to join; whether it worked."""

    def drop(self) -> None:
        """Drop the Bluetooth link now."""

    def drop_soon(self) -> None:
        """Drop the link after the client has its write response."""

    def provisioned(self) -> None:
        """The client was told that the device is provisioned."""

    def log(self, words: str) -> None:
        """A line for the lab's log."""


class ImprovFirmware:
    """The five characteristics of one device. Call all methods in the thread of the event loop."""

    def __init__(
        self,
        board: Board,
        faults: FaultCounter,
        *,
        info: Sequence[str],
        hostname: str,
        url: str,
        wifi: bool,
        authorization: str | PressAfter,
        expires: float,
    ) -> None:
        self._board = board
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
        self._set_factory_state()

    def _set_factory_state(self) -> None:
        self.state = State.AUTHORIZED if self._authorization == "none" else State.AUTHORIZATION_REQUIRED
        self.error = Error.NONE
        self.result = b""
        self.hostname = self._first_hostname
        self.identified = self.credentials_received = self.wifi_commands = 0
        self._buffer = b""
        self._ignores_button = self._ignores_writes = False

    def reset(self) -> None:
        """Factory state."""
        for task in (self._task, self._scanning):
            if task is not None:
                task.cancel()
        self._task = self._scanning = None
        self._timers.cancel_all()
        self._set_factory_state()

    # The link.

    def connected(self) -> None:
        """A client connected."""
        self._connected = True
        self._ignores_button = self._faults.consume("never_authorized") is not None
        self._expect_press()

    def disconnected(self) -> None:
        """The client is gone: a half-sent frame and the error are forgotten (§8)."""
        self._connected = self._ignores_button = self._ignores_writes = False
        self._buffer = b""
        self.error = Error.NONE
        self._timers.cancel("press")

    def read(self, characteristic: str) -> bytes:
        """The value of `characteristic`."""
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
        if self._ignores_button or self._authorization in ("never", "none"):
            return
        if self.state in (State.AUTHORIZATION_REQUIRED, State.AUTHORIZED):
            self._timers.cancel("press")
            self._set_state(State.AUTHORIZED)
            self._restart_expiry()

    def _restart_expiry(self) -> None:
        if self._authorization != "none":
            self._timers.schedule("expiry", self._expires, self._expire)

    def _expire(self) -> None:
        if self.state is State.AUTHORIZED:
            self._set_state(State.AUTHORIZATION_REQUIRED)
            self._expect_press()

    def _expect_press(self) -> None:
        waits = self._connected and not self._ignores_button and self.state is State.AUTHORIZATION_REQUIRED
        if waits and isinstance(self._authorization, PressAfter):
            self._timers.schedule("press", self._authorization.press_after, self.press)

    def taken_over(self) -> None:
        """Another app sends credentials, wrong ones."""
        self._provision(pack_string("Another network") + pack_string("another passphrase"))

    # Commands.

    def write(self, data: bytes) -> None:
        """A write to the command characteristic: part of a frame, or all of it (§8)."""
        if self._ignores_writes:
            return
        self._buffer += data
        if len(self._buffer) < 3:
            return
        excess = len(self._buffer) - 3 - self._buffer[1]
        if excess < 0:
            if self._faults.consume("drop", "half") is not None:
                self._drop_link("half")
            return
        whole, self._buffer = self._buffer, b""
        if excess == 0:
            self._handle_frame(whole)

    def _handle_frame(self, whole: bytes) -> None:
        if self.error is not Error.NONE:
            self._report_error(Error.NONE)
        command, data = whole[0], whole[2:-1]
        if checksum(whole[:-1]) != whole[-1]:
            self._report_error(Error.MALFORMED)
            return
        known = {Command.IDENTIFY, Command.INFO} | ({Command.SCAN, Command.HOSTNAME} if self._wifi else set())
        if command == Command.WIFI:
            self.wifi_commands += 1
        if command not in known and not (command == Command.WIFI and self._wifi):
            self._report_error(Error.UNKNOWN_COMMAND)
            return
        point = FAULT_POINTS[Command(command)]
        if self._faults.consume("drop", point) is not None:
            self._drop_link(point)
        elif self._faults.consume("silent", point) is not None:
            self._board.log(f"fault: no answer to {point}")
        else:
            self._handle_command(Command(command), data)

    def _drop_link(self, point: str) -> None:
        self._board.log(f"fault: the link drops at {point}")
        self._ignores_writes = True
        self._board.drop_soon()

    def _handle_command(self, command: Command, data: bytes) -> None:
        if command is Command.IDENTIFY:
            self.identified += 1
            self._board.log("identifies itself")
        elif command is Command.INFO:
            self._send_result(command, list(self._info))
        elif command is Command.SCAN:
            if self._scanning is None or self._scanning.done():
                self._scanning = asyncio.create_task(self._scan())
        elif command is Command.HOSTNAME:
            self._handle_hostname(data)
        else:
            self._provision(data)

    async def _scan(self) -> None:
        heard = await self._board.scan()
        found: list[str] = []
        size = 0
        for point in heard:
            entry = [point.ssid, str(point.rssi), SECURITY_TEXTS[point.security]]
            size += sum(len(pack_string(part)) for part in entry)
            if size > MAX_DATA:
                break
            found += entry
        self._send_result(Command.SCAN, found)

    def _handle_hostname(self, data: bytes) -> None:
        if self.state is not State.AUTHORIZED:
            self._report_error(Error.NOT_AUTHORIZED)
            return
        if data:
            name = self._hostname(data[1:]) if data[0] == len(data) - 1 else None
            name = name or self._hostname(data)
            if name is None:
                self._report_error(Error.BAD_HOSTNAME)
                return
            self.hostname = name
            self._restart_expiry()
        self._send_result(Command.HOSTNAME, [self.hostname])

    @staticmethod
    def _hostname(data: bytes) -> str | None:
        try:
            name = data.decode("ascii")
        except UnicodeDecodeError:
            return None
        return name if HOSTNAME.match(name) else None

    def _provision(self, data: bytes) -> None:
        if self.state is not State.AUTHORIZED:
            self._report_error(Error.NOT_AUTHORIZED)
            return
        parts = unpack_strings(data)
        if parts is None or len(parts) != 2:
            self._report_error(Error.MALFORMED)
            return
        self.credentials_received += 1
        ssid = parts[0].decode("utf-8", "surrogateescape")
        passphrase = SecretStr(parts[1].decode("utf-8", "surrogateescape"))
        self._timers.cancel("expiry")
        self._set_state(State.PROVISIONING)
        self._task = asyncio.create_task(self._join(ssid, passphrase))

    async def _join(self, ssid: str, passphrase: SecretStr) -> None:
        if not await self._board.join(ssid, passphrase):
            self._report_error(Error.CANNOT_JOIN)
            self._set_state(State.AUTHORIZED)
            self._restart_expiry()
            return
        if self._faults.consume("drop", "provisioned") is not None:
            self._board.log("fault: the link drops at provisioned")
            self._board.drop()
        if self._faults.peek("garbage", "credentials") == "order":
            self._faults.consume("garbage", "credentials")
            self._set_state(State.PROVISIONED)
            self._set_state(State.PROVISIONING)
            self._set_state(State.AUTHORIZED)
            self.state = State.PROVISIONED
            return
        self._set_state(State.PROVISIONED)
        self._send_result(Command.WIFI, [self._url])
        self._board.provisioned()

    # Results.

    def _send_result(self, command: Command, parts: Sequence[str]) -> None:
        whole = frame(command, b"".join(pack_string(part) for part in parts)[:MAX_DATA])
        kind = self._faults.consume("garbage", FAULT_POINTS[command])
        if kind is not None:
            self._board.log(f"fault: the answer to {FAULT_POINTS[command]} is garbage ({kind})")
            whole = spoiled(whole, str(kind))
        self.result = whole
        self._board.changed(RESULT, whole)

    def _report_error(self, error: Error) -> None:
        self.error = error
        if error is not Error.NONE:
            self._board.log(f"error 0x{error:02x} ({error.name.lower().replace('_', ' ')})")
        self._board.changed(ERROR, bytes((error,)))

    def _set_state(self, state: State) -> None:
        if state is not self.state:
            self.state = state
            self._board.log(f"state: {state.name.lower().replace('_', ' ')}")
            self._board.changed(STATE, bytes((state,)))
