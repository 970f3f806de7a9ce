"""What BlueZ knows already when a scan begins: the devices that it heard lately, and those that are connected.

While another program scans as well, BlueZ tells a scanner only of what changes, and of a device that it knows may come
nothing. So its device objects count as first sightings. It keeps no time of the last sighting, but:

- `RSSI` is there only while somebody scans, and of devices heard in that scan;
- the object of an unpaired device goes 30 s after the last sighting (`bluez-behaviour` §3), so it is at most so old.

A paired device keeps its object, and its `RSSI` may be old: it counts when it is heard. A connected one does not
advertise, so it is in no scan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from installer.bluetooth.bluez.bus import ADAPTER, DEVICE, Interfaces

# What `AdvertisementData` has for an unknown signal.
NO_RSSI = -127

Seen = tuple[BLEDevice, AdvertisementData]


def heard_lately(objects: Mapping[str, Interfaces], adapter: str | None) -> list[Seen]:
    """The devices that an adapter which scans now has heard, as bleak's scanner reports them. `adapter`: only of it."""
    found = []
    for path, device in _devices(objects, adapter):
        scans = objects.get(str(device.get("Adapter")), {}).get(ADAPTER, {}).get("Discovering") is True
        keeps_object = any(device.get(name) is True for name in ("Connected", "Paired", "Bonded"))
        if scans and "RSSI" in device and not keeps_object:
            found.append(_seen(path, device))
    return found


def connected(objects: Mapping[str, Interfaces], adapter: str | None) -> list[Seen]:
    """The devices that are connected, by whichever program. `adapter`: only those of it."""
    return [_seen(path, device) for path, device in _devices(objects, adapter) if device.get("Connected") is True]


def _devices(objects: Mapping[str, Interfaces], adapter: str | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path, interfaces in objects.items():
        device = interfaces.get(DEVICE)
        if device is None or not device.get("Address"):
            continue
        if adapter in (None, str(device.get("Adapter")).rpartition("/")[2]):
            yield path, device


def _seen(path: str, device: Mapping[str, Any]) -> Seen:
    address, alias = str(device["Address"]), device.get("Alias")
    # BlueZ makes an alias of the address if the device has no name.
    name = None if alias == address.replace(":", "-") else alias
    props = dict(device)
    data = AdvertisementData(
        local_name=device.get("Name"),
        manufacturer_data={key: bytes(value) for key, value in device.get("ManufacturerData", {}).items()},
        service_data={key: bytes(value) for key, value in device.get("ServiceData", {}).items()},
        service_uuids=list(device.get("UUIDs", ())),
        tx_power=device.get("TxPower"),
        rssi=int(device.get("RSSI", NO_RSSI)),
        platform_data=(path, props),
    )
    return BLEDevice(address, name, {"path": path, "props": props}), data
