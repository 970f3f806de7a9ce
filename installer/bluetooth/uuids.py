"""Bluetooth UUIDs: 16-bit numbers and bytes as sent over the air to the 128-bit text form.

Source: Core Specification vol. 3 part B §2.5.1 (the Bluetooth Base UUID).
"""

from __future__ import annotations

from uuid import UUID

_BASE_UUID_END = "-0000-1000-8000-00805f9b34fb"


def expand_uuid16(number: int) -> str:
    """The 128-bit text of a 16-bit (or 32-bit) UUID: `expand_uuid16(0x180A)` is Device Information."""
    return f"{number:08x}{_BASE_UUID_END}"


def uuid_from_bytes(little_endian: bytes) -> str:
    """The 128-bit text of a UUID of 2, 4 or 16 bytes in the byte order of the air."""
    if len(little_endian) == 16:
        return str(UUID(bytes=little_endian[::-1]))
    return expand_uuid16(int.from_bytes(little_endian, "little"))
