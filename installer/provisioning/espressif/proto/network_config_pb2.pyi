from installer.provisioning.espressif.proto import constants_pb2 as _constants_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WifiStationState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    Connected: _ClassVar[WifiStationState]
    Connecting: _ClassVar[WifiStationState]
    Disconnected: _ClassVar[WifiStationState]
    ConnectionFailed: _ClassVar[WifiStationState]

class WifiConnectFailedReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AuthError: _ClassVar[WifiConnectFailedReason]
    WifiNetworkNotFound: _ClassVar[WifiConnectFailedReason]

class NetworkConfigMsgType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TypeCmdGetWifiStatus: _ClassVar[NetworkConfigMsgType]
    TypeRespGetWifiStatus: _ClassVar[NetworkConfigMsgType]
    TypeCmdSetWifiConfig: _ClassVar[NetworkConfigMsgType]
    TypeRespSetWifiConfig: _ClassVar[NetworkConfigMsgType]
    TypeCmdApplyWifiConfig: _ClassVar[NetworkConfigMsgType]
    TypeRespApplyWifiConfig: _ClassVar[NetworkConfigMsgType]
Connected: WifiStationState
Connecting: WifiStationState
Disconnected: WifiStationState
ConnectionFailed: WifiStationState
AuthError: WifiConnectFailedReason
WifiNetworkNotFound: WifiConnectFailedReason
TypeCmdGetWifiStatus: NetworkConfigMsgType
TypeRespGetWifiStatus: NetworkConfigMsgType
TypeCmdSetWifiConfig: NetworkConfigMsgType
TypeRespSetWifiConfig: NetworkConfigMsgType
TypeCmdApplyWifiConfig: NetworkConfigMsgType
TypeRespApplyWifiConfig: NetworkConfigMsgType

class WifiConnectedState(_message.Message):
    __slots__ = ("ip4_addr", "auth_mode", "ssid", "bssid", "channel")
    IP4_ADDR_FIELD_NUMBER: _ClassVar[int]
    AUTH_MODE_FIELD_NUMBER: _ClassVar[int]
    SSID_FIELD_NUMBER: _ClassVar[int]
    BSSID_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    ip4_addr: str
    auth_mode: _constants_pb2.WifiAuthMode
    ssid: bytes
    bssid: bytes
    channel: int
    def __init__(self, ip4_addr: _Optional[str] = ..., auth_mode: _Optional[_Union[_constants_pb2.WifiAuthMode, str]] = ..., ssid: _Optional[bytes] = ..., bssid: _Optional[bytes] = ..., channel: _Optional[int] = ...) -> None: ...

class WifiAttemptFailed(_message.Message):
    __slots__ = ("attempts_remaining",)
    ATTEMPTS_REMAINING_FIELD_NUMBER: _ClassVar[int]
    attempts_remaining: int
    def __init__(self, attempts_remaining: _Optional[int] = ...) -> None: ...

class CmdGetWifiStatus(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RespGetWifiStatus(_message.Message):
    __slots__ = ("status", "wifi_sta_state", "wifi_fail_reason", "wifi_connected", "attempt_failed")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    WIFI_STA_STATE_FIELD_NUMBER: _ClassVar[int]
    WIFI_FAIL_REASON_FIELD_NUMBER: _ClassVar[int]
    WIFI_CONNECTED_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FAILED_FIELD_NUMBER: _ClassVar[int]
    status: _constants_pb2.Status
    wifi_sta_state: WifiStationState
    wifi_fail_reason: WifiConnectFailedReason
    wifi_connected: WifiConnectedState
    attempt_failed: WifiAttemptFailed
    def __init__(self, status: _Optional[_Union[_constants_pb2.Status, str]] = ..., wifi_sta_state: _Optional[_Union[WifiStationState, str]] = ..., wifi_fail_reason: _Optional[_Union[WifiConnectFailedReason, str]] = ..., wifi_connected: _Optional[_Union[WifiConnectedState, _Mapping]] = ..., attempt_failed: _Optional[_Union[WifiAttemptFailed, _Mapping]] = ...) -> None: ...

class CmdSetWifiConfig(_message.Message):
    __slots__ = ("ssid", "passphrase", "bssid", "channel")
    SSID_FIELD_NUMBER: _ClassVar[int]
    PASSPHRASE_FIELD_NUMBER: _ClassVar[int]
    BSSID_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    ssid: bytes
    passphrase: bytes
    bssid: bytes
    channel: int
    def __init__(self, ssid: _Optional[bytes] = ..., passphrase: _Optional[bytes] = ..., bssid: _Optional[bytes] = ..., channel: _Optional[int] = ...) -> None: ...

class RespSetWifiConfig(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: _constants_pb2.Status
    def __init__(self, status: _Optional[_Union[_constants_pb2.Status, str]] = ...) -> None: ...

class CmdApplyWifiConfig(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RespApplyWifiConfig(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: _constants_pb2.Status
    def __init__(self, status: _Optional[_Union[_constants_pb2.Status, str]] = ...) -> None: ...

class NetworkConfigPayload(_message.Message):
    __slots__ = ("msg", "cmd_get_wifi_status", "resp_get_wifi_status", "cmd_set_wifi_config", "resp_set_wifi_config", "cmd_apply_wifi_config", "resp_apply_wifi_config")
    MSG_FIELD_NUMBER: _ClassVar[int]
    CMD_GET_WIFI_STATUS_FIELD_NUMBER: _ClassVar[int]
    RESP_GET_WIFI_STATUS_FIELD_NUMBER: _ClassVar[int]
    CMD_SET_WIFI_CONFIG_FIELD_NUMBER: _ClassVar[int]
    RESP_SET_WIFI_CONFIG_FIELD_NUMBER: _ClassVar[int]
    CMD_APPLY_WIFI_CONFIG_FIELD_NUMBER: _ClassVar[int]
    RESP_APPLY_WIFI_CONFIG_FIELD_NUMBER: _ClassVar[int]
    msg: NetworkConfigMsgType
    cmd_get_wifi_status: CmdGetWifiStatus
    resp_get_wifi_status: RespGetWifiStatus
    cmd_set_wifi_config: CmdSetWifiConfig
    resp_set_wifi_config: RespSetWifiConfig
    cmd_apply_wifi_config: CmdApplyWifiConfig
    resp_apply_wifi_config: RespApplyWifiConfig
    def __init__(self, msg: _Optional[_Union[NetworkConfigMsgType, str]] = ..., cmd_get_wifi_status: _Optional[_Union[CmdGetWifiStatus, _Mapping]] = ..., resp_get_wifi_status: _Optional[_Union[RespGetWifiStatus, _Mapping]] = ..., cmd_set_wifi_config: _Optional[_Union[CmdSetWifiConfig, _Mapping]] = ..., resp_set_wifi_config: _Optional[_Union[RespSetWifiConfig, _Mapping]] = ..., cmd_apply_wifi_config: _Optional[_Union[CmdApplyWifiConfig, _Mapping]] = ..., resp_apply_wifi_config: _Optional[_Union[RespApplyWifiConfig, _Mapping]] = ...) -> None: ...
