from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    Success: _ClassVar[Status]
    InvalidSecScheme: _ClassVar[Status]
    InvalidProto: _ClassVar[Status]
    TooManySessions: _ClassVar[Status]
    InvalidArgument: _ClassVar[Status]
    InternalError: _ClassVar[Status]
    CryptoError: _ClassVar[Status]
    InvalidSession: _ClassVar[Status]

class WifiAuthMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    Open: _ClassVar[WifiAuthMode]
    WEP: _ClassVar[WifiAuthMode]
    WPA_PSK: _ClassVar[WifiAuthMode]
    WPA2_PSK: _ClassVar[WifiAuthMode]
    WPA_WPA2_PSK: _ClassVar[WifiAuthMode]
    WPA2_ENTERPRISE: _ClassVar[WifiAuthMode]
    WPA3_PSK: _ClassVar[WifiAuthMode]
    WPA2_WPA3_PSK: _ClassVar[WifiAuthMode]
Success: Status
InvalidSecScheme: Status
InvalidProto: Status
TooManySessions: Status
InvalidArgument: Status
InternalError: Status
CryptoError: Status
InvalidSession: Status
Open: WifiAuthMode
WEP: WifiAuthMode
WPA_PSK: WifiAuthMode
WPA2_PSK: WifiAuthMode
WPA_WPA2_PSK: WifiAuthMode
WPA2_ENTERPRISE: WifiAuthMode
WPA3_PSK: WifiAuthMode
WPA2_WPA3_PSK: WifiAuthMode
