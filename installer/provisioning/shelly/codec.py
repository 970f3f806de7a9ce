"""Shelly's RPC: calls to bytes, and bytes to answers, statuses and networks. Pure functions, no input or output.

Source: `facts/other-ble-provisioning.md` §1. The fields of Wifi.GetStatus (`sta_ip`, `status`, `ssid`) are given there
from memory, and the words of `status` are not given. So they are read leniently: an unknown word means “not yet”.
"""

from __future__ import annotations

import enum
import ipaddress
import json
from dataclasses import dataclass
from typing import Any

from installer.provisioning.driver_errors import Malformed, Refused
from installer.provisioning.provisioner import DeviceInfo
from installer.provisioning.scan_fields import band_of_channel, possible_rssi
from installer.text import decode, printable
from installer.wifi.networks import SSID_BYTES, Network, Security

DATA = "5f6d4f53-5f52-5043-5f64-6174615f5f5f"
TX_CONTROL = "5f6d4f53-5f52-5043-5f74-785f63746c5f"
RX_CONTROL = "5f6d4f53-5f52-5043-5f72-785f63746c5f"
CHARACTERISTICS = (DATA, TX_CONTROL, RX_CONTROL)

GET_DEVICE_INFO = "Shelly.GetDeviceInfo"
REBOOT = "Shelly.Reboot"
SCAN = "Wifi.Scan"
SET_CONFIG = "Wifi.SetConfig"
GET_STATUS = "Wifi.GetStatus"

MAX_FRAME = 64 * 1024  # bytes; more than any of these answers can need
MAX_NETWORKS = 255
LENGTH_BYTES = 4
UNAUTHORIZED = 401

# The numbers are those of Espressif's chips, which these devices have.
_SECURITY = {
    0: Security.OPEN,
    1: Security.WEP,
    2: Security.WPA,
    3: Security.WPA2,
    4: Security.WPA_WPA2,
    5: Security.ENTERPRISE,
    6: Security.WPA3,
    7: Security.WPA2_WPA3,
}


def refusal(code: int, words: str) -> Refused:
    """The exception for an error. `words`: the device's own text, safe for a terminal."""
    return Refused(code, f"error {code}", details=words, data_field="rpc_error")


@dataclass(frozen=True)
class Answer:
    """A frame of the device. `id`: None for a notification, which answers no call."""

    id: int | None
    result: Any = None
    error: Refused | None = None


class Phase(enum.Enum):
    """The state of the device's Wi-Fi."""

    IDLE = "idle"
    BUSY = "busy"
    JOINED = "joined"
    NOT_FOUND = "not found"
    FAILED = "failed"


# The words that a status may hold, in the order in which they are looked for.
_WORDS = {
    Phase.NOT_FOUND: ("not found", "no ap"),
    Phase.FAILED: ("fail", "wrong", "denied"),
    Phase.JOINED: ("got ip",),
    Phase.IDLE: ("disconnected", "idle"),
    Phase.BUSY: ("connecting",),
}


@dataclass(frozen=True)
class WifiStatus:
    """One answer of Wifi.GetStatus. `ssid`: empty if missing; `address`: an IPv4 address, or empty."""

    phase: Phase
    ssid: str = ""
    address: str = ""


def encode_length(size: int) -> bytes:
    """The bytes that announce a frame of `size` bytes. Raises Malformed if a frame cannot be so long."""
    if not 0 < size <= MAX_FRAME:
        raise Malformed("a request of a wrong length")
    return size.to_bytes(LENGTH_BYTES, "big")


def decode_length(data: bytes) -> int:
    """How many bytes can be read, 0 for none. Raises Malformed."""
    if len(data) != LENGTH_BYTES:
        raise Malformed("a length that is not four bytes")
    size = int.from_bytes(data, "big")
    if size > MAX_FRAME:
        raise Malformed("an answer of more than 64 KiB")
    return size


def encode_call(number: int, method: str, params: dict[str, Any] | None = None) -> bytes:
    """A call with the id `number`."""
    call: dict[str, Any] = {"id": number, "method": method}
    if params is not None:
        call["params"] = params
    # As plain UTF-8: small JSON readers know no \u escapes.
    return json.dumps(call, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def station(ssid: str, passphrase: str) -> dict[str, Any]:
    """The parameters of Wifi.SetConfig. For an open network the passphrase is null (UNCONFIRMED)."""
    return {"config": {"sta": {"ssid": ssid, "pass": passphrase or None, "enable": True}}}


def decode_answer(data: bytes) -> Answer:
    """A frame of the device. Raises Malformed.

    A scan shows names of all networks, which need not be UTF-8: other bytes become replacement characters.
    """
    try:
        tree = json.loads(decode(data))
    except (ValueError, RecursionError):
        raise Malformed("an answer that is not JSON") from None
    if not isinstance(tree, dict):
        raise Malformed("an answer that is no JSON object")
    number = tree.get("id")
    if number is None and isinstance(tree.get("method"), str):
        return Answer(None)
    if not isinstance(number, int) or isinstance(number, bool):
        raise Malformed("an answer without a number")
    if ("result" in tree) == (tree.get("error") is not None):
        raise Malformed("an answer that is neither a result nor an error")
    error = tree.get("error")
    if error is None:
        return Answer(number, tree["result"])
    code = _number(error.get("code")) if isinstance(error, dict) else None
    if code is None:
        raise Malformed("an error without a code")
    return Answer(number, error=refusal(code, _text(error.get("message"), 120)))


def read_info(result: Any) -> DeviceInfo:
    """The result of Shelly.GetDeviceInfo; a missing field is empty. Raises Malformed."""
    tree = _object(result)
    return DeviceInfo(
        name=_text(tree.get("name"), 40) or _text(tree.get("id"), 40),
        firmware=_text(tree.get("app"), 40),
        firmware_version=_text(tree.get("ver"), 40),
        hardware=_text(tree.get("model"), 40),
    )


def read_networks(result: Any) -> list[Network]:
    """The result of Wifi.Scan, one entry per access point; hidden ones are left out. Raises Malformed."""
    entries = _object(result).get("results")
    if not isinstance(entries, list) or len(entries) > MAX_NETWORKS:
        raise Malformed("no list of networks")
    found = [_network(_object(entry)) for entry in entries]
    return [network for network in found if network.ssid]


def _network(entry: dict[str, Any]) -> Network:
    ssid = entry.get("ssid")
    if ssid is not None and not isinstance(ssid, str):
        raise Malformed("a network whose name is no text")
    name = _ssid(ssid)
    if len(name.replace("\ufffd", "?").encode()) > SSID_BYTES:
        raise Malformed("a network name of more than 32 bytes")
    rssi, auth, channel = (_number(entry.get(key)) for key in ("rssi", "auth", "channel"))
    bssid = entry.get("bssid")
    return Network(
        ssid=name,
        security=Security.UNKNOWN if auth is None else _SECURITY.get(auth, Security.UNKNOWN),
        rssi=possible_rssi(rssi),
        band=None if channel is None else band_of_channel(channel),
        bssid=bssid.upper() if isinstance(bssid, str) and _is_mac(bssid) else None,
    )


def read_status(result: Any) -> WifiStatus:
    """The result of Wifi.GetStatus, leniently. Raises Malformed only if it is no JSON object.

    An address means that the device has joined, unless the words say otherwise.
    """
    tree = _object(result)
    address = _address(tree.get("sta_ip"))
    words = " ".join(_text(tree.get(key), 80) for key in ("status", "reason")).lower()
    return WifiStatus(_phase(words, address), _ssid(tree.get("ssid")), address)


def _phase(words: str, address: str) -> Phase:
    for phase, known in _WORDS.items():
        if any(word in words for word in known):
            return phase
    return Phase.JOINED if address else Phase.BUSY


def needs_restart(result: Any) -> bool:
    """Whether the device uses the new settings only after a restart (result of Wifi.SetConfig)."""
    return isinstance(result, dict) and result.get("restart_required") is True


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Malformed("a part that is no JSON object")
    return value


def _ssid(value: Any) -> str:
    """Unchanged, to compare it and to send it back. JSON allows half a surrogate pair, UTF-8 does not."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _text(value: Any, limit: int) -> str:
    return printable(value, limit) if isinstance(value, str) else ""


def _number(value: Any) -> int | None:
    """A number of sane size as an integer; None for anything else. JSON readers let NaN and Infinity through."""
    usable = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1 << 31
    return int(value) if usable else None


def _is_mac(text: str) -> bool:
    parts = text.split(":")
    return len(parts) == 6 and all(len(p) == 2 and set(p.lower()) <= set("0123456789abcdef") for p in parts)


def _address(value: Any) -> str:
    try:
        return str(ipaddress.IPv4Address(value)) if isinstance(value, str) else ""
    except ValueError:
        return ""
