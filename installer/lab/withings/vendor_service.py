"""The vendor's own GATT service on a lab device: it answers the probe, or asks an app for the secret of its account.

Written from the confirmed parts of `facts/withings-ble.md` (§ numbers are that sheet's); it shares no code with the
installer's driver. That these models answer in this way is inferred there; battery and versions are made up.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable

from bumble import att
from bumble.gatt import Characteristic, Service

from installer.lab.models import vendor_uuid

Properties = Characteristic.Properties
UNKNOWN_COMMAND, INVALID, NOT_AUTHENTICATED, AUTHENTICATION_ERROR = -3, -4, -5, -6
# "The device has no such version" on Steel HR (§10).
NO_VERSION = bytes.fromhex("00ffffff")


def service(suffix: int, received: Callable[[bytes], None]) -> tuple[Service, Characteristic[bytes]]:
    """The service of scheme A and its pipe, which is written to and notifies (§3)."""

    def write(_connection: object, value: bytes) -> None:
        # Later, so that the client has its write response before any notification, as with a real stack.
        asyncio.get_running_loop().call_soon(received, value)

    def read(_connection: object) -> bytes:
        raise att.ATT_Error(att.ATT_READ_NOT_PERMITTED_ERROR)

    pipe: Characteristic[bytes] = Characteristic(
        "00000024" + vendor_uuid(suffix)[8:],
        Properties.WRITE | Properties.WRITE_WITHOUT_RESPONSE | Properties.NOTIFY,
        att.Attribute.WRITEABLE,
        att.AttributeValue(read=read, write=write),
    )
    return Service(vendor_uuid(suffix), [pipe]), pipe


class VendorService:
    """Answers the messages that are written to the pipe. `send` sends a whole message."""

    def __init__(
        self, address: str, name: str, associated: Callable[[], bool], send: Callable[[bytes], None], battery: int = 87
    ) -> None:
        self._mac = address.lower()
        self._name = name
        self._associated = associated
        self._send = send
        self._battery = battery
        self._buffer = b""
        self.probes = 0
        self._challenges = 0

    def disconnected(self) -> None:
        """Forget an incomplete message."""
        self._buffer = b""

    def reset(self) -> None:
        """Factory state."""
        self._buffer = b""
        self.probes = self._challenges = 0

    def received(self, value: bytes) -> None:
        """Handle a write: collect the bytes, and answer each complete message (§4)."""
        self._buffer += value
        while len(self._buffer) >= 5:
            length = int.from_bytes(self._buffer[3:5], "big")
            if self._buffer[0] != 1:
                self._buffer = b""
                self._error(0, INVALID)
                return
            if len(self._buffer) < 5 + length:
                return
            command = int.from_bytes(self._buffer[1:3], "big")
            self._buffer = self._buffer[5 + length :]
            self._answer(command)

    def _answer(self, command: int) -> None:
        if command == 0x0101:
            self.probes += 1
            if self._associated():
                self._message(0x0128, (0x0122, _array(self._mac.encode()) + _array(self._nonce())))
            else:
                self._message(0x0101, (0x0101, self._reply()), (0x012C, b"\x00"))
        elif self._associated():
            self._error(command, AUTHENTICATION_ERROR if command == 0x0128 else NOT_AUTHENTICATED)
        elif command == 0x0504:
            level = bytes((self._battery, 2)) + (3800).to_bytes(4, "big") + bytes(4)
            self._message(0x0504, (0x0504, level))
        else:
            self._error(command, UNKNOWN_COMMAND)

    def _reply(self) -> bytes:
        versions = NO_VERSION, (27).to_bytes(4, "big"), (1000).to_bytes(4, "big"), NO_VERSION
        texts = [_array(text.encode()) for text in (self._name, self._mac, "lab-no-secret-00", "00000000")]
        return bytes(4) + b"".join(texts[:3]) + versions[0] + texts[3] + b"".join(versions[1:])

    def _nonce(self) -> bytes:
        self._challenges += 1
        return hashlib.sha256(f"lab challenge {self._mac} {self._challenges}".encode()).digest()[:16]

    def _error(self, command: int, code: int) -> None:
        self._message(0x0100, (0x0110, command.to_bytes(2, "big") + code.to_bytes(4, "big", signed=True)))

    def _message(self, command: int, *objects: tuple[int, bytes]) -> None:
        body = b"".join(kind.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data for kind, data in objects)
        self._send(b"\x01" + command.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body)


def _array(value: bytes) -> bytes:
    return bytes((len(value),)) + value
