"""Espressif's messages of proto-ver, prov-scan, prov-config and prov-ctrl: bytes to objects and back. Pure functions.

Source: `facts/esp-provisioning.md` §3 and §7. Requests are functions that return plain bytes; `read_*` functions take
the plain bytes of a response and raise Malformed or Refused, nothing else. If a request has no fields, the empty
sub-message is left out, as Espressif's own client does.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from installer.provisioning.driver_errors import Malformed, Refused
from installer.provisioning.espressif.proto import constants_pb2 as constants
from installer.provisioning.espressif.proto import network_config_pb2 as config
from installer.provisioning.espressif.proto import network_ctrl_pb2 as ctrl
from installer.provisioning.espressif.proto import network_scan_pb2 as scan
from installer.provisioning.scan_fields import band_of_channel, possible_rssi
from installer.text import decode, printable
from installer.wifi.networks import SSID_BYTES, Network, Security

VERSION_REQUEST = b"none"  # the device accepts any text
MAX_VERSION_BYTES = 4096
MAX_PLAIN_VERSION = 40  # characters
RESULTS_PER_REQUEST = 4  # over BLE
MAX_SCAN_RESULTS = 255
SCAN_PERIOD_MS = 120
TYPE_TAG = 0x08  # field 1, a number
RESPONSE_TYPES = range(1, 6)

_SECURITY = {
    constants.Open: Security.OPEN,
    constants.WEP: Security.WEP,
    constants.WPA_PSK: Security.WPA,
    constants.WPA2_PSK: Security.WPA2,
    constants.WPA_WPA2_PSK: Security.WPA_WPA2,
    constants.WPA2_ENTERPRISE: Security.ENTERPRISE,
    constants.WPA3_PSK: Security.WPA3,
    constants.WPA2_WPA3_PSK: Security.WPA2_WPA3,
}


# The status numbers (§4), in words.
_STATUS = {
    1: "invalid security scheme",
    2: "invalid message",
    3: "too many sessions",
    4: "invalid argument",
    5: "internal error",
    6: "cryptographic error",
    7: "invalid session",
}


class WrongKey(Malformed):
    """The bytes do not begin like an answer. If the scheme does not authenticate them, the key is wrong."""


def refusal(status: int) -> Refused:
    """The exception for a status other than success."""
    return Refused(status, _STATUS.get(status, f"status {status}"))


@dataclass(frozen=True)
class Version:
    """The answer of proto-ver. `security`: 0, 1, 2, or a later one.

    `application`: label and version, or empty; `detailed`: the answer was more than a plain version text.
    """

    text: str
    security: int = 1
    patch: int = 0
    capabilities: frozenset[str] = frozenset()
    application: tuple[str, str] = ("", "")
    detailed: bool = False

    @property
    def needs_proof(self) -> bool:
        """Whether a session needs a proof of possession (security 1) or a password (security 2)."""
        return self.security >= 2 or (self.security == 1 and "no_pop" not in self.capabilities)


class StationState(enum.Enum):
    """The state of the device's Wi-Fi."""

    CONNECTED = 0
    CONNECTING = 1
    DISCONNECTED = 2
    FAILED = 3


class FailReason(enum.Enum):
    """Why it failed. UNKNOWN: a reason of newer firmware."""

    AUTHENTICATION = 0
    NOT_FOUND = 1
    UNKNOWN = -1


@dataclass(frozen=True)
class WifiStatus:
    """One answer to `get_status`. `reason` with FAILED; `attempts_left` with CONNECTING, newer firmware only."""

    state: StationState
    reason: FailReason = FailReason.UNKNOWN
    attempts_left: int | None = None
    address: str = ""
    ssid: bytes = b""


@dataclass(frozen=True)
class AccessPoint:
    """One access point of a scan. `ssid`: raw bytes, because an SSID need not be UTF-8."""

    ssid: bytes
    network: Network


def read_version(data: bytes) -> Version:
    """The answer of proto-ver: JSON, or the plain version text of old firmware. Raises Malformed."""
    if not 0 < len(data) <= MAX_VERSION_BYTES:
        raise Malformed("a version of a wrong length")
    try:
        text = data.rstrip(b"\0").decode()
    except UnicodeDecodeError:
        raise Malformed("a version that is not UTF-8") from None
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        tree = None
    if isinstance(tree, dict):
        return _version(tree)
    plain = text.strip()
    if not plain.isprintable() or not 0 < len(plain) <= MAX_PLAIN_VERSION or plain.startswith("{"):
        raise Malformed("a version that is neither JSON nor a short text")
    return Version(plain)


def _version(tree: dict[str, Any]) -> Version:
    prov = tree.get("prov")
    if not isinstance(prov, dict):
        raise Malformed("a version without the part “prov”")
    caps = prov.get("cap", [])
    if not isinstance(caps, list):
        raise Malformed("capabilities that are no list")
    capabilities = frozenset(c for c in caps if isinstance(c, str))
    security = prov.get("sec_ver", 0 if "no_sec" in capabilities else 1)
    patch = prov.get("sec_patch_ver", 0)
    for value in (security, patch):
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise Malformed("a security version that is no number")
    application = next(
        (
            (printable(k, 40), printable(_text(v.get("ver")), 40))
            for k, v in tree.items()
            if k != "prov" and isinstance(v, dict)
        ),
        ("", ""),
    )
    return Version(printable(_text(prov.get("ver")), 40), security, patch, capabilities, application, True)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def scan_start() -> bytes:
    """Scan all channels actively; the device answers at the end of the scan."""
    message = scan.NetworkScanPayload()
    message.cmd_scan_wifi_start.blocking = True
    message.cmd_scan_wifi_start.period_ms = SCAN_PERIOD_MS
    return message.SerializeToString()


def read_scan_start(data: bytes) -> None:
    """The scan has ended. Raises Malformed, Refused."""
    _scan(data, scan.TypeRespScanWifiStart, "resp_scan_wifi_start")


def scan_status() -> bytes:
    """Ask whether the scan has ended, and for the number of results."""
    return scan.NetworkScanPayload(msg=scan.TypeCmdScanWifiStatus).SerializeToString()


def read_scan_status(data: bytes) -> tuple[bool, int]:
    """Whether the scan has ended, and the number of results. Raises Malformed, Refused."""
    part = _scan(data, scan.TypeRespScanWifiStatus, "resp_scan_wifi_status")
    if part.result_count > MAX_SCAN_RESULTS:
        raise Malformed("more scan results than a device can keep")
    return part.scan_finished, part.result_count


def scan_results(start: int, count: int) -> bytes:
    """Ask for `count` (at most 4) results from index `start`."""
    message = scan.NetworkScanPayload(msg=scan.TypeCmdScanWifiResult)
    message.cmd_scan_wifi_result.start_index = start
    message.cmd_scan_wifi_result.count = count
    return message.SerializeToString()


def read_scan_results(data: bytes, count: int) -> list[AccessPoint]:
    """At most `count` access points; those with a hidden SSID are left out. Raises Malformed, Refused."""
    entries = _scan(data, scan.TypeRespScanWifiResult, "resp_scan_wifi_result").entries
    if len(entries) > count:
        raise Malformed("more scan results than were asked for")
    points = [_access_point(entry) for entry in entries]
    return [point for point in points if point.ssid]


def _access_point(entry: scan.WiFiScanResult) -> AccessPoint:
    ssid = entry.ssid.rstrip(b"\0")
    if len(ssid) > SSID_BYTES:
        raise Malformed("a network name of more than 32 bytes")
    return AccessPoint(
        ssid,
        Network(
            ssid=decode(ssid),
            security=_SECURITY.get(entry.auth, Security.UNKNOWN),
            rssi=possible_rssi(entry.rssi),
            band=band_of_channel(entry.channel),
            bssid=entry.bssid.hex(":").upper() if len(entry.bssid) == 6 else None,
        ),
    )


def set_config(ssid: bytes, passphrase: bytes) -> bytes:
    """Credentials; the passphrase is empty for an open network."""
    message = config.NetworkConfigPayload(msg=config.TypeCmdSetWifiConfig)
    message.cmd_set_wifi_config.ssid = ssid
    message.cmd_set_wifi_config.passphrase = passphrase
    return message.SerializeToString()


def read_set_config(data: bytes) -> None:
    """The device has accepted the credentials. Raises Malformed, Refused."""
    _config(data, config.TypeRespSetWifiConfig, "resp_set_wifi_config")


def apply_config() -> bytes:
    """Join the network now."""
    return config.NetworkConfigPayload(msg=config.TypeCmdApplyWifiConfig).SerializeToString()


def read_apply_config(data: bytes) -> None:
    """The device begins to join. Raises Malformed, Refused."""
    _config(data, config.TypeRespApplyWifiConfig, "resp_apply_wifi_config")


def get_status() -> bytes:
    """Ask for the state of the Wi-Fi. All fields are zero: without the sub-message, the request would be empty."""
    message = config.NetworkConfigPayload()
    message.cmd_get_wifi_status.SetInParent()
    return message.SerializeToString()


def read_status(data: bytes) -> WifiStatus:
    """The state of the Wi-Fi; a missing state is 0, and 0 is CONNECTED. Raises Malformed, Refused."""
    part = _config(data, config.TypeRespGetWifiStatus, "resp_get_wifi_status")
    try:
        state = StationState(part.wifi_sta_state)
    except ValueError:
        raise Malformed("an unknown state of the Wi-Fi") from None
    detail = part.WhichOneof("state")
    reason = FailReason.UNKNOWN
    if detail == "wifi_fail_reason" and part.wifi_fail_reason in (0, 1):
        reason = FailReason(part.wifi_fail_reason)
    return WifiStatus(
        state,
        reason,
        part.attempt_failed.attempts_remaining if detail == "attempt_failed" else None,
        printable(part.wifi_connected.ip4_addr, 15) if detail == "wifi_connected" else "",
        part.wifi_connected.ssid.rstrip(b"\0") if detail == "wifi_connected" else b"",
    )


def ctrl_reset() -> bytes:
    """After a failed join: make the device accept credentials again."""
    message = ctrl.NetworkCtrlPayload(msg=ctrl.TypeCmdCtrlWifiReset)
    message.cmd_ctrl_wifi_reset.SetInParent()
    return message.SerializeToString()


def read_ctrl_reset(data: bytes) -> None:
    """The device accepts credentials again. Raises Malformed, Refused."""
    _ctrl(data, ctrl.TypeRespCtrlWifiReset, "resp_ctrl_wifi_reset")


def ctrl_reprov() -> bytes:
    """After a successful join: make the device accept other credentials."""
    message = ctrl.NetworkCtrlPayload(msg=ctrl.TypeCmdCtrlWifiReprov)
    message.cmd_ctrl_wifi_reprov.SetInParent()
    return message.SerializeToString()


def read_ctrl_reprov(data: bytes) -> None:
    """The device accepts credentials again. Raises Malformed, Refused."""
    _ctrl(data, ctrl.TypeRespCtrlWifiReprov, "resp_ctrl_wifi_reprov")


def _scan(data: bytes, msg: int, name: str) -> Any:
    message = scan.NetworkScanPayload()
    _parse(message, data, msg)
    return _content(message, message.status, name)


def _config(data: bytes, msg: int, name: str) -> Any:
    message = config.NetworkConfigPayload()
    _parse(message, data, msg)
    part = _content(message, 0, name)
    if part.status:
        raise refusal(part.status)
    return part


def _ctrl(data: bytes, msg: int, name: str) -> None:
    message = ctrl.NetworkCtrlPayload()
    _parse(message, data, msg)
    _content(message, message.status, name)


def _parse(message: Any, data: bytes, msg: int) -> None:
    """Read the response of the type `msg` into `message`. Raises Malformed."""
    try:
        message.ParseFromString(data)
    except DecodeError:
        raise _malformed(data, "a message that does not parse") from None
    if message.msg != msg:
        raise _malformed(data, "the answer to another request")


def _malformed(data: bytes, reason: str) -> Malformed:
    # Every answer begins with its type, which is never zero and so never left out. This is checked only for a malformed
    # answer, as a serialiser may write the fields in another order.
    is_answer = len(data) < 2 or (data[0] == TYPE_TAG and data[1] in RESPONSE_TYPES)
    return Malformed(reason) if is_answer else WrongKey(reason)


def _content(message: Any, status: int, name: str) -> Any:
    """The part `name` of a response with the status success; a refusal may leave it out."""
    if status:
        raise refusal(status)
    if message.WhichOneof("payload") != name:
        raise Malformed("an answer without its content")
    return getattr(message, name)
