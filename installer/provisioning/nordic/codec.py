"""Nordic's messages: objects to bytes and back. Pure functions, no input or output.

Source: `facts/other-ble-provisioning.md` §2. A parser fills in a default for a number that is
unknown or missing, and the default of a status is success. So a field that decides something must be present.
"""

from __future__ import annotations

import enum
import ipaddress
from dataclasses import dataclass
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from installer.provisioning.driver_errors import ForeignAnswer, Malformed, Refused
from installer.provisioning.nordic.proto import wifi_provisioning_pb2 as pb
from installer.provisioning.scan_fields import band_of_channel, possible_rssi
from installer.text import decode
from installer.wifi.networks import SSID_BYTES, Band, Network, Security

VERSION = "14387801-130c-49e7-b877-2881c89cb258"
CONTROL_POINT = "14387802-130c-49e7-b877-2881c89cb258"
DATA_OUT = "14387803-130c-49e7-b877-2881c89cb258"
CHARACTERISTICS = (VERSION, CONTROL_POINT, DATA_OUT)

M = TypeVar("M", bound=Message)

BSSID_BYTES = 6

_SECURITY: dict[int, Security] = {
    pb.OPEN: Security.OPEN,
    pb.WEP: Security.WEP,
    pb.WPA_PSK: Security.WPA,
    pb.WPA2_PSK: Security.WPA2,
    pb.WPA_WPA2_PSK: Security.WPA_WPA2,
    pb.WPA2_ENTERPRISE: Security.ENTERPRISE,
    pb.WPA3_PSK: Security.WPA3,
}
_AUTH: dict[Security, int] = {security: number for number, security in _SECURITY.items()}
_AUTH[Security.WPA2_WPA3] = pb.WPA2_PSK
_BANDS: dict[int, Band] = {pb.BAND_2_4_GHZ: Band.GHZ_2_4, pb.BAND_5_GHZ: Band.GHZ_5}
_STATUS: dict[int, str] = {
    pb.INVALID_ARGUMENT: "invalid argument",
    pb.INVALID_PROTO: "it could not read the request",
    pb.INTERNAL_ERROR: "internal error",
}


def refusal(status: int) -> Refused:
    """The exception for a status other than success."""
    return Refused(status, _STATUS.get(status, f"status {status}"))


class Operation(enum.IntEnum):
    """What a request asks for."""

    GET_STATUS = 1
    START_SCAN = 2
    STOP_SCAN = 3
    SET_CONFIG = 4
    FORGET_CONFIG = 5


class State(enum.Enum):
    """The state of the device's Wi-Fi."""

    DISCONNECTED = 0
    AUTHENTICATION = 1
    ASSOCIATION = 2
    OBTAINING_IP = 3
    CONNECTED = 4
    FAILED = 5


class Reason(enum.Enum):
    """Why it failed. UNKNOWN: not sent, or a reason of newer firmware."""

    AUTHENTICATION = 0
    NOT_FOUND = 1
    TIMEOUT = 2
    NO_ADDRESS = 3
    CONNECT = 4
    UNKNOWN = -1


@dataclass(frozen=True)
class AccessPoint:
    """One access point of a scan: the fields that are sent back to join it. `ssid`: raw bytes, perhaps not UTF-8."""

    ssid: bytes
    bssid: bytes
    channel: int
    band: int | None = None
    auth: int | None = None
    rssi: int | None = None

    @property
    def network(self) -> Network:
        """The network that it belongs to."""
        return Network(
            ssid=decode(self.ssid),
            security=Security.UNKNOWN if self.auth is None else _SECURITY.get(self.auth, Security.UNKNOWN),
            rssi=possible_rssi(self.rssi),
            band=_BANDS.get(self.band or pb.BAND_ANY) or band_of_channel(self.channel),
            bssid=self.bssid.hex(":").upper(),
        )


@dataclass(frozen=True)
class DeviceStatus:
    """The answer to GET_STATUS. `state`: None if it is missing. `ssid`: the network of its credentials, or empty.
    `address`: an IPv4 address, or empty."""

    state: State | None = None
    ssid: bytes = b""
    address: str = ""

    @property
    def joined(self) -> bool:
        """Whether it is on a network."""
        return self.state is State.CONNECTED


@dataclass(frozen=True)
class StateChange:
    """A new state of the attempt to join. `reason`: only with FAILED."""

    state: State
    reason: Reason = Reason.UNKNOWN


Result = AccessPoint | StateChange | None


def read_version(data: bytes) -> int:
    """The version of the service. Raises Malformed."""
    return int(_parse(pb.Info(), data, "a version").version)


def request(operation: Operation) -> bytes:
    """A request without parameters."""
    return _bytes(pb.Request(op_code=pb.OpCode.Name(operation)))


def start_scan() -> bytes:
    """Scan all bands, actively."""
    message = pb.Request(op_code=pb.START_SCAN)
    message.scan_params.band = pb.BAND_ANY
    message.scan_params.passive = False
    return _bytes(message)


def set_config(point: AccessPoint, passphrase: str, security: Security = Security.UNKNOWN) -> bytes:
    """Join the network of `point`. `security`: what the user said; used if the scan did not say it."""
    auth = point.auth if point.auth is not None else _AUTH.get(security)
    if auth is None and passphrase:
        # Without this, the device would treat the network as an open one.
        auth = pb.WPA_WPA2_PSK
    wifi = pb.WifiInfo(
        ssid=point.ssid,
        bssid=point.bssid,
        band=None if point.band is None else pb.Band.Name(point.band),
        channel=point.channel,
        auth=None if auth is None else pb.AuthMode.Name(auth),
    )
    message = pb.Request(op_code=pb.SET_CONFIG, config=pb.WifiConfig(wifi=wifi))
    if passphrase:
        message.config.passphrase = passphrase.encode("utf-8", "surrogatepass")
    # The access point may change its channel after the set-up.
    message.config.any_channel = True
    return _bytes(message)


def read_response(data: bytes, operation: Operation) -> DeviceStatus:
    """The answer to `operation`; empty except for GET_STATUS. Raises Malformed, ForeignAnswer, Refused."""
    response = _parse(pb.Response(), data, "an answer")
    if not response.HasField("status"):
        raise Malformed("an answer without a known status")
    # The answer to a request that could not be read names no operation.
    unnamed = not response.HasField("request_op_code") or response.request_op_code == pb.RESERVED
    if unnamed and not response.status:
        raise Malformed("an answer that names no request")
    if not unnamed and int(response.request_op_code) != operation:
        raise ForeignAnswer("the answer to another request")
    if response.status:
        raise refusal(response.status)
    if operation is not Operation.GET_STATUS:
        return DeviceStatus()
    if not response.HasField("device_status"):
        raise Malformed("an answer without its content")
    status = response.device_status
    info = status.provisioning_info
    if len(info.ssid) > SSID_BYTES:
        raise Malformed("a network name of more than 32 bytes")
    ip = status.connection_info.ip4_addr
    return DeviceStatus(
        State(status.state) if status.HasField("state") else None,
        info.ssid,
        str(ipaddress.IPv4Address(ip)) if len(ip) == 4 and any(ip) else "",
    )


def read_result(data: bytes) -> Result:
    """A notification: an access point or a state; None if it has no known content. Raises Malformed."""
    if not data:
        raise Malformed("an empty notification")
    result = _parse(pb.Result(), data, "a notification")
    if result.HasField("scan_record"):
        return _access_point(result.scan_record)
    if not result.HasField("state"):
        return None
    reason = Reason(result.reason) if result.HasField("reason") else Reason.UNKNOWN
    return StateChange(State(result.state), reason)


def _access_point(record: pb.ScanRecord) -> AccessPoint:
    wifi = record.wifi
    if not record.HasField("wifi") or len(wifi.ssid) > SSID_BYTES or len(wifi.bssid) != BSSID_BYTES:
        raise Malformed("an access point with a wrong name or address")
    return AccessPoint(
        wifi.ssid,
        wifi.bssid,
        wifi.channel,
        wifi.band if wifi.HasField("band") else None,
        wifi.auth if wifi.HasField("auth") else None,
        record.rssi if record.HasField("rssi") else None,
    )


def _parse(message: M, data: bytes, what: str) -> M:
    try:
        message.ParseFromString(data)
    except DecodeError:
        raise Malformed(f"{what} that does not parse") from None
    if not message.IsInitialized():
        raise Malformed(f"{what} that lacks a part")
    return message


def _bytes(message: Any) -> bytes:
    return bytes(message.SerializeToString())
