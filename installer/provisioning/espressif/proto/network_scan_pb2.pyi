from installer.provisioning.espressif.proto import constants_pb2 as _constants_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class NetworkScanMsgType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TypeCmdScanWifiStart: _ClassVar[NetworkScanMsgType]
    TypeRespScanWifiStart: _ClassVar[NetworkScanMsgType]
    TypeCmdScanWifiStatus: _ClassVar[NetworkScanMsgType]
    TypeRespScanWifiStatus: _ClassVar[NetworkScanMsgType]
    TypeCmdScanWifiResult: _ClassVar[NetworkScanMsgType]
    TypeRespScanWifiResult: _ClassVar[NetworkScanMsgType]
TypeCmdScanWifiStart: NetworkScanMsgType
TypeRespScanWifiStart: NetworkScanMsgType
TypeCmdScanWifiStatus: NetworkScanMsgType
TypeRespScanWifiStatus: NetworkScanMsgType
TypeCmdScanWifiResult: NetworkScanMsgType
TypeRespScanWifiResult: NetworkScanMsgType

class CmdScanWifiStart(_message.Message):
    __slots__ = ("blocking", "passive", "group_channels", "period_ms")
    BLOCKING_FIELD_NUMBER: _ClassVar[int]
    PASSIVE_FIELD_NUMBER: _ClassVar[int]
    GROUP_CHANNELS_FIELD_NUMBER: _ClassVar[int]
    PERIOD_MS_FIELD_NUMBER: _ClassVar[int]
    blocking: bool
    passive: bool
    group_channels: int
    period_ms: int
    def __init__(self, blocking: bool = ..., passive: bool = ..., group_channels: _Optional[int] = ..., period_ms: _Optional[int] = ...) -> None: ...

class RespScanWifiStart(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CmdScanWifiStatus(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RespScanWifiStatus(_message.Message):
    __slots__ = ("scan_finished", "result_count")
    SCAN_FINISHED_FIELD_NUMBER: _ClassVar[int]
    RESULT_COUNT_FIELD_NUMBER: _ClassVar[int]
    scan_finished: bool
    result_count: int
    def __init__(self, scan_finished: bool = ..., result_count: _Optional[int] = ...) -> None: ...

class CmdScanWifiResult(_message.Message):
    __slots__ = ("start_index", "count")
    START_INDEX_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    start_index: int
    count: int
    def __init__(self, start_index: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

class WiFiScanResult(_message.Message):
    __slots__ = ("ssid", "channel", "rssi", "bssid", "auth")
    SSID_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    RSSI_FIELD_NUMBER: _ClassVar[int]
    BSSID_FIELD_NUMBER: _ClassVar[int]
    AUTH_FIELD_NUMBER: _ClassVar[int]
    ssid: bytes
    channel: int
    rssi: int
    bssid: bytes
    auth: _constants_pb2.WifiAuthMode
    def __init__(self, ssid: _Optional[bytes] = ..., channel: _Optional[int] = ..., rssi: _Optional[int] = ..., bssid: _Optional[bytes] = ..., auth: _Optional[_Union[_constants_pb2.WifiAuthMode, str]] = ...) -> None: ...

class RespScanWifiResult(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[WiFiScanResult]
    def __init__(self, entries: _Optional[_Iterable[_Union[WiFiScanResult, _Mapping]]] = ...) -> None: ...

class NetworkScanPayload(_message.Message):
    __slots__ = ("msg", "status", "cmd_scan_wifi_start", "resp_scan_wifi_start", "cmd_scan_wifi_status", "resp_scan_wifi_status", "cmd_scan_wifi_result", "resp_scan_wifi_result")
    MSG_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CMD_SCAN_WIFI_START_FIELD_NUMBER: _ClassVar[int]
    RESP_SCAN_WIFI_START_FIELD_NUMBER: _ClassVar[int]
    CMD_SCAN_WIFI_STATUS_FIELD_NUMBER: _ClassVar[int]
    RESP_SCAN_WIFI_STATUS_FIELD_NUMBER: _ClassVar[int]
    CMD_SCAN_WIFI_RESULT_FIELD_NUMBER: _ClassVar[int]
    RESP_SCAN_WIFI_RESULT_FIELD_NUMBER: _ClassVar[int]
    msg: NetworkScanMsgType
    status: _constants_pb2.Status
    cmd_scan_wifi_start: CmdScanWifiStart
    resp_scan_wifi_start: RespScanWifiStart
    cmd_scan_wifi_status: CmdScanWifiStatus
    resp_scan_wifi_status: RespScanWifiStatus
    cmd_scan_wifi_result: CmdScanWifiResult
    resp_scan_wifi_result: RespScanWifiResult
    def __init__(self, msg: _Optional[_Union[NetworkScanMsgType, str]] = ..., status: _Optional[_Union[_constants_pb2.Status, str]] = ..., cmd_scan_wifi_start: _Optional[_Union[CmdScanWifiStart, _Mapping]] = ..., resp_scan_wifi_start: _Optional[_Union[RespScanWifiStart, _Mapping]] = ..., cmd_scan_wifi_status: _Optional[_Union[CmdScanWifiStatus, _Mapping]] = ..., resp_scan_wifi_status: _Optional[_Union[RespScanWifiStatus, _Mapping]] = ..., cmd_scan_wifi_result: _Optional[_Union[CmdScanWifiResult, _Mapping]] = ..., resp_scan_wifi_result: _Optional[_Union[RespScanWifiResult, _Mapping]] = ...) -> None: ...
