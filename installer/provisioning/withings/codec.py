"""The messages of the Withings protocol and their objects: bytes to values and back. Pure functions.

Source: `facts/withings-ble.md` §4 and §5, the confirmed parts only. All numbers are big-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from installer.provisioning.driver_errors import Malformed

START = 0x01
_HEADER = struct.Struct(">BHH")  # start, command, bytes of objects
_OBJECT = struct.Struct(">HH")  # type, bytes of data
# The messages that this program reads have about 100 bytes.
MAX_OBJECTS = 4096

CHANNEL = 0xC000
PROBE, CHALLENGE_COMMAND, ERROR_COMMAND, BATTERY_COMMAND = 0x0101, 0x0128, 0x0100, 0x0504

END, REPLY, ERROR, CHALLENGE, FACTORY_STATE, APP, OS_VERSION, BATTERY = (
    0x0100, 0x0101, 0x0110, 0x0122, 0x012C, 0x012A, 0x0928, 0x0504,
)  # fmt: skip
# The value for a version that a device does not have; seen on Steel HR (§10).
NO_VERSION = 0x00FFFFFF


@dataclass(frozen=True)
class Item:
    """One object of a message. `data` may hold a secret, so it is not shown."""

    type: int
    data: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Frame:
    """One message: 16 bits of command, of which the upper two are the channel, and its objects."""

    command: int
    items: tuple[Item, ...] = ()

    @property
    def id(self) -> int:
        """The command without its channel."""
        return self.command & ~CHANNEL

    @property
    def is_answer(self) -> bool:
        """Whether it answers a request; on the other channels the device sends by itself."""
        return not self.command & CHANNEL

    def first(self, kind: int) -> bytes | None:
        """The data of the first object of this type."""
        return next((item.data for item in self.items if item.type == kind), None)


def encode(frame: Frame) -> bytes:
    """The bytes of a message. Raises Malformed if a length does not fit its field."""
    parts = []
    for item in frame.items:
        if not 0 <= item.type <= 0xFFFF or len(item.data) > 0xFFFF:
            raise Malformed("an object does not fit its header")
        parts.append(_OBJECT.pack(item.type, len(item.data)) + item.data)
    body = b"".join(parts)
    if not 0 <= frame.command <= 0xFFFF or len(body) > 0xFFFF:
        raise Malformed("a message does not fit its header")
    return _HEADER.pack(START, frame.command, len(body)) + body


def decode(data: bytes) -> Frame:
    """The message in exactly these bytes. Raises Malformed."""
    if len(data) < _HEADER.size:
        raise Malformed("a message is shorter than its header")
    start, command, length = _HEADER.unpack_from(data)
    if start != START:
        raise Malformed("a message does not begin as one")
    if len(data) != _HEADER.size + length:
        raise Malformed("the length of a message is wrong")
    items = []
    at = _HEADER.size
    while at < len(data):
        if len(data) - at < _OBJECT.size:
            raise Malformed("an object is shorter than its header")
        kind, size = _OBJECT.unpack_from(data, at)
        at += _OBJECT.size
        if len(data) - at < size:
            raise Malformed("an object is longer than its message")
        items.append(Item(kind, data[at : at + size]))
        at += size
    return Frame(command, tuple(items))


class Assembler:
    """Joins notifications to messages: fragments have no marks, only the message begins with its length (§4)."""

    def __init__(self) -> None:
        self._buffer = b""

    @property
    def waiting(self) -> int:
        """The number of bytes of the incomplete message."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """The messages that are complete now. Raises Malformed; then the incomplete message is forgotten."""
        self._buffer += data
        found = []
        try:
            while self._buffer:
                if self._buffer[0] != START:
                    raise Malformed("a message does not begin as one")
                if len(self._buffer) < _HEADER.size:
                    break
                length = _HEADER.unpack_from(self._buffer)[2]
                if length > MAX_OBJECTS:
                    raise Malformed("a message is too long")
                end = _HEADER.size + length
                if len(self._buffer) < end:
                    break
                found.append(decode(self._buffer[:end]))
                self._buffer = self._buffer[end:]
        except Malformed:
            self._buffer = b""
            raise
        return found


class Reader:
    """Reads the fields of an object one after the other. Every method raises Malformed at the end of the data."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def read(self, size: int) -> bytes:
        """The next `size` bytes."""
        if len(self._data) - self._at < size:
            raise Malformed("an object is shorter than its fields")
        data = self._data[self._at : self._at + size]
        self._at += size
        return data

    def number(self, size: int) -> int:
        """An unsigned number of `size` bytes."""
        return int.from_bytes(self.read(size), "big")

    def signed(self, size: int) -> int:
        """A signed number of `size` bytes."""
        return int.from_bytes(self.read(size), "big", signed=True)

    def array(self) -> bytes:
        """A byte array: its length in one byte, then the bytes."""
        return self.read(self.number(1))

    def text(self) -> str:
        """A text: like an array, UTF-8."""
        try:
            return self.array().decode("utf-8")
        except UnicodeDecodeError:
            raise Malformed("a text is not UTF-8") from None


@dataclass(frozen=True)
class Reply:
    """The probe reply (0x0101) without its secret, which is skipped. A missing version is None."""

    vendor: int
    product: int
    name: str
    mac: str
    hardware: int | None
    manufacturing_id: str
    bootloader: int | None
    software: int | None
    rescue: int | None


@dataclass(frozen=True)
class Battery:
    """Battery (0x0504): charge in percent, state (0 charging, 1 low, 2 ok, 3 critical), and voltage in mV."""

    percent: int
    state: int
    millivolts: int


@dataclass(frozen=True)
class Refusal:
    """An error (0x0110): the command that failed, and why (§4: -2 busy, -3 unknown, -5 not authenticated, …)."""

    command: int
    code: int


def probe_request(version: int = 1, os_version: int = 1) -> Frame:
    """The request for the identity. Its numbers mean nothing: no account, no secret."""
    app = bytes((1, 1)) + version.to_bytes(4, "big")
    return Frame(PROBE, (Item(APP, app), Item(OS_VERSION, os_version.to_bytes(2, "big"))))


def battery_request() -> Frame:
    """The request for the battery."""
    return Frame(BATTERY_COMMAND)


def reply(data: bytes) -> Reply:
    """The fields of a probe reply. Raises Malformed."""
    fields = Reader(data)
    vendor, product = fields.number(2), fields.number(2)
    name, mac = fields.text(), fields.text()
    fields.array()  # a secret, which is not used here and not kept
    hardware = _version(fields.number(4))
    manufacturing_id = fields.text()
    bootloader, software, rescue = (_version(fields.number(4)) for _ in range(3))
    return Reply(vendor, product, name, mac, hardware, manufacturing_id, bootloader, software, rescue)


def challenge_mac(data: bytes) -> str:
    """The device's MAC address in its challenge (0x0122). Raises Malformed if it is no challenge."""
    fields = Reader(data)
    mac = fields.text()
    if len(fields.array()) != 16:
        raise Malformed("a challenge does not have 16 bytes")
    return mac


def battery(data: bytes) -> Battery:
    """The fields of the battery object. Raises Malformed."""
    fields = Reader(data)
    percent, state, millivolts = fields.number(1), fields.number(1), fields.number(4)
    if percent > 100:
        raise Malformed("a battery has more than 100 percent")
    return Battery(percent, state, millivolts)


def refusal(frame: Frame) -> Refusal | None:
    """The content of an error message; None for any other message. Raises Malformed."""
    data = frame.first(ERROR) if frame.id == ERROR_COMMAND else None
    if data is None:
        return None
    fields = Reader(data)
    return Refusal(fields.number(2), fields.signed(4))


def _version(number: int) -> int | None:
    return None if number == NO_VERSION else number
