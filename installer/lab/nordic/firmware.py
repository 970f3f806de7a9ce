"""The firmware of a lab device with Nordic's Wi-Fi provisioning: requests, responses and results.

Written from `facts/other-ble-provisioning.md` §2; it shares no code with the installer's driver. No Bluetooth in here:
the device binds it to GATT. Chosen here, as the sheet does not say it: when each state is told, and that a device which
was told to join an access point that it does not hear calls that “not found”.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable
from typing import Any, Protocol, cast

from pydantic import SecretStr

from installer.lab.access_points import Heard, Join
from installer.lab.espressif.crypto import HandlerFailed, Message, field
from installer.lab.fault_counter import FaultBox
from installer.lab.nordic.scenario import NordicFaults, NordicScenario
from installer.wifi.networks import Band, Security

GET_STATUS, START_SCAN, STOP_SCAN, SET_CONFIG, FORGET_CONFIG = range(1, 6)
SUCCESS, INVALID_ARGUMENT, INVALID_PROTO, INTERNAL_ERROR = range(4)
DISCONNECTED, AUTHENTICATION, ASSOCIATION, OBTAINING_IP, CONNECTED, FAILED = range(6)
REASONS = {Join.WRONG_PASSPHRASE: 0, Join.NOT_FOUND: 1, Join.DOWN: 1, Join.UNSUPPORTED: 4}
POINTS = {
    GET_STATUS: "status",
    START_SCAN: "scan",
    STOP_SCAN: "stop",
    SET_CONFIG: "credentials",
    FORGET_CONFIG: "forget",
}
AUTH = {
    Security.OPEN: 0,
    Security.WEP: 1,
    Security.WPA: 2,
    Security.WPA2: 3,
    Security.WPA_WPA2: 4,
    Security.ENTERPRISE: 5,
    Security.WPA3: 6,
    Security.WPA2_WPA3: 3,
}
ADDRESS = bytes((192, 168, 1, 50))
NOISE = b"\xff\xfe\x00\x81" * 5


class Board(Protocol):
    """What the rest of the device does for this firmware. `faults`: those that every kind of device has."""

    faults: FaultBox

    def scan(self) -> Awaitable[list[Heard]]:
        """The access points in reach."""

    def try_join(self, ssid: str, passphrase: SecretStr) -> Awaitable[Join]:
        """Try to join, and how it ended."""

    def respond(self, message: bytes) -> None:
        """Indicate a response."""

    def tell(self, message: bytes) -> None:
        """Notify a result."""

    def drop_soon(self) -> None:
        """End the Bluetooth link as a lost one, after what is on its way."""

    def log(self, words: str) -> None:
        """A line for the lab's log."""


class NordicFirmware:
    """The service and what is behind it. All methods belong to the event loop's thread."""

    def __init__(self, board: Board, scenario: NordicScenario) -> None:
        self._board = board
        self.scenario = scenario
        self.faults = FaultBox(cast(Any, scenario.faults))
        self._tasks: list[asyncio.Task[None]] = []
        self._clear()

    def _clear(self) -> None:
        self.state = DISCONNECTED
        self.credentials_received = 0
        self.requests: list[str] = []
        self.configs: list[Message] = []
        self._wifi = b""
        self._heard: list[bytes] = []
        self._deaf = False

    def disconnected(self) -> None:
        """The client is gone."""
        self._deaf = False

    def reset(self) -> None:
        """Factory state."""
        for task in self._tasks:
            task.cancel()
        self._tasks = []
        self._clear()

    def set_faults(self, faults: NordicFaults) -> None:
        """These faults from now on."""
        self.faults.replace(cast(Any, faults))

    def _take(self, name: str, point: str) -> str | None:
        """A fault of this firmware, or the one of the same name that every kind of device has."""
        kind = self.faults.take(name, point)
        if kind is None and name in ("drop", "garbage", "silent"):
            kind = self._board.faults.take(name, point)
        return None if kind is None else str(kind)

    # The three characteristics, and the advertisement.

    def version(self) -> bytes:
        """What reading the version gives."""
        kind = self._take("garbage", "version")
        if kind is not None:
            return {"empty": b"", "lacking": field(2, 1)}.get(kind, NOISE)
        return field(1, self.scenario.version)

    def service_data(self) -> bytes:
        """Version, flags, and the signal of the network that it is on."""
        on = self.state == CONNECTED
        flags = (1 if self._wifi else 0) | (2 if on else 0)
        return bytes((self.scenario.version,)) + flags.to_bytes(2, "little") + bytes(((-55 & 0xFF) if on else 0,))

    def write(self, data: bytes) -> None:
        """A request at the control point; the response comes later."""
        if self._deaf:
            return
        try:
            request = Message(data)
            operation = request.number(1)
            config = request.message(11)
            wifi = config.message(1)
        except HandlerFailed:
            self._board.respond(field(2, INVALID_PROTO))
            return
        point = POINTS.get(operation)
        if point is None:
            self._board.respond(field(2, INVALID_ARGUMENT))
            return
        self.requests.append(point)
        when = self._take("drop", point)
        if when is not None and when != "after":
            self._lose(point)
            return
        refused = self._take("refuse", point)
        if refused is not None:
            status, content = int(refused), b""
        else:
            status, content = self._obey(operation, config, wifi, request.message(11).bytes(1))
        if when == "after":
            self._lose(point)
        elif self._take("silent", point) is None:
            response = field(1, operation) + field(2, status) + content
            self._board.respond(self._spoiled(response, point, operation))

    def taken_over(self) -> None:
        """Another app gives it wrong credentials: its responses and results go to everybody who listens."""
        self._board.respond(field(1, SET_CONFIG) + field(2, SUCCESS))
        self._wifi = b""
        self._tell("state", field(2, FAILED) + field(3, 1))

    def _spoiled(self, response: bytes, point: str, operation: int) -> bytes:
        kind = self._take("garbage", point)
        if kind is None:
            return response
        self._board.log(f"fault: the answer to {point} is garbage ({kind})")
        return {
            "truncated": response[:-1],
            "oversized": _oversized(response),
            "empty": b"",
            "order": field(1, operation % 5 + 1) + field(2, SUCCESS),
            "nameless": field(1, operation),
            "unknown": field(1, operation) + field(2, 9),
            "lacking": field(1, operation) + field(2, SUCCESS) + field(10, field(10, field(1, b"Home"))),
        }.get(kind, NOISE)

    def _lose(self, point: str) -> None:
        self._board.log(f"fault: the link drops at {point}")
        self._deaf = True
        self._board.drop_soon()

    # Operations.

    def _obey(self, operation: int, config: Message, wifi: Message, raw: bytes) -> tuple[int, bytes]:
        if operation == GET_STATUS:
            return SUCCESS, field(10, self._status())
        if operation == START_SCAN:
            self._start(self._scan())
        elif operation == FORGET_CONFIG:
            self._wifi = b""
            self.state = DISCONNECTED
        elif operation == SET_CONFIG:
            whole = all(wifi.has(number) for number in (1, 2, 4))
            if not whole or not 0 < len(wifi.bytes(1)) <= 32 or len(wifi.bytes(2)) != 6 or len(config.bytes(2)) > 64:
                return INVALID_ARGUMENT, b""
            if self.scenario.keeps and self._wifi:
                return INTERNAL_ERROR, b""
            self.configs.append(config)
            self.credentials_received += 1
            self._wifi = raw
            self._start(self._join(wifi, config.bytes(2)))
        return SUCCESS, b""

    def _start(self, work: Any) -> None:
        self._tasks = [task for task in self._tasks if not task.done()] + [asyncio.create_task(work)]

    def _status(self) -> bytes:
        if not self._wifi:
            return b""
        address = field(11, field(1, ADDRESS)) if self.state == CONNECTED else b""
        return field(1, self.state) + field(10, self._wifi) + address

    async def _scan(self) -> None:
        heard = [(_wifi_info(h), h.rssi) for h in await self._board.scan()]
        self._heard = [info for info, _ in heard]
        for _ in range(self.scenario.repeats):
            for info, rssi in heard:
                self._tell("record", field(1, field(1, info) + field(2, rssi)))

    def _tell(self, point: str, result: bytes) -> None:
        if self._deaf or self._take("silent", point) is not None:
            return
        if self._take("drop", point) is not None:
            self._lose(point)
            return
        kind = self._take("garbage", point)
        if kind is not None:
            result = {
                "truncated": result[:-1],
                "oversized": _oversized(result),
                "empty": b"",
                "lacking": field(1, field(1, field(1, b"Home") + field(2, b"\x02\x00"))),
                "unknown": field(2, 77) + field(9, b"of the future"),
            }.get(kind, NOISE)
        self._board.tell(result)

    async def _join(self, wifi: Message, passphrase: bytes) -> None:
        self._enter(AUTHENTICATION)
        ssid = wifi.bytes(1).decode("utf-8", "surrogateescape")
        known = {(m.bytes(1), m.bytes(2), m.number(4)) for m in map(Message, self._heard)}
        secret = SecretStr(passphrase.decode("utf-8", "surrogateescape"))
        if (wifi.bytes(1), wifi.bytes(2), wifi.number(4)) in known:
            outcome = await self._board.try_join(ssid, secret)
        else:
            outcome = Join.NOT_FOUND
        if outcome is Join.JOINED:
            for state in (ASSOCIATION, OBTAINING_IP, CONNECTED):
                self._enter(state)
            return
        self.state = DISCONNECTED
        if self.scenario.falls:
            self._enter(DISCONNECTED)
            return
        reason = REASONS[outcome] if self.scenario.failure is None else self.scenario.failure
        self._tell("state", field(2, FAILED) + (field(3, reason) if self.scenario.reasons else b""))

    def _enter(self, state: int) -> None:
        self.state = state
        self._board.log(f"Wi-Fi: state {state}")
        self._tell("state", field(2, state))


def _oversized(message: bytes) -> bytes:
    return (message + NOISE * 30)[:512]


def _wifi_info(heard: Heard) -> bytes:
    ssid = heard.ssid.encode("utf-8", "surrogateescape")
    bssid = b"\x02" + zlib.crc32(ssid + bytes((heard.rssi & 0xFF,))).to_bytes(4, "big") + b"\x02"
    narrow = heard.band is Band.GHZ_2_4
    channel = field(3, 1 if narrow else 2) + field(4, 6 if narrow else 36)
    known = field(5, AUTH[heard.security]) if heard.security in AUTH else b""
    return field(1, ssid) + field(2, bssid) + channel + known
