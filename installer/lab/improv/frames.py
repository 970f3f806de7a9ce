"""The frames of Improv for lab devices: numbers, encoding, checksums, and wrong frames for faults.

Written from `facts/improv-ble.md` (§ numbers are that sheet's), apart from the installer's own codec.
"""

from __future__ import annotations

import enum
import re

from installer.wifi.networks import Security

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


FAULT_POINTS = {
    Command.WIFI: "credentials",
    Command.IDENTIFY: "identify",
    Command.INFO: "info",
    Command.SCAN: "scan",
    Command.HOSTNAME: "hostname",
}
IDENTIFY_BIT, INFO_BIT, SCAN_BIT, HOSTNAME_BIT = 1, 2, 4, 8
SECURITY_TEXTS = {
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


def checksum(data: bytes) -> int:
    """§5."""
    return sum(data) % 256


def frame(command: int, data: bytes) -> bytes:
    """A whole frame (§5)."""
    head = bytes((command, len(data))) + data
    return head + bytes((checksum(head),))


def pack_string(value: str | bytes) -> bytes:
    """A string as it stands in the data of a frame (§5)."""
    raw = value.encode() if isinstance(value, str) else value
    return bytes((len(raw),)) + raw


def unpack_strings(data: bytes) -> list[bytes] | None:
    """The strings that make up `data`, or None if they do not."""
    found, at = [], 0
    while at < len(data):
        end = at + 1 + data[at]
        if end > len(data):
            return None
        found.append(data[at + 1 : end])
        at = end
    return found


def spoiled(whole: bytes, kind: str) -> bytes:
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
        return frame(command, b"".join(pack_string(b"\xff\xfe\x1b[2J\xc3") for _ in range(6)))
    if kind == "strings":
        return frame(command, (data + b"\xf0odd")[:MAX_DATA])
    # "order": the answer to another command.
    return frame(Command.SCAN if command != Command.SCAN else Command.INFO, data)
