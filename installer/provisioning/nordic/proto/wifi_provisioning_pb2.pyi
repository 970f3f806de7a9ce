from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OpCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESERVED: _ClassVar[OpCode]
    GET_STATUS: _ClassVar[OpCode]
    START_SCAN: _ClassVar[OpCode]
    STOP_SCAN: _ClassVar[OpCode]
    SET_CONFIG: _ClassVar[OpCode]
    FORGET_CONFIG: _ClassVar[OpCode]

class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SUCCESS: _ClassVar[Status]
    INVALID_ARGUMENT: _ClassVar[Status]
    INVALID_PROTO: _ClassVar[Status]
    INTERNAL_ERROR: _ClassVar[Status]

class ConnectionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DISCONNECTED: _ClassVar[ConnectionState]
    AUTHENTICATION: _ClassVar[ConnectionState]
    ASSOCIATION: _ClassVar[ConnectionState]
    OBTAINING_IP: _ClassVar[ConnectionState]
    CONNECTED: _ClassVar[ConnectionState]
    CONNECTION_FAILED: _ClassVar[ConnectionState]

class FailureReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUTH_ERROR: _ClassVar[FailureReason]
    NETWORK_NOT_FOUND: _ClassVar[FailureReason]
    TIMEOUT: _ClassVar[FailureReason]
    NO_IP: _ClassVar[FailureReason]
    CONNECT_FAILED: _ClassVar[FailureReason]

class Band(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BAND_ANY: _ClassVar[Band]
    BAND_2_4_GHZ: _ClassVar[Band]
    BAND_5_GHZ: _ClassVar[Band]

class AuthMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OPEN: _ClassVar[AuthMode]
    WEP: _ClassVar[AuthMode]
    WPA_PSK: _ClassVar[AuthMode]
    WPA2_PSK: _ClassVar[AuthMode]
    WPA_WPA2_PSK: _ClassVar[AuthMode]
    WPA2_ENTERPRISE: _ClassVar[AuthMode]
    WPA3_PSK: _ClassVar[AuthMode]
RESERVED: OpCode
GET_STATUS: OpCode
START_SCAN: OpCode
STOP_SCAN: OpCode
SET_CONFIG: OpCode
FORGET_CONFIG: OpCode
SUCCESS: Status
INVALID_ARGUMENT: Status
INVALID_PROTO: Status
INTERNAL_ERROR: Status
DISCONNECTED: ConnectionState
AUTHENTICATION: ConnectionState
ASSOCIATION: ConnectionState
OBTAINING_IP: ConnectionState
CONNECTED: ConnectionState
CONNECTION_FAILED: ConnectionState
AUTH_ERROR: FailureReason
NETWORK_NOT_FOUND: FailureReason
TIMEOUT: FailureReason
NO_IP: FailureReason
CONNECT_FAILED: FailureReason
BAND_ANY: Band
BAND_2_4_GHZ: Band
BAND_5_GHZ: Band
OPEN: AuthMode
WEP: AuthMode
WPA_PSK: AuthMode
WPA2_PSK: AuthMode
WPA_WPA2_PSK: AuthMode
WPA2_ENTERPRISE: AuthMode
WPA3_PSK: AuthMode

class Info(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: int
    def __init__(self, version: _Optional[int] = ...) -> None: ...

class ScanParams(_message.Message):
    __slots__ = ("band", "passive", "period_ms", "group_channels")
    BAND_FIELD_NUMBER: _ClassVar[int]
    PASSIVE_FIELD_NUMBER: _ClassVar[int]
    PERIOD_MS_FIELD_NUMBER: _ClassVar[int]
    GROUP_CHANNELS_FIELD_NUMBER: _ClassVar[int]
    band: Band
    passive: bool
    period_ms: int
    group_channels: int
    def __init__(self, band: _Optional[_Union[Band, str]] = ..., passive: bool = ..., period_ms: _Optional[int] = ..., group_channels: _Optional[int] = ...) -> None: ...

class WifiInfo(_message.Message):
    __slots__ = ("ssid", "bssid", "band", "channel", "auth")
    SSID_FIELD_NUMBER: _ClassVar[int]
    BSSID_FIELD_NUMBER: _ClassVar[int]
    BAND_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    AUTH_FIELD_NUMBER: _ClassVar[int]
    ssid: bytes
    bssid: bytes
    band: Band
    channel: int
    auth: AuthMode
    def __init__(self, ssid: _Optional[bytes] = ..., bssid: _Optional[bytes] = ..., band: _Optional[_Union[Band, str]] = ..., channel: _Optional[int] = ..., auth: _Optional[_Union[AuthMode, str]] = ...) -> None: ...

class WifiConfig(_message.Message):
    __slots__ = ("wifi", "passphrase", "volatile_memory", "any_channel")
    WIFI_FIELD_NUMBER: _ClassVar[int]
    PASSPHRASE_FIELD_NUMBER: _ClassVar[int]
    VOLATILE_MEMORY_FIELD_NUMBER: _ClassVar[int]
    ANY_CHANNEL_FIELD_NUMBER: _ClassVar[int]
    wifi: WifiInfo
    passphrase: bytes
    volatile_memory: bool
    any_channel: bool
    def __init__(self, wifi: _Optional[_Union[WifiInfo, _Mapping]] = ..., passphrase: _Optional[bytes] = ..., volatile_memory: bool = ..., any_channel: bool = ...) -> None: ...

class Request(_message.Message):
    __slots__ = ("op_code", "scan_params", "config")
    OP_CODE_FIELD_NUMBER: _ClassVar[int]
    SCAN_PARAMS_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    op_code: OpCode
    scan_params: ScanParams
    config: WifiConfig
    def __init__(self, op_code: _Optional[_Union[OpCode, str]] = ..., scan_params: _Optional[_Union[ScanParams, _Mapping]] = ..., config: _Optional[_Union[WifiConfig, _Mapping]] = ...) -> None: ...

class ConnectionInfo(_message.Message):
    __slots__ = ("ip4_addr",)
    IP4_ADDR_FIELD_NUMBER: _ClassVar[int]
    ip4_addr: bytes
    def __init__(self, ip4_addr: _Optional[bytes] = ...) -> None: ...

class DeviceStatus(_message.Message):
    __slots__ = ("state", "provisioning_info", "connection_info", "scan_info")
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROVISIONING_INFO_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_INFO_FIELD_NUMBER: _ClassVar[int]
    SCAN_INFO_FIELD_NUMBER: _ClassVar[int]
    state: ConnectionState
    provisioning_info: WifiInfo
    connection_info: ConnectionInfo
    scan_info: ScanParams
    def __init__(self, state: _Optional[_Union[ConnectionState, str]] = ..., provisioning_info: _Optional[_Union[WifiInfo, _Mapping]] = ..., connection_info: _Optional[_Union[ConnectionInfo, _Mapping]] = ..., scan_info: _Optional[_Union[ScanParams, _Mapping]] = ...) -> None: ...

class Response(_message.Message):
    __slots__ = ("request_op_code", "status", "device_status")
    REQUEST_OP_CODE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DEVICE_STATUS_FIELD_NUMBER: _ClassVar[int]
    request_op_code: OpCode
    status: Status
    device_status: DeviceStatus
    def __init__(self, request_op_code: _Optional[_Union[OpCode, str]] = ..., status: _Optional[_Union[Status, str]] = ..., device_status: _Optional[_Union[DeviceStatus, _Mapping]] = ...) -> None: ...

class ScanRecord(_message.Message):
    __slots__ = ("wifi", "rssi")
    WIFI_FIELD_NUMBER: _ClassVar[int]
    RSSI_FIELD_NUMBER: _ClassVar[int]
    wifi: WifiInfo
    rssi: int
    def __init__(self, wifi: _Optional[_Union[WifiInfo, _Mapping]] = ..., rssi: _Optional[int] = ...) -> None: ...

class Result(_message.Message):
    __slots__ = ("scan_record", "state", "reason")
    SCAN_RECORD_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    scan_record: ScanRecord
    state: ConnectionState
    reason: FailureReason
    def __init__(self, scan_record: _Optional[_Union[ScanRecord, _Mapping]] = ..., state: _Optional[_Union[ConnectionState, str]] = ..., reason: _Optional[_Union[FailureReason, str]] = ...) -> None: ...
