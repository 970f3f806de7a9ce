"""The Nordic firmware of a lab device: it answers the requests of a client, scans, and joins a network.

Written from `facts/other-ble-provisioning.md` §2; it shares no code with the driver. It uses no Bluetooth: the
device connects it to GATT. The sheet does not say, and this file decides: when each state is sent, and that the failure
for an access point out of reach is “not found”.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable
from typing import Any, Protocol, cast

from pydantic import SecretStr

from installer.lab.access_points import JoinOutcome, ScannedAccessPoint
from installer.lab.device_faults import FaultCounter
from installer.lab.nordic.scenario import NordicFaults, NordicScenario
from installer.lab.protobuf_wire import InvalidMessage, Message, field
from installer.wifi.networks import Band, Security

GET_STATUS, START_SCAN, STOP_SCAN, SET_CONFIG, FORGET_CONFIG = range(1, 6)
SUCCESS, INVALID_ARGUMENT, INVALID_PROTO, INTERNAL_ERROR = range(4)
DISCONNECTED, AUTHENTICATION, ASSOCIATION, OBTAINING_IP, CONNECTED, FAILED = range(6)
REASONS = {JoinOutcome.WRONG_PASSPHRASE: 0, JoinOutcome.NOT_FOUND: 1, JoinOutcome.DOWN: 1, JoinOutcome.UNSUPPORTED: 4}
FAULT_POINTS = {
    GET_STATUS: "status",
    START_SCAN: "scan",
    STOP_SCAN: "stop",
    SET_CONFIG: "credentials",
    FORGET_CONFIG: "forget",
}
AUTH_MODES = {
    Security.OPEN: 0,
    Security.WEP: 1,
    Security.WPA: 2,
    Security.WPA2: 3,
    Security.WPA_WPA2: 4,
    Security.ENTERPRISE: 5,
    Security.WPA3: 6,
    Security.WPA2_WPA3: 3,
}
IP_ADDRESS = bytes((192, 168, 1, 50))
NOISE = b"\xff\xfe\x00\x81" * 5


class Board(Protocol):
    """The parts of the device that this firmware uses. `faults`: those that devices of all protocols have."""

    faults: FaultCounter

    def scan(self) -> Awaitable[list[ScannedAccessPoint]]:
        """The access points in reach."""

    def try_join(self, ssid: str, passphrase: SecretStr) -> Awaitable[JoinOutcome]:
        """Try to join; returns how it ended."""

    def respond(self, message: bytes) -> None:
        """Indicate a response."""

    def notify(self, message: bytes) -> None:
        """Notify a result."""

    def drop_soon(self) -> None:
        """Drop the Bluetooth link after the messages that are being sent."""

    def log(self, words: str) -> None:
        """A line for the lab's log."""


class NordicFirmware:
    """The service of one device. Call all methods in the thread of the event loop."""

    def __init__(self, board: Board, scenario: NordicScenario) -> None:
        self._board = board
        self.scenario = scenario
        self.faults = FaultCounter(cast(Any, scenario.faults))
        self._tasks: list[asyncio.Task[None]] = []
        self._set_factory_state()

    def _set_factory_state(self) -> None:
        self.state = DISCONNECTED
        self.credentials_received = 0
        self.requests: list[str] = []
        self.configs: list[Message] = []
        self._wifi = b""
        self._scanned: list[bytes] = []
        self._ignores_requests = False

    def disconnected(self) -> None:
        """The client is gone."""
        self._ignores_requests = False

    def reset(self) -> None:
        """Factory state."""
        for task in self._tasks:
            task.cancel()
        self._tasks = []
        self._set_factory_state()

    def set_faults(self, faults: NordicFaults) -> None:
        """These faults from now on."""
        self.faults.replace(cast(Any, faults))

    def _consume_fault(self, name: str, point: str) -> str | None:
        """A fault of this firmware, or the one of the same name that devices of all protocols have."""
        kind = self.faults.consume(name, point)
        if kind is None and name in ("drop", "garbage", "silent"):
            kind = self._board.faults.consume(name, point)
        return None if kind is None else str(kind)

    # The three characteristics, and the advertisement.

    def version(self) -> bytes:
        """The value of the version characteristic."""
        kind = self._consume_fault("garbage", "version")
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
        if self._ignores_requests:
            return
        try:
            request = Message(data)
            operation = request.number(1)
            config = request.message(11)
            wifi = config.message(1)
        except InvalidMessage:
            self._board.respond(field(2, INVALID_PROTO))
            return
        point = FAULT_POINTS.get(operation)
        if point is None:
            self._board.respond(field(2, INVALID_ARGUMENT))
            return
        self.requests.append(point)
        when = self._consume_fault("drop", point)
        if when is not None and when != "after":
            self._drop_link(point)
            return
        refused = self._consume_fault("refuse", point)
        if refused is not None:
            status, content = int(refused), b""
        else:
            status, content = self._handle(operation, config, wifi, request.message(11).bytes(1))
        if when == "after":
            self._drop_link(point)
        elif self._consume_fault("silent", point) is None:
            response = field(1, operation) + field(2, status) + content
            self._board.respond(self._spoiled(response, point, operation))

    def taken_over(self) -> None:
        """Another app sends wrong credentials: all subscribed clients get the responses and results."""
        self._board.respond(field(1, SET_CONFIG) + field(2, SUCCESS))
        self._wifi = b""
        self._notify("state", field(2, FAILED) + field(3, 1))

    def _spoiled(self, response: bytes, point: str, operation: int) -> bytes:
        kind = self._consume_fault("garbage", point)
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

    def _drop_link(self, point: str) -> None:
        self._board.log(f"fault: the link drops at {point}")
        self._ignores_requests = True
        self._board.drop_soon()

    # Operations.

    def _handle(self, operation: int, config: Message, wifi: Message, raw: bytes) -> tuple[int, bytes]:
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
        address = field(11, field(1, IP_ADDRESS)) if self.state == CONNECTED else b""
        return field(1, self.state) + field(10, self._wifi) + address

    async def _scan(self) -> None:
        heard = [(_wifi_info(h), h.rssi) for h in await self._board.scan()]
        self._scanned = [info for info, _ in heard]
        for _ in range(self.scenario.repeats):
            for info, rssi in heard:
                self._notify("record", field(1, field(1, info) + field(2, rssi)))

    def _notify(self, point: str, result: bytes) -> None:
        if self._ignores_requests or self._consume_fault("silent", point) is not None:
            return
        if self._consume_fault("drop", point) is not None:
            self._drop_link(point)
            return
        kind = self._consume_fault("garbage", point)
        if kind is not None:
            result = {
                "truncated": result[:-1],
                "oversized": _oversized(result),
                "empty": b"",
                "lacking": field(1, field(1, field(1, b"Home") + field(2, b"\x02\x00"))),
                "unknown": field(2, 77) + field(9, b"of newer firmware"),
            }.get(kind, NOISE)
        self._board.notify(result)

    async def _join(self, wifi: Message, passphrase: bytes) -> None:
        self._set_state(AUTHENTICATION)
        ssid = wifi.bytes(1).decode("utf-8", "surrogateescape")
        known = {(m.bytes(1), m.bytes(2), m.number(4)) for m in map(Message, self._scanned)}
        secret = SecretStr(passphrase.decode("utf-8", "surrogateescape"))
        if (wifi.bytes(1), wifi.bytes(2), wifi.number(4)) in known:
            outcome = await self._board.try_join(ssid, secret)
        else:
            outcome = JoinOutcome.NOT_FOUND
        if outcome is JoinOutcome.JOINED:
            for state in (ASSOCIATION, OBTAINING_IP, CONNECTED):
                self._set_state(state)
            return
        self.state = DISCONNECTED
        if self.scenario.falls:
            self._set_state(DISCONNECTED)
            return
        reason = REASONS[outcome] if self.scenario.failure is None else self.scenario.failure
        self._notify("state", field(2, FAILED) + (field(3, reason) if self.scenario.reasons else b""))

    def _set_state(self, state: int) -> None:
        self.state = state
        self._board.log(f"Wi-Fi: state {state}")
        self._notify("state", field(2, state))


def _oversized(message: bytes) -> bytes:
    return (message + NOISE * 30)[:512]


def _wifi_info(heard: ScannedAccessPoint) -> bytes:
    ssid = heard.ssid.encode("utf-8", "surrogateescape")
    bssid = b"\x02" + zlib.crc32(ssid + bytes((heard.rssi & 0xFF,))).to_bytes(4, "big") + b"\x02"
    narrow = heard.band is Band.GHZ_2_4
    channel = field(3, 1 if narrow else 2) + field(4, 6 if narrow else 36)
    known = field(5, AUTH_MODES[heard.security]) if heard.security in AUTH_MODES else b""
    return field(1, ssid) + field(2, bssid) + channel + known
