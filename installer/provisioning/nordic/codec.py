"""Nordic's messages: objects to bytes and back. Pure functions, no input or output.

Source: `facts/other-ble-provisioning.md` §2. A parser fills in a default for a number that it does not know or that is
missing, and the default of a status is success; so what decides anything must be there.
"""

from __future__ import annotations

import enum
import ipaddress
from dataclasses import dataclass
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from installer.provisioning.nordic.proto import wifi_provisioning_pb2 as pb
from installer.text import decode
from installer.wifi.networks import SSID_BYTES, Band, Network, Security

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


class Malformed(Exception):
    """Bytes that break the protocol. The text never holds what the device sent."""


class Foreign(Malformed):
    """The answer to a request that another client made: all who listen get all answers."""


class Refused(Exception):
    """The device answered with a status other than success."""

    def __init__(self, status: int) -> None:
        super().__init__(_STATUS.get(status, f"status {status}"))
        self.status = status


class Operation(enum.IntEnum):
    """What a request asks for."""

    GET_STATUS = 1
    START_SCAN = 2
    STOP_SCAN = 3
    SET_CONFIG = 4
    FORGET_CONFIG = 5


class State(enum.Enum):
    """Where the device is with its Wi-Fi."""

    DISCONNECTED = 0
    AUTHENTICATION = 1
    ASSOCIATION = 2
    OBTAINING_IP = 3
    CONNECTED = 4
    FAILED = 5


class Reason(enum.Enum):
    """Why it failed. UNKNOWN: not told, or a reason of the future."""

    AUTHENTICATION = 0
    NOT_FOUND = 1
    TIMEOUT = 2
    NO_ADDRESS = 3
    CONNECT = 4
    UNKNOWN = -1


@dataclass(frozen=True)
class AccessPoint:
    """One access point of a scan: what has to be sent back to join it. `ssid` as raw bytes: it need not be UTF-8."""

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
            rssi=self.rssi if self.rssi is not None and -128 <= self.rssi <= 0 else None,
            band=_BANDS.get(self.band or pb.BAND_ANY) or _band(self.channel),
            bssid=self.bssid.hex(":").upper(),
        )


@dataclass(frozen=True)
class DeviceStatus:
    """The answer to GET_STATUS. `state` None: not told. `ssid` of the network that it has credentials for, or empty;
    `address`: an IPv4 address or empty."""

    state: State | None = None
    ssid: bytes = b""
    address: str = ""

    @property
    def joined(self) -> bool:
        """Whether it is on a network."""
        return self.state is State.CONNECTED


@dataclass(frozen=True)
class StateChange:
    """The device tells how its attempt to join goes. `reason` with FAILED."""

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
    """Join the network of `point`. `security`: as a person said, where the scan did not tell."""
    auth = point.auth if point.auth is not None else _AUTH.get(security)
    if auth is None and passphrase:
        # Without this, a passphrase would be taken for one of an open network.
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
    """What the device says to `operation`; empty but for GET_STATUS. Raises Malformed, Foreign, Refused."""
    response = _parse(pb.Response(), data, "an answer")
    if not response.HasField("status"):
        raise Malformed("an answer without a known status")
    # A request that could not be read has no operation to repeat.
    unnamed = not response.HasField("request_op_code") or response.request_op_code == pb.RESERVED
    if unnamed and not response.status:
        raise Malformed("an answer that names no request")
    if not unnamed and int(response.request_op_code) != operation:
        raise Foreign("the answer to another request")
    if response.status:
        raise Refused(response.status)
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
    """A notification: an access point, or a state; None for one that says nothing that is known. Raises Malformed."""
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


def _band(channel: int) -> Band | None:
    if 1 <= channel <= 14:
        return Band.GHZ_2_4
    return Band.GHZ_5 if 32 <= channel <= 177 else None


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
