"""The wire format of protocol buffers, for lab devices.

It shares no code with the drivers, which use the protobuf library: so the lab checks them independently.
"""

from __future__ import annotations

VARINT, BYTES = 0, 2
FIXED_WIDTHS = {1: 8, 5: 4}  # bytes of the fixed-width fields; no message here has one, so they are skipped


class InvalidMessage(Exception):
    """The bytes are no protobuf message."""


def varint(number: int) -> bytes:
    """A varint; a negative number as 64 bits, ten bytes long."""
    number &= (1 << 64) - 1
    groups = []
    while True:
        number, low = number >> 7, number & 0x7F
        groups.append(low | (0x80 if number else 0))
        if not number:
            return bytes(groups)


def field(number: int, value: int | bytes) -> bytes:
    """One field: a varint or bytes, by the type of `value`; a zero as well."""
    if isinstance(value, int):
        return varint(number << 3 | VARINT) + varint(value)
    return varint(number << 3 | BYTES) + varint(len(value)) + value


def optional(number: int, value: int | bytes) -> bytes:
    """The field, left out if it is zero or empty, as in proto3."""
    return field(number, value) if value else b""


class Message:
    """The fields of a message by number; of a repeated one the last. Raises InvalidMessage."""

    def __init__(self, data: bytes) -> None:
        self._fields: dict[int, int | bytes] = {}
        at = 0
        while at < len(data):
            key, at = self._varint(data, at)
            number, kind = key >> 3, key & 7
            value: int | bytes
            if kind == VARINT:
                value, at = self._varint(data, at)
            elif kind == BYTES or kind in FIXED_WIDTHS:
                size = FIXED_WIDTHS.get(kind, 0)
                if kind == BYTES:
                    size, at = self._varint(data, at)
                value, at = data[at : at + size], at + size
                if at > len(data):
                    raise InvalidMessage("a field longer than its message")
            else:
                raise InvalidMessage("a field of an unknown kind")
            if number == 0:
                raise InvalidMessage("a field without a number")
            self._fields[number] = value

    @staticmethod
    def _varint(data: bytes, at: int) -> tuple[int, int]:
        number = shift = 0
        while at < len(data) and shift < 70:
            number |= (data[at] & 0x7F) << shift
            shift += 7
            at += 1
            if data[at - 1] < 0x80:
                return number & ((1 << 64) - 1), at
        raise InvalidMessage("a number that does not end")

    def number(self, field_number: int) -> int:
        """A number, 0 if absent."""
        value = self._fields.get(field_number, 0)
        return value if isinstance(value, int) else 0

    def bytes(self, field_number: int) -> bytes:
        """Bytes, empty if absent."""
        value = self._fields.get(field_number, b"")
        return value if isinstance(value, bytes) else b""

    def has(self, field_number: int) -> bool:
        """Whether the field is there."""
        return field_number in self._fields

    def message(self, field_number: int) -> Message:
        """A nested message, without fields if absent."""
        return Message(self.bytes(field_number))
