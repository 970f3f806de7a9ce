"""Improv Wi-Fi over BLE: bytes to objects and back. Pure functions, no input or output.

Source: the Improv specification for BLE, revision 2.4 (`facts/improv-ble.md` §1 to §7).
"""

from __future__ import annotations

import enum
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass

from installer.provisioning.driver_errors import Malformed, Refused
from installer.text import decode, printable
from installer.wifi.networks import SSID_BYTES, Network, Security

STATE = "00467768-6228-2272-4663-277478268001"
ERROR = "00467768-6228-2272-4663-277478268002"
COMMAND = "00467768-6228-2272-4663-277478268003"
RESULT = "00467768-6228-2272-4663-277478268004"
CAPABILITIES = "00467768-6228-2272-4663-277478268005"
CHARACTERISTICS = (STATE, ERROR, COMMAND, RESULT, CAPABILITIES)

MAX_DATA = 255
OVERHEAD = 3  # command, length and checksum
MAX_HOSTNAME = 253


class State(enum.IntEnum):
    """What the device is doing (§2)."""

    STOPPED = 0x00
    AUTHORIZATION_REQUIRED = 0x01
    AUTHORIZED = 0x02
    PROVISIONING = 0x03
    PROVISIONED = 0x04


class DeviceError(enum.IntEnum):
    """The errors that the device reports (§3). UNKNOWN stands for every number that has no meaning yet."""

    NONE = 0x00
    MALFORMED = 0x01
    UNKNOWN_COMMAND = 0x02
    UNABLE_TO_CONNECT = 0x03
    NOT_AUTHORIZED = 0x04
    BAD_HOSTNAME = 0x05
    UNKNOWN = 0xFF


class CapabilityBits(enum.IntFlag):
    """Capability bits (§4); bits without a meaning yet are kept."""

    IDENTIFY = 0x01
    DEVICE_INFO = 0x02
    SCAN_NETWORKS = 0x04
    HOSTNAME = 0x08


class Command(enum.IntEnum):
    """Command numbers (§6)."""

    WIFI_SETTINGS = 0x01
    IDENTIFY = 0x02
    DEVICE_INFO = 0x03
    SCAN_NETWORKS = 0x04
    HOSTNAME = 0x05
    DEVICE_NAME = 0x06


@dataclass(frozen=True)
class Frame:
    """A command or a result: its number and its data, without length and checksum. The data may be secret."""

    command: int
    data: bytes = b""

    def __repr__(self) -> str:
        return f"Frame(command=0x{self.command:02x}, {len(self.data)} bytes)"


@dataclass(frozen=True)
class Info:
    """The texts of a device-info result; the system's ones may be absent."""

    firmware: str
    firmware_version: str
    hardware: str
    name: str
    system: str = ""
    system_version: str = ""


_REASONS = {
    DeviceError.MALFORMED: "it could not read the request",
    DeviceError.UNKNOWN_COMMAND: "it has no such command",
    DeviceError.UNABLE_TO_CONNECT: "it could not connect to the network",
    DeviceError.NOT_AUTHORIZED: "somebody must press its button first",
    DeviceError.BAD_HOSTNAME: "it does not accept this host name",
}


def refusal(error: DeviceError) -> Refused:
    """The exception for an error that the device reports."""
    reason = _REASONS.get(error, "it gave no known reason")
    return Refused(int(error), reason, data_field="improv_error")


def checksum(data: bytes) -> int:
    """The sum of all bytes modulo 256."""
    return sum(data) & 0xFF


def encode_frame(frame: Frame) -> bytes:
    """`command | length | data | checksum`. Raises Malformed for more than 255 bytes of data."""
    if len(frame.data) > MAX_DATA:
        raise Malformed(f"{len(frame.data)} bytes do not fit into a frame of {MAX_DATA}")
    body = bytes((frame.command, len(frame.data))) + frame.data
    return body + bytes((checksum(body),))


def frame_size(start: bytes) -> int | None:
    """The size in bytes of the frame that starts with `start`; None if its length byte is not there yet."""
    return start[1] + OVERHEAD if len(start) >= 2 else None


def decode_frame(data: bytes) -> Frame:
    """The frame in `data`, which holds exactly one. Raises Malformed for a wrong length or checksum."""
    size = frame_size(data)
    if size is None or len(data) != size:
        raise Malformed(f"a frame of {len(data)} bytes has a wrong length byte" if data else "an empty frame")
    if data[-1] != checksum(data[:-1]):
        raise Malformed("a frame has a wrong checksum")
    return Frame(data[0], data[2:-1])


def pack_strings(strings: Sequence[bytes]) -> bytes:
    """Each string after its length byte. Raises Malformed for one of more than 255 bytes."""
    if any(len(text) > MAX_DATA for text in strings):
        raise Malformed("a text does not fit into its length byte")
    return b"".join(bytes((len(text),)) + text for text in strings)


def unpack_strings(data: bytes) -> list[bytes]:
    """The strings in `data`. Raises Malformed if one is longer than the data."""
    strings, position = [], 0
    while position < len(data):
        size, start = data[position], position + 1
        if start + size > len(data):
            raise Malformed("a text runs over the end of its frame")
        strings.append(data[start : start + size])
        position = start + size
    return strings


def wifi_settings(ssid: str, passphrase: str) -> Frame:
    """The frame that sends credentials. Raises Malformed, without the values, if they do not fit."""
    try:
        texts = [ssid.encode(), passphrase.encode()]
    except UnicodeEncodeError:
        raise Malformed("a text is not Unicode") from None
    return Frame(Command.WIFI_SETTINGS, pack_strings(texts))


def set_hostname(hostname: str, nested: bool = False) -> Frame:
    """The frame that sets the host name; `nested` adds the inner length byte that some devices want (§10.1)."""
    text = hostname.encode("ascii")
    return Frame(Command.HOSTNAME, pack_strings([text]) if nested else text)


def is_hostname(text: str) -> bool:
    """Whether `text` is a host name (RFC 1123): labels of letters, digits and hyphens, with dots between."""
    letters = set(string.ascii_letters + string.digits + "-")
    labels = text.split(".")
    return len(text) <= MAX_HOSTNAME and all(
        0 < len(label) <= 63 and set(label) <= letters and label[0] != "-" and label[-1] != "-" for label in labels
    )


def decode_state(data: bytes) -> State:
    """The value of the state characteristic. Raises Malformed for no byte or an unknown state."""
    try:
        return State(data[0])
    except IndexError:
        raise Malformed("the state has no byte") from None
    except ValueError:
        raise Malformed(f"there is no state 0x{data[0]:02x}") from None


def decode_error(data: bytes) -> DeviceError:
    """The value of the error characteristic; a number without a meaning is UNKNOWN. Raises Malformed for no byte."""
    if not data:
        raise Malformed("the error has no byte")
    try:
        return DeviceError(data[0])
    except ValueError:
        return DeviceError.UNKNOWN


def decode_capabilities(data: bytes) -> CapabilityBits:
    """The value of the capabilities characteristic (little-endian bytes). Raises Malformed for no byte."""
    if not data:
        raise Malformed("the capabilities have no byte")
    return CapabilityBits(int.from_bytes(data[:4], "little"))


def decode_service_data(data: bytes) -> tuple[int, CapabilityBits]:
    """(state byte, capabilities) of the advertisement; 6 bytes in the specification, 2 are enough. Raises Malformed."""
    if len(data) < 2:
        raise Malformed("the service data have less than two bytes")
    return data[0], CapabilityBits(data[1])


def decode_redirect(data: bytes) -> str | None:
    """The address in the result of `wifi_settings`; None if absent, empty, or no web address. Raises Malformed."""
    texts = unpack_strings(data)
    if not texts or not texts[0]:
        return None
    url = decode(texts[0])
    return url if re.fullmatch(r"https?://[\x21-\x7e]+", url) else None


def decode_info(data: bytes) -> Info:
    """The result of device info; texts are made printable. Raises Malformed for less than four."""
    texts = [printable(decode(text)) for text in unpack_strings(data)]
    if len(texts) < 4:
        raise Malformed(f"the device information has {len(texts)} texts instead of 4")
    return Info(*texts[:6])


def decode_networks(data: bytes) -> list[Network]:
    """The networks of one scan result: name, signal and security of each. Raises Malformed unless there are
    three texts for each.

    A network whose name nobody can type (empty, not UTF-8, too long, with NUL) is left out.
    """
    texts = unpack_strings(data)
    if len(texts) % 3:
        raise Malformed(f"the list of networks has {len(texts)} texts, not groups of 3")
    networks = []
    for raw, rssi, security in zip(texts[::3], texts[1::3], texts[2::3], strict=True):
        try:
            ssid = raw.decode()
        except UnicodeDecodeError:
            continue
        if 0 < len(raw) <= SSID_BYTES and "\x00" not in ssid:
            networks.append(
                Network(ssid=ssid, rssi=parse_rssi(decode(rssi)), security=parse_security(decode(security)))
            )
    return networks


def parse_rssi(text: str) -> int | None:
    """The signal in dBm from a text such as `-60` or `-60 dBm`; None if it holds no possible number."""
    found = re.search(r"[-\u2212]?[0-9]{1,3}", text)
    if found is None:
        return None
    number = int(found[0].replace("\u2212", "-"))
    return number if -127 <= number <= 20 else None


def parse_security(text: str) -> Security:
    """The security that a text such as `WPA/WPA2`, `WPA2 EAP` or `NO` names (§6)."""
    parts = {part.strip().upper() for part in text.split("/")} - {""}
    if any("EAP" in part or "ENTERPRISE" in part for part in parts):
        return Security.ENTERPRISE
    if parts and parts <= {"NO", "OPEN", "NONE"}:
        return Security.OPEN
    for named, security in _SECURITIES:
        if named <= parts:
            return security
    return Security.UNKNOWN


_SECURITIES = (
    ({"WPA2", "WPA3"}, Security.WPA2_WPA3),
    ({"WPA3"}, Security.WPA3),
    ({"WPA", "WPA2"}, Security.WPA_WPA2),
    ({"WPA2"}, Security.WPA2),
    ({"WPA"}, Security.WPA),
    ({"WEP"}, Security.WEP),
)
