"""The Improv firmware of a lab device: what it does with the bytes that a client writes.

Written from the Improv Wi-Fi specification for BLE as given in `facts/improv-ble.md` (§ numbers are that sheet's); it
shares no code with the installer's driver. No Bluetooth in here: the device binds it to GATT.
"""

from __future__ import annotations

import asyncio
import enum
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from pydantic import SecretStr

from installer.lab.faults import FaultBox
from installer.lab.networks import Heard
from installer.lab.scenario import PressAfter
from installer.wifi import Security

STATE, ERROR, COMMAND, RESULT, CAPABILITIES = (f"00467768-6228-2272-4663-27747826800{i}" for i in range(1, 6))
SERVICE = "00467768-6228-2272-4663-277478268000"
MAX_DATA = 255
LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
HOSTNAME = re.compile(rf"(?=.{{1,253}}\Z){LABEL}(\.{LABEL})*\Z")  # RFC 1123


class State(enum.IntEnum):
    """§2."""

    AUTHORIZATION_REQUIRED = 1
    AUTHORIZED = 2
    PROVISIONING = 3
    PROVISIONED = 4


class Error(enum.IntEnum):
    """§3."""

    NONE = 0x00
    MALFORMED = 0x01
    UNKNOWN_COMMAND = 0x02
    CANNOT_JOIN = 0x03
    NOT_AUTHORIZED = 0x04
    BAD_HOSTNAME = 0x05
    UNKNOWN = 0xFF


class Command(enum.IntEnum):
    """§6."""

    WIFI = 1
    IDENTIFY = 2
    INFO = 3
    SCAN = 4
    HOSTNAME = 5


POINTS = {
    Command.WIFI: "credentials",
    Command.IDENTIFY: "identify",
    Command.INFO: "info",
    Command.SCAN: "scan",
    Command.HOSTNAME: "hostname",
}
IDENTIFY_BIT, INFO_BIT, SCAN_BIT, HOSTNAME_BIT = 1, 2, 4, 8
AUTH = {
    Security.OPEN: "NO",
    Security.WEP: "WEP",
    Security.WPA: "WPA",
    Security.WPA2: "WPA2",
    Security.WPA_WPA2: "WPA/WPA2",
    Security.WPA3: "WPA3",
    Security.WPA2_WPA3: "WPA2/WPA3",
    Security.ENTERPRISE: "WPA2 EAP",
    Security.UNKNOWN: "NO",
}


class Firmware(Protocol):
    """What the rest of the device does for its Improv part."""

    def changed(self, characteristic: str, value: bytes) -> None:
        """This characteristic has a new value: notify it."""

    def scan(self) -> Awaitable[list[Heard]]:
        """The access points in reach."""

    def join(self, ssid: str, passphrase: SecretStr) -> Awaitable[bool]:
        """Try to join; whether it worked."""

    def drop(self) -> None:
        """End the Bluetooth link as a lost one."""

    def provisioned(self) -> None:
        """The client was told that the device is provisioned."""

    def log(self, words: str) -> None:
        """A line for the lab's log."""


def checksum(data: bytes) -> int:
    """§5."""
    return sum(data) % 256


def frame(command: int, data: bytes) -> bytes:
    """A whole frame (§5)."""
    head = bytes((command, len(data))) + data
    return head + bytes((checksum(head),))


def text(value: str | bytes) -> bytes:
    """A string inside data (§5)."""
    raw = value.encode() if isinstance(value, str) else value
    return bytes((len(raw),)) + raw


def strings(data: bytes) -> list[bytes] | None:
    """The strings that make up `data`, or None if they do not."""
    found, at = [], 0
    while at < len(data):
        end = at + 1 + data[at]
        if end > len(data):
            return None
        found.append(data[at + 1 : end])
        at = end
    return found


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
        self._timers: dict[str, asyncio.TimerHandle] = {}
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
        self._blocked = False

    def reset(self) -> None:
        """Factory state."""
        for task in (self._task, self._scanning):
            if task is not None:
                task.cancel()
        self._task = self._scanning = None
        for name in list(self._timers):
            self._stop(name)
        self._clear()

    # The link.

    def connected(self) -> None:
        """A client connected."""
        self._connected = True
        self._blocked = self._faults.take("never_authorized") is not None
        self._expect_press()

    def disconnected(self) -> None:
        """The client is gone: a half-sent frame and the error are forgotten (§8)."""
        self._connected = False
        self._blocked = False
        self._buffer = b""
        self.error = Error.NONE
        self._stop("press")

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
            self._stop("press")
            self._enter(State.AUTHORIZED)
            self._restart_expiry()

    def _restart_expiry(self) -> None:
        if self._authorization != "none":
            self._later("expiry", self._expires, self._expire)

    def _expire(self) -> None:
        if self.state is State.AUTHORIZED:
            self._enter(State.AUTHORIZATION_REQUIRED)
            self._expect_press()

    def _expect_press(self) -> None:
        waits = self._connected and not self._blocked and self.state is State.AUTHORIZATION_REQUIRED
        if waits and isinstance(self._authorization, PressAfter):
            self._later("press", self._authorization.press_after, self.press)

    # Commands.

    def write(self, data: bytes) -> None:
        """A write to the command characteristic: part of a frame, or all of it (§8)."""
        self._buffer += data
        if len(self._buffer) < 3:
            return
        excess = len(self._buffer) - 3 - self._buffer[1]
        if excess < 0:
            if self._faults.take("drop", "half") is not None:
                self._firmware.drop()
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
            self._firmware.log(f"fault: the link drops at {point}")
            self._firmware.drop()
        elif self._faults.take("silent", point) is not None:
            self._firmware.log(f"fault: no answer to {point}")
        else:
            self._obey(Command(command), data)

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
        self._stop("expiry")
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

    def _later(self, name: str, seconds: float, action: Callable[[], None]) -> None:
        self._stop(name)
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, action)

    def _stop(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()


def spoil(whole: bytes, kind: str) -> bytes:
    """A wrong answer in place of the right one, for the fault `garbage`."""
    command, data = whole[0], whole[2:-1]
    if kind == "checksum":
        return whole[:-1] + bytes((whole[-1] ^ 0xFF,))
    if kind == "truncated":
        return whole[: max(2, len(whole) // 2)]
    if kind == "oversized":
        # More bytes than the frame's length says, and more than one attribute may hold in one notification.
        return whole + bytes(range(256)) + bytes(200)
    if kind == "utf8":
        return frame(command, b"".join(text(b"\xff\xfe\x1b[2J\xc3") for _ in range(6)))
    if kind == "strings":
        return frame(command, (data + b"\xf0odd")[:MAX_DATA])
    # "order": the answer to another command.
    return frame(Command.SCAN if command != Command.SCAN else Command.INFO, data)
