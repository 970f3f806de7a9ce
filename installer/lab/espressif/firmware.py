"""The Espressif firmware of a lab device: it answers the requests of a client, scans, and joins a network.

Written from `facts/esp-provisioning.md` (§ numbers are that sheet's); it shares no code with the installer's driver. It
uses no Bluetooth: the device connects it to GATT. OPEN in the sheet, and chosen here: the state before the first
credentials is “disconnected”, and credentials at a wrong time are refused with status 5.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

from pydantic import SecretStr

from installer.lab.access_points import JoinOutcome, ScannedAccessPoint
from installer.lab.device_faults import FaultCounter
from installer.lab.espressif.crypto import HandlerFailed
from installer.lab.espressif.scenario import EspressifFaults, EspressifScenario, Pretender
from installer.lab.espressif.session import RESPONSE_0, RESPONSE_1, SessionEndpoint
from installer.lab.protobuf_wire import Message, field, optional
from installer.wifi.networks import Band, Security

CTRL, SCAN, SESSION, CONFIG, VERSION = "prov-ctrl", "prov-scan", "prov-session", "prov-config", "proto-ver"
ENDFAULT_POINTS = {CTRL: 0xFF4F, SCAN: 0xFF50, SESSION: 0xFF51, CONFIG: 0xFF52, VERSION: 0xFF53}
OLD_VERSION = b"V0.1"

INVALID_ARGUMENT, INTERNAL_ERROR = 4, 5
CONNECTED, CONNECTING, DISCONNECTED, FAILED = range(4)
AUTH_ERROR, NOT_FOUND = 0, 1
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
FAULT_POINTS = {
    (SCAN, 0): "scan-start",
    (SCAN, 2): "scan-status",
    (SCAN, 4): "scan-results",
    (CONFIG, 0): "status",
    (CONFIG, 2): "set",
    (CONFIG, 4): "apply",
    (CTRL, 1): "reset",
}


class Board(Protocol):
    """The parts of the device that this firmware uses."""

    def scan(self) -> Awaitable[list[ScannedAccessPoint]]:
        """The access points in reach."""

    def try_join(self, ssid: str, passphrase: SecretStr) -> Awaitable[JoinOutcome]:
        """Try to join; returns how it ended."""

    def drop(self) -> None:
        """Drop the Bluetooth link."""

    def reboot(self) -> None:
        """Restart."""

    def stop_service(self) -> None:
        """End the link and stop advertising."""

    def log(self, words: str) -> None:
        """A line for the lab's log."""


class LinkDropped(Exception):
    """A fault dropped the link, so there is no answer."""


class EspressifFirmware:
    """The endpoints of one device. Call all methods in the thread of the event loop."""

    def __init__(self, board: Board, scenario: EspressifScenario) -> None:
        self._board = board
        self.scenario = self._own_scenario = scenario
        self.faults = FaultCounter(cast(Any, scenario.faults))
        self.session = SessionEndpoint(scenario)
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._set_factory_state()

    def _set_factory_state(self) -> None:
        self.phase = "ready"
        self.credentials_received = self.applied = 0
        self.exchanges: list[str] = []
        self.session.forget()
        self._config: tuple[bytes, bytes] | None = None
        self._joined = b""
        self._outcome_sent = False
        self._reason = AUTH_ERROR
        self._attempts_left: int | None = None
        self._scanned: list[ScannedAccessPoint] = []
        self._scanning: asyncio.Task[None] | None = None

    def reset(self) -> None:
        """Factory state."""
        for task in (self._task, self._scanning):
            if task is not None:
                task.cancel()
        if self._timer is not None:
            self._timer.cancel()
        self._set_factory_state()

    def set_faults(self, faults: EspressifFaults) -> None:
        """These faults from now on."""
        self.faults.replace(cast(Any, faults))

    def restore_faults(self) -> None:
        """The faults of the scenario from now on."""
        self.set_faults(self._own_scenario.faults)

    @property
    def endpoints(self) -> dict[str, int]:
        """The endpoints of this build, and their numbers."""
        left_out = {CTRL: not self.scenario.ctrl, SCAN: not self.scenario.scan}
        return {name: number for name, number in ENDFAULT_POINTS.items() if not left_out.get(name)}

    def connected(self, number: int) -> None:
        """A client is connected, for the `number`th time: to this device, or to one that takes its place."""
        pretender = self.faults.begins_after("pretender", number)
        self.scenario = self._own_scenario
        if isinstance(pretender, Pretender):
            self._board.log("fault: another device answers at this address")
            update = {"security": pretender.security, "proof": pretender.proof}
            self.scenario = self._own_scenario.model_copy(update=update)
        count, self.session = self.session.count, SessionEndpoint(self.scenario)
        self.session.count = count

    def disconnected(self) -> None:
        """The client is gone, and its session with it."""
        self.session.forget()

    async def write(self, endpoint: str, data: bytes) -> bytes:
        """The response to a request. Raises HandlerFailed, and LinkDropped after a fault."""
        if endpoint == VERSION:
            return await self._answer("version", lambda: self._version(data))
        if endpoint == SESSION:
            step = "proof" if self.session.is_proof(data) else "hello"
            return await self._answer(step, lambda: self.session.write(data))
        channel = self.session.channel
        if channel is None:
            raise HandlerFailed("no session")
        message = Message(channel.open(data))
        point = FAULT_POINTS.get((endpoint, message.number(1)))
        if point is None and (endpoint, message.number(1)) != (CTRL, 3):
            raise HandlerFailed("an unknown message")
        handler = {SCAN: self._scan, CONFIG: self._configure, CTRL: self._control}[endpoint]
        # A long scan may end in another session, so the channel is kept.
        return await self._answer(point or "reprov", lambda: handler(message), channel.seal)

    def was_read(self, endpoint: str) -> None:
        """The client has read the response."""
        if endpoint == CONFIG and self._outcome_sent and self.scenario.stops_told is not None:
            self._outcome_sent = False
            self._stop_after(self.scenario.stops_told)

    async def _answer(
        self, point: str, handler: Callable[[], Any], seal: Callable[[bytes], bytes] = lambda data: data
    ) -> bytes:
        """The answer of `handler`, with the faults of `point`."""
        self.exchanges.append(point)
        when = self.faults.peek("drop", point)
        if when is not None:
            self.faults.consume("drop", point)
        if when == "before":
            self._drop_link(point)
        status = self.faults.consume("refuse", point)
        if status is not None:
            return seal(self._refusal(point, cast(int, status)))
        answer = handler()
        plain: bytes = await answer if asyncio.iscoroutine(answer) else answer
        if when == "after":
            self._drop_link(point)
        kind = self.faults.consume("garbage", point)
        if kind == "oversized":
            # An attribute cannot hold more than 512 bytes.
            return seal(plain + bytes(range(256)) * 2)[:512]
        if kind is not None:
            self._board.log(f"fault: the answer to {point} is garbage ({kind})")
            plain = {
                "empty": b"",
                "truncated": plain[: max(1, len(plain) - 2)],
                # The answer to “set”; where that is the right one, the answer to “apply”.
                "order": field(1, 5) + field(15, b"")
                if point in ("set", "scan-status")
                else field(1, 3) + field(13, b""),
            }.get(str(kind), b"\xff\xfe\x00\x81" * 5)
        return seal(plain)

    def _drop_link(self, point: str) -> None:
        self._board.log(f"fault: the link drops at {point}")
        self._board.drop()
        raise LinkDropped(point)

    # §3.

    def _version(self, data: bytes) -> bytes:
        if not data:
            raise HandlerFailed("an empty request")
        scenario = self.scenario
        if scenario.firmware == "old":
            return OLD_VERSION
        caps = ["wifi_prov"] + (["wifi_scan"] if scenario.scan else [])
        caps += ["no_sec"] if scenario.security == 0 else []
        caps += ["no_pop"] if scenario.security == 1 and not scenario.proof.get_secret_value() else []
        prov: dict[str, Any] = {"ver": "netprov-v1.2", "sec_ver": scenario.security}
        if scenario.patch:
            prov["sec_patch_ver"] = scenario.patch
        return json.dumps({"prov": {**prov, "cap": caps}}, indent="\t").encode()

    # §7, prov-scan.

    async def _scan(self, message: Message) -> bytes:
        step = message.number(1)
        if step == 0:
            self._scanning = asyncio.create_task(self._scan_networks())
            if message.message(10).number(1) and self.scenario.blocking:
                await self._scanning
            return field(1, 1) + field(11, b"")
        done = self._scanning is not None and self._scanning.done()
        if step == 2:
            content = optional(1, int(done)) + optional(2, len(self._scanned) if done else 0)
            return field(1, 3) + field(13, content)
        start, count = message.message(14).number(1), message.message(14).number(2)
        if start + count > self.scenario.results:
            return field(1, 5) + field(2, INTERNAL_ERROR) + field(15, b"")
        entries = (field(1, _entry(heard)) for heard in self._scanned[start : start + count])
        return field(1, 5) + field(15, b"".join(entries))

    async def _scan_networks(self) -> None:
        self._scanned = (await self._board.scan())[: self.scenario.results]

    # §7, prov-config.

    def _configure(self, message: Message) -> bytes:
        step = message.number(1)
        if step == 0:
            return field(1, 1) + field(11, self._status())
        if step == 2:
            return field(1, 3) + field(13, optional(1, self._set_config(message.message(12))))
        return field(1, 5) + field(15, optional(1, self._apply_config()))

    def _set_config(self, part: Message) -> int:
        if not 0 < len(part.bytes(1)) <= 32 or len(part.bytes(2)) > 64:
            return INVALID_ARGUMENT
        if self.scenario.refuses == "set" and self.phase != "ready":
            return INTERNAL_ERROR
        self._config = part.bytes(1), part.bytes(2)
        self.credentials_received += 1
        return 0

    def _apply_config(self) -> int:
        if self._config is None or self.phase != "ready":
            return INTERNAL_ERROR
        self.applied += 1
        self._set_phase("joining")
        self._task = asyncio.create_task(self._join(*self._config))
        self._config = None
        return 0

    async def _join(self, ssid: bytes, passphrase: bytes) -> None:
        name = ssid.decode("utf-8", "surrogateescape")
        secret = SecretStr(passphrase.decode("utf-8", "surrogateescape"))
        self._attempts_left = None
        for left in reversed(range(self.scenario.attempts)):
            outcome = await self._board.try_join(name, secret)
            if self.faults.consume("reboot") is not None:
                self._board.log("fault: the device restarts")
                self._task = None
                self._board.reboot()
                return
            if self.faults.consume("drop", "joining") is not None:
                self._board.log("fault: the link drops at joining")
                self._board.drop()
            if outcome is JoinOutcome.JOINED:
                self._joined = ssid
                self._set_phase("joined")
                self._stop_after(self.scenario.stops)
                return
            if left:
                self._attempts_left = left
        self._reason = NOT_FOUND if outcome in (JoinOutcome.NOT_FOUND, JoinOutcome.DOWN) else AUTH_ERROR
        self._set_phase("failed")

    def _status(self) -> bytes:
        if self.phase == "ready":
            return field(2, DISCONNECTED)
        if self.phase == "joining":
            return field(2, CONNECTING) + (
                field(12, field(1, self._attempts_left)) if self._attempts_left is not None else b""
            )
        if self.phase == "failed":
            return field(2, FAILED) + field(10, self._reason)
        self._outcome_sent = True
        # Connected is zero, and zero is left out.
        return field(11, field(1, b"192.168.1.50") + field(2, 3) + field(3, self._joined) + field(5, 6))

    # §7, prov-ctrl.

    def _control(self, message: Message) -> bytes:
        step, allowed = message.number(1), {1: "failed", 3: "joined"}
        answer = field(1, step + 1)
        if self.phase != allowed[step]:
            return answer + field(2, INTERNAL_ERROR) + field(11 + step, b"")
        if self._timer is not None:
            self._timer.cancel()
        self._set_phase("ready")
        return answer + field(11 + step, b"")

    def _refusal(self, point: str, status: int) -> bytes:
        """The answer to `point` with this status; empty for proto-ver, which has no status."""
        part = optional(1, status)
        answers = {
            "scan-start": field(1, 1) + field(2, status),
            "scan-status": field(1, 3) + field(2, status),
            "scan-results": field(1, 5) + field(2, status),
            "status": field(1, 1) + field(11, part),
            "set": field(1, 3) + field(13, part),
            "apply": field(1, 5) + field(15, part),
            "reset": field(1, 2) + field(2, status) + field(12, b""),
            "hello": self.session.answer(RESPONSE_0, part),
            "proof": self.session.answer(RESPONSE_1, part),
        }
        return answers.get(point, b"")

    def _set_phase(self, phase: str) -> None:
        self.phase = phase
        self._board.log(f"state: {phase}")

    def _stop_after(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._board.stop_service)


def _entry(heard: ScannedAccessPoint) -> bytes:
    bssid = b"\x02" + zlib.crc32(heard.ssid.encode("utf-8", "surrogateescape")).to_bytes(4, "big") + b"\x01"
    return (
        field(1, heard.ssid.encode("utf-8", "surrogateescape"))
        + field(2, 6 if heard.band is Band.GHZ_2_4 else 36)
        + field(3, heard.rssi)
        + field(4, bssid)
        + optional(5, AUTH_MODES.get(heard.security, 0))
    )
