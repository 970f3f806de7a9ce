from installer.provisioning.espressif.proto import constants_pb2 as _constants_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class NetworkCtrlMsgType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TypeCtrlReserved: _ClassVar[NetworkCtrlMsgType]
    TypeCmdCtrlWifiReset: _ClassVar[NetworkCtrlMsgType]
    TypeRespCtrlWifiReset: _ClassVar[NetworkCtrlMsgType]
    TypeCmdCtrlWifiReprov: _ClassVar[NetworkCtrlMsgType]
    TypeRespCtrlWifiReprov: _ClassVar[NetworkCtrlMsgType]
TypeCtrlReserved: NetworkCtrlMsgType
TypeCmdCtrlWifiReset: NetworkCtrlMsgType
TypeRespCtrlWifiReset: NetworkCtrlMsgType
TypeCmdCtrlWifiReprov: NetworkCtrlMsgType
TypeRespCtrlWifiReprov: NetworkCtrlMsgType

class CmdCtrlWifiReset(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RespCtrlWifiReset(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CmdCtrlWifiReprov(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RespCtrlWifiReprov(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class NetworkCtrlPayload(_message.Message):
    __slots__ = ("msg", "status", "cmd_ctrl_wifi_reset", "resp_ctrl_wifi_reset", "cmd_ctrl_wifi_reprov", "resp_ctrl_wifi_reprov")
    MSG_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CMD_CTRL_WIFI_RESET_FIELD_NUMBER: _ClassVar[int]
    RESP_CTRL_WIFI_RESET_FIELD_NUMBER: _ClassVar[int]
    CMD_CTRL_WIFI_REPROV_FIELD_NUMBER: _ClassVar[int]
    RESP_CTRL_WIFI_REPROV_FIELD_NUMBER: _ClassVar[int]
    msg: NetworkCtrlMsgType
    status: _constants_pb2.Status
    cmd_ctrl_wifi_reset: CmdCtrlWifiReset
    resp_ctrl_wifi_reset: RespCtrlWifiReset
    cmd_ctrl_wifi_reprov: CmdCtrlWifiReprov
    resp_ctrl_wifi_reprov: RespCtrlWifiReprov
    def __init__(self, msg: _Optional[_Union[NetworkCtrlMsgType, str]] = ..., status: _Optional[_Union[_constants_pb2.Status, str]] = ..., cmd_ctrl_wifi_reset: _Optional[_Union[CmdCtrlWifiReset, _Mapping]] = ..., resp_ctrl_wifi_reset: _Optional[_Union[RespCtrlWifiReset, _Mapping]] = ..., cmd_ctrl_wifi_reprov: _Optional[_Union[CmdCtrlWifiReprov, _Mapping]] = ..., resp_ctrl_wifi_reprov: _Optional[_Union[RespCtrlWifiReprov, _Mapping]] = ...) -> None: ...
