"""Parser of LE Advertising Reports in HCI packets.

Bumble needs a quarter of a millisecond for each report, so 200 devices that advertise ten times a second would
keep a processor busy. Source: Core Specification vol. 4 part E §7.7.65.2 and §7.7.65.13.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_EVENT, _LE_META = 0x04, 0x3E
_LEGACY_REPORT, _EXTENDED_REPORT = 0x02, 0x0D
_HEADER_BYTES = 5  # packet type, event, length, subevent, number of reports
_SCAN_RESPONSE = 0x04
_INCOMPLETE = 1


@dataclass(frozen=True, slots=True)
class AdvertisingReport:
    """One advertising report. `peer`: address type, and the six address bytes in the order of the air; `rssi` in dBm.

    `partial`: the next report continues this advertisement.
    """

    peer: tuple[int, bytes]
    data: bytes
    rssi: int
    is_response: bool
    partial: bool = False


def parse_report(packet: bytes) -> AdvertisingReport | None:
    """The report in an HCI packet that holds exactly one; None for any other or malformed packet."""
    if len(packet) < _HEADER_BYTES or packet[0] != _EVENT or packet[1] != _LE_META or packet[4] != 1:
        return None
    if packet[3] == _LEGACY_REPORT:
        # event type, address type, address, length of the data, the data, RSSI
        if len(packet) < 15 or len(packet) != 15 + packet[13]:
            return None
        rssi = packet[-1] - 256 if packet[-1] > 127 else packet[-1]
        return AdvertisingReport((packet[6], packet[7:13]), packet[14:-1], rssi, packet[5] == _SCAN_RESPONSE)
    if packet[3] == _EXTENDED_REPORT:
        if len(packet) < 29 or len(packet) != 29 + packet[28]:
            return None
        kind, address_type, address, rssi = struct.unpack_from("<HB6s4xb", packet, 5)
        return AdvertisingReport(
            (address_type, address), packet[29:], rssi, bool(kind & 0x08), (kind >> 5) & 3 == _INCOMPLETE
        )
    return None


def address_text(peer: tuple[int, bytes]) -> str:
    """The address as text: `AA:BB:CC:DD:EE:FF`."""
    return ":".join(f"{byte:02X}" for byte in reversed(peer[1]))


class ReportInterceptor:
    """A packet sink in front of Bumble's host: takes out advertising reports, forwards all other packets."""

    def __init__(self, host: Any, listener: Callable[[AdvertisingReport], None]) -> None:
        self._host = host
        self._listener = listener

    def on_packet(self, packet: bytes) -> None:
        """Receive a packet from the controller."""
        report = parse_report(packet)
        if report is None:
            self._host.on_packet(packet)
        else:
            self._listener(report)

    def on_transport_lost(self) -> None:
        """Forward the end of the transport."""
        self._host.on_transport_lost()
