"""The Shelly firmware of a lab device: it answers the RPC calls of a client, scans, and joins a network.

Written from `facts/other-ble-provisioning.md` §1; it shares no code with the driver. It uses no Bluetooth: the
device connects it to GATT. The sheet gives these from memory or not at all, and this file decides: the words of
`status`, the error codes other than 401, and that calls are handled in the order in which they come.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Awaitable
from typing import Any, Protocol, cast

from pydantic import SecretStr

from installer.lab.access_points import ScannedAccessPoint
from installer.lab.device_faults import FaultCounter
from installer.lab.shelly.scenario import ShellyFaults, ShellyScenario
from installer.wifi.networks import Band, Security

MAX_FRAME = 8192
REQUEST_NOT_SUPPORTED, INVALID_OFFSET, NO_RESOURCES = 0x06, 0x07, 0x11
INVALID_ARGUMENT, NOT_AUTHORIZED, NO_HANDLER = -103, 401, 404
FAULT_POINTS = {
    "Shelly.GetDeviceInfo": "info",
    "Shelly.Reboot": "reboot",
    "Wifi.GetStatus": "status",
    "Wifi.Scan": "scan",
    "Wifi.SetConfig": "credentials",
}
AUTH_MODES = {
    Security.OPEN: 0,
    Security.WEP: 1,
    Security.WPA: 2,
    Security.WPA2: 3,
    Security.WPA_WPA2: 4,
    Security.ENTERPRISE: 5,
    Security.WPA3: 6,
    Security.WPA2_WPA3: 7,
}


class RequestRefused(Exception):
    """A write that the firmware refuses with an ATT error."""

    def __init__(self, code: int) -> None:
        super().__init__(f"0x{code:02x}")
        self.code = code


class RpcError(Exception):
    """A call that is answered with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Board(Protocol):
    """The parts of the device that this firmware uses. `faults`: those that devices of all protocols have."""

    faults: FaultCounter

    def scan(self) -> Awaitable[list[ScannedAccessPoint]]:
        """The access points in reach."""

    def join(self, ssid: str, passphrase: SecretStr) -> Awaitable[bool]:
        """Try to join; whether it worked."""

    def drop(self) -> None:
        """Drop the Bluetooth link now."""

    def drop_soon(self) -> None:
        """Drop the link after the messages that are being sent."""

    def log(self, words: str) -> None:
        """A line for the lab's log."""


class ShellyFirmware:
    """The service of one device. Call all methods in the thread of the event loop."""

    def __init__(self, board: Board, scenario: ShellyScenario, mac: str, app: str) -> None:
        self._board = board
        self.scenario = scenario
        self.faults = FaultCounter(cast(Any, scenario.faults))
        self._mac, self._app = mac.replace(":", ""), app
        self._joining: asyncio.Task[None] | None = None
        self._set_factory_state()

    def _set_factory_state(self) -> None:
        self.status = "disconnected"
        self.ssid = ""
        self.credentials_received = 0
        self.calls: list[str] = []
        self._credentials: tuple[str, SecretStr] | None = None
        self.disconnected()

    def disconnected(self) -> None:
        """The client is gone; unfinished requests and answers are forgotten."""
        self._expected, self._request = 0, b""
        self._answers: list[tuple[bytes, bytes]] = []
        self._read = 0
        self._late: list[tuple[bytes, bytes]] = []
        self._ignores_requests = self._drop_at_read = False

    def reset(self) -> None:
        """Factory state."""
        if self._joining is not None:
            self._joining.cancel()
        self._set_factory_state()

    def set_faults(self, faults: ShellyFaults) -> None:
        """These faults from now on."""
        self.faults.replace(cast(Any, faults))

    def _consume_fault(self, name: str, point: str) -> str | None:
        """A fault of this firmware, or the one of the same name that devices of all protocols have."""
        kind = self.faults.consume(name, point)
        if kind is None and name in ("drop", "garbage", "silent"):
            kind = self._board.faults.consume(name, point)
        return None if kind is None else str(kind)

    # The three characteristics.

    def write_length(self, data: bytes) -> None:
        """TX control: how long the next request is; what came of one before is forgotten. Raises RequestRefused."""
        if len(data) < 4:
            raise RequestRefused(REQUEST_NOT_SUPPORTED)
        size = int.from_bytes(data[:4], "big")
        if size > MAX_FRAME:
            raise RequestRefused(NO_RESOURCES)
        self._expected, self._request = size, b""

    def write_data(self, data: bytes) -> None:
        """Data: a piece of the request. Raises RequestRefused."""
        if len(self._request) + len(data) > self._expected:
            raise RequestRefused(INVALID_OFFSET)
        self._request += data
        if len(self._request) < self._expected:
            self._half()
            return
        request, self._request, self._expected = self._request, b"", 0
        if not self._ignores_requests:
            # Later, so that the client has its write response first, as with a real stack.
            task = asyncio.ensure_future(self._handle(request))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())

    def read_length(self) -> bytes:
        """RX control: how long the answer is that waits, and reading begins anew; zero if none waits."""
        self._read = 0
        return self._answers[0][0] if self._answers else bytes(4)

    def read_data(self, room: int) -> bytes:
        """Data: the next piece of the answer, at most `room` bytes."""
        if not self._answers:
            return b""
        if self._drop_at_read:
            self._board.log("fault: the link drops at an answer")
            self._board.drop()
            return b""
        frame = self._answers[0][1]
        piece = frame[self._read : self._read + room]
        self._read += len(piece)
        if self._read >= len(frame):
            self._answers.pop(0)
            self._read = 0
        return piece

    def taken_over(self) -> None:
        """Another app makes a call: there is one buffer for requests, and one row of answers."""
        self._expected, self._request = 0, b""
        self._answers.append(self._frame({"id": 7_000_000, "src": "another app", "result": {}}, None))

    def _half(self) -> None:
        start = self._request.partition(b'"method":"')[2].partition(b'"')[0].decode("utf-8", "replace")
        for method, point in FAULT_POINTS.items():
            if start and method.startswith(start) and self.faults.peek("drop", point) == "half":
                self.faults.consume("drop", point)
                self._drop_link(f"half of {point}")

    def _drop_link(self, point: str) -> None:
        self._board.log(f"fault: the link drops at {point}")
        self._ignores_requests = True
        self._board.drop_soon()

    # Calls.

    async def _handle(self, request: bytes) -> None:
        try:
            call = json.loads(request)
            number, method = call["id"], str(call["method"])
        except (ValueError, KeyError, TypeError, RecursionError):
            self._board.log("an invalid request")
            return
        point = FAULT_POINTS.get(method, "")
        self.calls.append(point or method)
        half = self.faults.peek("drop", point) == "half"
        when = None if half else self._consume_fault("drop", point)
        if when not in (None, "after", "answer"):
            self._drop_link(point)
            return
        answer: dict[str, Any] = {"id": number, "src": f"{self._app.lower()}-{self._mac.lower()}"}
        code = self._consume_fault("refuse", point)
        try:
            if code is not None:
                raise RpcError(int(code), f"Argument {json.dumps(call.get('params'))} is not valid!")
            answer["result"] = await self._call(method, call.get("params"))
        except RpcError as error:
            answer["error"] = {"code": error.code, "message": str(error)}
        if when == "after":
            self._drop_link(point)
            return
        silence = self._consume_fault("silent", point)
        if silence is not None:
            self._board.log(f"fault: no answer to {point}")
            if silence == "late":
                self._late.append(self._frame(answer, None))
            return
        if self.scenario.chatty:
            self._answers.append(self._frame({"method": "NotifyStatus", "params": {"ts": 1.5}}, None))
        self._answers += [*self._late, self._frame(answer, self._consume_fault("garbage", point))]
        self._late = []
        self._drop_at_read = when == "answer"

    @staticmethod
    def _frame(answer: dict[str, Any], garbage: str | None) -> tuple[bytes, bytes]:
        """The values of RX control and Data for an answer, with the fault `garbage`."""
        if garbage == "order":
            answer = {**answer, "id": 999_999}
        elif garbage == "number":
            answer = {**answer, "id": "1"}
        elif garbage == "type":
            answer = {"id": answer["id"], "result": ["?"]}
        frame = json.dumps(answer, ensure_ascii=False).encode("utf-8", "surrogateescape")
        if garbage == "truncated":
            frame = frame[:-2]
        elif garbage not in (None, "order", "number", "type", "oversized", "short", "excess", "length"):
            frame = b"\xff\xfe{]" * 9
        length = len(frame).to_bytes(4, "big")
        if garbage == "oversized":
            length = b"\x7f\xff\xff\xff"
        elif garbage == "short":
            length = (len(frame) + 5).to_bytes(4, "big")
        elif garbage == "excess":
            length = (len(frame) - 5).to_bytes(4, "big")
        elif garbage == "length":
            length = length[2:]
        return length, frame

    async def _call(self, method: str, params: Any) -> Any:
        if method == "Shelly.GetDeviceInfo":
            return self._info()
        if self.scenario.password:
            raise RpcError(NOT_AUTHORIZED, '{"auth_type": "digest", "nonce": 1700000000, "algorithm": "SHA-256"}')
        if method == "Wifi.Scan":
            return {"results": [_entry(heard) for heard in await self._board.scan()]}
        if method == "Wifi.SetConfig":
            return self._set_config(params)
        if method == "Wifi.GetStatus" and self.scenario.status:
            on = self.status == "got ip"
            return {
                "sta_ip": "192.168.1.50" if on else None,
                "status": self.status,
                "ssid": self.ssid if on else None,
                "rssi": -55 if on else 0,
            }
        if method == "Shelly.Reboot":
            self._restart()
            return None
        raise RpcError(NO_HANDLER, f"No handler for {method}")

    def _info(self) -> dict[str, Any]:
        return {
            "name": None,
            "id": f"{self._app.lower()}-{self._mac.lower()}",
            "mac": self._mac,
            "model": "LAB-001",
            "gen": 2,
            "ver": self.scenario.version,
            "app": self._app,
            "auth_en": self.scenario.password,
        }

    # Wi-Fi.

    def _set_config(self, params: Any) -> dict[str, Any]:
        try:
            station = params["config"]["sta"]
            ssid, passphrase, enable = station["ssid"], station["pass"] or "", station["enable"]
            fits = 0 < len(ssid.encode("utf-8", "surrogatepass")) <= 32 and len(passphrase) <= 64 and enable is True
        except (TypeError, KeyError, AttributeError):
            raise RpcError(INVALID_ARGUMENT, "Missing or bad argument 'config'!") from None
        if not fits:
            raise RpcError(INVALID_ARGUMENT, "Argument 'sta' is not valid!")
        self.credentials_received += 1
        self._credentials = ssid, SecretStr(passphrase)
        if not self.scenario.restart:
            self._start_join()
        return {"restart_required": self.scenario.restart}

    def _restart(self) -> None:
        self._board.log("restarts")
        self._ignores_requests = True
        self._board.drop_soon()
        if self._credentials is not None:
            self._start_join()

    def network_up(self, ssid: str) -> None:
        """A network came into reach: join it if the device has its credentials."""
        if self._credentials is not None and self._credentials[0] == ssid:
            self._start_join()

    def _start_join(self) -> None:
        assert self._credentials is not None
        if self._joining is not None:
            self._joining.cancel()
        self._set_status("connecting")
        self._joining = asyncio.create_task(self._join(*self._credentials))

    async def _join(self, ssid: str, passphrase: SecretStr) -> None:
        self.ssid = ssid
        self._set_status("got ip" if await self._board.join(ssid, passphrase) else self.scenario.words)

    def _set_status(self, status: str) -> None:
        self.status = status
        self._board.log(f"Wi-Fi: {status}")


def _entry(heard: ScannedAccessPoint) -> dict[str, Any]:
    number = zlib.crc32(f"{heard.ssid}/{heard.rssi}".encode("utf-8", "surrogateescape"))
    return {
        "ssid": heard.ssid,
        "bssid": (b"\x02" + number.to_bytes(4, "big") + b"\x01").hex(":"),
        "auth": AUTH_MODES.get(heard.security, 0),
        "channel": 6 if heard.band is Band.GHZ_2_4 else 36,
        "rssi": heard.rssi,
    }
