"""The scanner of the bleak backend: turns advertising reports into bleak's AdvertisementData."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, AdvertisementDataCallback, BaseBleakScanner
from bleak.exc import BleakError

from installer.bluetooth.hci.advertising_data import AdvertisingFields, parse_advertising_data
from installer.bluetooth.hci.advertising_reports import AdvertisingReport, address_text
from installer.bluetooth.hci.host import HciHost

MAX_DEVICES = 2000
MAX_ADVERTISEMENT_BYTES = 1650  # the limit of extended advertising


@dataclass
class _HeardDevice:
    """One device: the last packet of each kind, their merged fields, and the parts of an incomplete advertisement."""

    device: BLEDevice
    packets: dict[bool, bytes] = field(default_factory=dict)
    fields: AdvertisingFields = field(default_factory=AdvertisingFields)
    parts: bytes = b""


class HciScanner(BaseBleakScanner):
    """Reports every advertisement, filtered only by `service_uuids`. Advertisement and scan response are merged.

    `host`: the opened controller.
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
        self._heard: dict[tuple[int, bytes], _HeardDevice] = {}

    async def start(self) -> None:
        """Start scanning. Raises BleakError."""
        self.seen_devices = {}
        self._heard = {}
        await self._host.add_report_listener(self._on_report)

    async def stop(self) -> None:
        """Stop scanning."""
        await self._host.remove_report_listener(self._on_report)

    def _on_report(self, report: AdvertisingReport) -> None:
        heard = self._heard.get(report.peer)
        if heard is None:
            heard = self._add_device(report.peer)
        if report.partial:
            heard.parts = (heard.parts + report.data)[:MAX_ADVERTISEMENT_BYTES]
            return
        data, heard.parts = heard.parts + report.data, b""
        if heard.packets.get(report.is_response) != data:
            heard.packets[report.is_response] = data
            heard.fields.update(parse_advertising_data(data))
        self._report_device(heard, report.rssi)

    def _report_device(self, heard: _HeardDevice, rssi: int) -> None:
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
        self.seen_devices[heard.device.address] = (heard.device, advert)
        self.call_detection_callbacks(heard.device, advert)

    def _add_device(self, peer: tuple[int, bytes]) -> _HeardDevice:
        # Random addresses change all the time; the memory of a long scan must have a limit.
        while len(self._heard) >= MAX_DEVICES:
            oldest = self._heard.pop(next(iter(self._heard)))
            self.seen_devices.pop(oldest.device.address, None)
        # A device that changes its address is known by its identity, if it is paired.
        identity = self._host.keys.identity_of(peer)
        heard = self._heard[peer] = _HeardDevice(BLEDevice(address_text(identity), None, {"hci": peer}))
        return heard


def peer_address(device: BLEDevice) -> tuple[int, bytes]:
    """The HCI address and its type of a device that `HciScanner` found. Raises BleakError for any other device."""
    details = device.details
    if not isinstance(details, dict) or "hci" not in details:
        raise BleakError("This device was not found by this adapter's scan")
    kind, address = details["hci"]
    return kind, address
