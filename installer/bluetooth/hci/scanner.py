"""The scanner side of the backend: advertising reports to bleak's AdvertisementData."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, AdvertisementDataCallback, BaseBleakScanner
from bleak.exc import BleakError

from installer.bluetooth.hci.adverts import Fields, parse
from installer.bluetooth.hci.host import HciHost

MAX_DEVICES = 2000
_INCOMPLETE_MORE_TO_COME = 1


@dataclass
class _Heard:
    """One device: the last bytes per kind of packet, what they said together, and the parts of a long one."""

    device: BLEDevice
    packets: dict[bool, bytes] = field(default_factory=dict)
    fields: Fields = field(default_factory=Fields)
    parts: bytes = b""


class HciScanner(BaseBleakScanner):
    """Passes on every report, filtered only by `service_uuids`. Advertisement and scan response are merged.

    `host` is the opened controller.
    """

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None,
        service_uuids: list[str] | None,
        scanning_mode: str,
        *,
        host: HciHost,
        **kwargs: Any,
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._host = host
        self._heard: dict[str, _Heard] = {}

    async def start(self) -> None:
        """Start scanning. Raises BleakError."""
        self.seen_devices = {}
        self._heard = {}
        await self._host.listen(self._on_report)

    async def stop(self) -> None:
        """Stop scanning."""
        await self._host.unlisten(self._on_report)

    def _on_report(self, report: Any) -> None:
        address = report.address.to_string(with_type_qualifier=False)
        heard = self._heard.get(address)
        if heard is None:
            heard = self._new(address, report.address)
        fragment, is_response = _kind(report)
        if fragment == _INCOMPLETE_MORE_TO_COME:
            heard.parts += report.data
            return
        data, heard.parts = heard.parts + report.data, b""
        if heard.packets.get(is_response) != data:
            heard.packets[is_response] = data
            heard.fields.add(parse(data))
        self._tell(address, heard, report.rssi)

    def _tell(self, address: str, heard: _Heard, rssi: int) -> None:
        fields = heard.fields
        advert = AdvertisementData(
            local_name=fields.name,
            manufacturer_data=dict(fields.manufacturer_data),
            service_data=dict(fields.service_data),
            service_uuids=list(fields.services),
            tx_power=fields.tx_power,
            rssi=rssi,
            platform_data=(),
        )
        if not self.is_allowed_uuid(advert.service_uuids):
            return
        heard.device.name = fields.name
        self.seen_devices[address] = (heard.device, advert)
        self.call_detection_callbacks(heard.device, advert)

    def _new(self, address: str, peer: Any) -> _Heard:
        # Random addresses change all the time; an endless scan must not grow without end.
        while len(self._heard) >= MAX_DEVICES:
            oldest = next(iter(self._heard))
            del self._heard[oldest]
            self.seen_devices.pop(oldest, None)
        heard = self._heard[address] = _Heard(BLEDevice(address, None, {"hci": peer}))
        return heard


def _kind(report: Any) -> tuple[int, bool]:
    """(data status, whether it is a scan response) of a legacy or an extended report."""
    if hasattr(report, "primary_phy"):  # extended: bit 3 is scan response, bits 5 and 6 the data status
        return (report.event_type >> 5) & 3, bool(report.event_type & 0x08)
    return 0, report.event_type == 0x04


def peer_address(device: BLEDevice) -> Any:
    """The HCI address (with its type) of a device that `HciScanner` found. Raises BleakError for another's."""
    details = device.details
    if not isinstance(details, dict) or "hci" not in details:
        raise BleakError("This device was not found by this adapter's scan")
    return details["hci"]
