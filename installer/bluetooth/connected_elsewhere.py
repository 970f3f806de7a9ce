"""Devices that another program of this computer has connected: they do not advertise, so no scan finds them.

Their links are not ours to end. A person is told, instead of looking for a device that lies in front of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.detection import Detector
from installer.bluetooth.sighting import Advert, Sighting
from installer.text import printable


async def connected_elsewhere(adapter: Adapter, detector: Detector) -> list[Sighting]:
    """These devices, with what the system knows of them. Never raises."""
    found = []
    for device, data in await adapter.connected_devices():
        advert = Advert(
            name=data.local_name,
            services=tuple(uuid.lower() for uuid in data.service_uuids),
            service_data={uuid.lower(): value for uuid, value in data.service_data.items()},
            manufacturer_data=dict(data.manufacturer_data),
        )
        address = device.address.upper()
        detection, state = detector.detect(address, advert), detector.setup_state(advert)
        found.append(Sighting(address=address, rssi=data.rssi, advert=advert, detection=detection, state=state))
    return found


def connected_elsewhere_words(devices: Sequence[Sighting]) -> tuple[str, str]:
    """What a person is told of these devices, and what they can do."""
    named = " and ".join(f"{printable(d.name, 32)} {d.address}".strip() for d in devices)
    are, them = ("is", "it") if len(devices) == 1 else ("are", "them")
    return (
        f"{named} {are} connected to this computer by another program, so no scan finds {them}.",
        f"End that connection in the Bluetooth settings, or with: bluetoothctl disconnect {devices[0].address}",
    )
