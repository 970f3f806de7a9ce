"""Messages of proto-ver, prov-scan, prov-config and prov-ctrl: bytes to objects and back; no input or output.

Source: `facts/esp-provisioning.md` §3 and §7. Requests are functions that return plain bytes; `read_*` functions take
the plain bytes of a response and raise Malformed or Refused, nothing else. Where a request has no fields, the empty
sub-message is left out, as Espressif's own client does.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from installer.provisioning.espressif.exceptions import Garbled, Malformed, Refused
from installer.provisioning.espressif.proto import constants_pb2 as constants
from installer.provisioning.espressif.proto import network_config_pb2 as config
from installer.provisioning.espressif.proto import network_ctrl_pb2 as ctrl
from installer.provisioning.espressif.proto import network_scan_pb2 as scan
from installer.text import decode, printable
from installer.wifi.networks import SSID_BYTES, Band, Network, Security

VERSION_QUESTION = b"none"  # any text will do
VERSION_LIMIT = 4096
BARE_LIMIT = 40  # characters
PAGE = 4  # scan results per request over BLE
RESULTS_LIMIT = 255
SCAN_PERIOD_MS = 120
TYPE_TAG = 0x08  # field 1, a number
ANSWER_TYPES = range(1, 6)

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


@dataclass(frozen=True)
class Version:
    """What proto-ver says. `security`: 0, 1, 2, or one of the future.

    `application`: label and version, if told; `detailed`: more than a bare version text was told.
    """

    text: str
    security: int = 1
    patch: int = 0
    capabilities: frozenset[str] = frozenset()
    application: tuple[str, str] = ("", "")
    detailed: bool = False

    @property
    def needs_proof(self) -> bool:
        """Whether a session wants a proof of possession (security 1) or a password (security 2)."""
        return self.security >= 2 or (self.security == 1 and "no_pop" not in self.capabilities)


class StationState(enum.Enum):
    """Where the device is with its Wi-Fi."""

    CONNECTED = 0
    CONNECTING = 1
    DISCONNECTED = 2
    FAILED = 3


class FailReason(enum.Enum):
    """Why it failed. A reason of the future is UNKNOWN."""

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
class Found:
    """One access point of a scan; `ssid` as raw bytes, because an SSID need not be UTF-8."""

    ssid: bytes
    network: Network


def read_version(data: bytes) -> Version:
    """The answer of proto-ver: JSON, or the bare version text of old firmware. Raises Malformed."""
    if not 0 < len(data) <= VERSION_LIMIT:
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
    bare = text.strip()
    if not bare.isprintable() or not 0 < len(bare) <= BARE_LIMIT or bare.startswith("{"):
        raise Malformed("a version that is neither JSON nor a short text")
    return Version(bare)


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
    """Scan all channels actively; the device answers when it is done."""
    message = scan.NetworkScanPayload()
    message.cmd_scan_wifi_start.blocking = True
    message.cmd_scan_wifi_start.period_ms = SCAN_PERIOD_MS
    return message.SerializeToString()


def read_scan_start(data: bytes) -> None:
    """The scan has been carried out. Raises Malformed, Refused."""
    _scan(data, scan.TypeRespScanWifiStart, "resp_scan_wifi_start")


def scan_status() -> bytes:
    """Ask whether the scan has ended, and how much it found."""
    return scan.NetworkScanPayload(msg=scan.TypeCmdScanWifiStatus).SerializeToString()


def read_scan_status(data: bytes) -> tuple[bool, int]:
    """Ended, and the number of results. Raises Malformed, Refused."""
    part = _scan(data, scan.TypeRespScanWifiStatus, "resp_scan_wifi_status")
    if part.result_count > RESULTS_LIMIT:
        raise Malformed("more scan results than a device can keep")
    return part.scan_finished, part.result_count


def scan_results(start: int, count: int) -> bytes:
    """Ask for `count` (at most 4) results from index `start`."""
    message = scan.NetworkScanPayload(msg=scan.TypeCmdScanWifiResult)
    message.cmd_scan_wifi_result.start_index = start
    message.cmd_scan_wifi_result.count = count
    return message.SerializeToString()


def read_scan_results(data: bytes, count: int) -> list[Found]:
    """At most `count` access points; those that hide their SSID are left out. Raises Malformed, Refused."""
    entries = _scan(data, scan.TypeRespScanWifiResult, "resp_scan_wifi_result").entries
    if len(entries) > count:
        raise Malformed("more scan results than were asked for")
    found = [_found(entry) for entry in entries]
    return [f for f in found if f.ssid]


def _found(entry: scan.WiFiScanResult) -> Found:
    ssid = entry.ssid.rstrip(b"\0")
    if len(ssid) > SSID_BYTES:
        raise Malformed("a network name of more than 32 bytes")
    return Found(
        ssid,
        Network(
            ssid=decode(ssid),
            security=_SECURITY.get(entry.auth, Security.UNKNOWN),
            rssi=entry.rssi if -128 <= entry.rssi <= 0 else None,
            band=_band(entry.channel),
            bssid=entry.bssid.hex(":").upper() if len(entry.bssid) == 6 else None,
        ),
    )


def _band(channel: int) -> Band | None:
    if 1 <= channel <= 14:
        return Band.GHZ_2_4
    return Band.GHZ_5 if 32 <= channel <= 177 else None


def set_config(ssid: bytes, passphrase: bytes) -> bytes:
    """Credentials; the passphrase is empty for an open network."""
    message = config.NetworkConfigPayload(msg=config.TypeCmdSetWifiConfig)
    message.cmd_set_wifi_config.ssid = ssid
    message.cmd_set_wifi_config.passphrase = passphrase
    return message.SerializeToString()


def read_set_config(data: bytes) -> None:
    """The credentials were taken. Raises Malformed, Refused."""
    _config(data, config.TypeRespSetWifiConfig, "resp_set_wifi_config")


def apply_config() -> bytes:
    """Join the network now."""
    return config.NetworkConfigPayload(msg=config.TypeCmdApplyWifiConfig).SerializeToString()


def read_apply_config(data: bytes) -> None:
    """The device begins to join. Raises Malformed, Refused."""
    _config(data, config.TypeRespApplyWifiConfig, "resp_apply_wifi_config")


def get_status() -> bytes:
    """Ask for the state of the Wi-Fi. All fields are zero: without the sub-message, nothing would be sent."""
    message = config.NetworkConfigPayload()
    message.cmd_get_wifi_status.SetInParent()
    return message.SerializeToString()


def read_status(data: bytes) -> WifiStatus:
    """The state of the Wi-Fi; a missing state is zero, and zero is connected. Raises Malformed, Refused."""
    part = _config(data, config.TypeRespGetWifiStatus, "resp_get_wifi_status")
    try:
        state = StationState(part.wifi_sta_state)
    except ValueError:
        raise Malformed("an unknown state of the Wi-Fi") from None
    told = part.WhichOneof("state")
    reason = FailReason.UNKNOWN
    if told == "wifi_fail_reason" and part.wifi_fail_reason in (0, 1):
        reason = FailReason(part.wifi_fail_reason)
    return WifiStatus(
        state,
        reason,
        part.attempt_failed.attempts_remaining if told == "attempt_failed" else None,
        printable(part.wifi_connected.ip4_addr, 15) if told == "wifi_connected" else "",
        part.wifi_connected.ssid.rstrip(b"\0") if told == "wifi_connected" else b"",
    )


def ctrl_reset() -> bytes:
    """After a failed join: take new credentials again."""
    message = ctrl.NetworkCtrlPayload(msg=ctrl.TypeCmdCtrlWifiReset)
    message.cmd_ctrl_wifi_reset.SetInParent()
    return message.SerializeToString()


def read_ctrl_reset(data: bytes) -> None:
    """The device takes credentials again. Raises Malformed, Refused."""
    message = ctrl.NetworkCtrlPayload()
    _parse(message, data, ctrl.TypeRespCtrlWifiReset)
    _content(message, message.status, "resp_ctrl_wifi_reset")


def ctrl_reprov() -> bytes:
    """After a successful join: take other credentials."""
    message = ctrl.NetworkCtrlPayload(msg=ctrl.TypeCmdCtrlWifiReprov)
    message.cmd_ctrl_wifi_reprov.SetInParent()
    return message.SerializeToString()


def read_ctrl_reprov(data: bytes) -> None:
    """The device takes credentials again. Raises Malformed, Refused."""
    message = ctrl.NetworkCtrlPayload()
    _parse(message, data, ctrl.TypeRespCtrlWifiReprov)
    _content(message, message.status, "resp_ctrl_wifi_reprov")


def _scan(data: bytes, msg: int, name: str) -> Any:
    message = scan.NetworkScanPayload()
    _parse(message, data, msg)
    return _content(message, message.status, name)


def _config(data: bytes, msg: int, name: str) -> Any:
    message = config.NetworkConfigPayload()
    _parse(message, data, msg)
    part = _content(message, 0, name)
    if part.status:
        raise Refused(part.status)
    return part


def _parse(message: Any, data: bytes, msg: int) -> None:
    """Read the response of the type `msg` into `message`. Raises Malformed."""
    try:
        message.ParseFromString(data)
    except DecodeError:
        raise _fault(data, "a message that does not parse") from None
    if message.msg != msg:
        raise _fault(data, "the answer to another request")


def _fault(data: bytes, what: str) -> Malformed:
    # Every answer begins with its type, which is never zero, and so never left out. Looked at only once something is
    # wrong, as a serialiser may write the fields in another order.
    begins = len(data) < 2 or (data[0] == TYPE_TAG and data[1] in ANSWER_TYPES)
    return Malformed(what) if begins else Garbled(what)


def _content(message: Any, status: int, name: str) -> Any:
    """The part `name` of a response whose status is success; one that refuses may leave it out."""
    if status:
        raise Refused(status)
    if message.WhichOneof("payload") != name:
        raise Malformed("an answer without its content")
    return getattr(message, name)
