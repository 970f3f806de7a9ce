"""Selects stored devices and kinds of values by what a person typed. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from installer.errors import ErrorCode, InstallerError
from installer.measurements.store import Device
from installer.measurements.stored_value import Row
from installer.text import printable

MIN_ID_PREFIX = 4


def with_names(rows: Iterable[Row], devices: Mapping[str, Device], models: Mapping[str, str]) -> dict[str, Device]:
    """`devices`, with names for devices that have none.

    One device can be stored twice: with the cloud's id and with its Bluetooth address. The name of one entry is used
    for the other; else the model's name. `models`: the names of the catalogue's models by id.
    """
    by_bluetooth_address = {d.address.upper(): d for d in devices.values() if d.address}
    found = dict(devices)
    for row in rows:
        known = found.get(row.device, Device(row.device, model=row.model))
        if row.device and not known.name:
            other = by_bluetooth_address.get(row.device.upper(), known)
            found[row.device] = replace(known, name=other.name or models.get(row.model, ""))
    return found


def matching_device_ids(text: str, rows: Iterable[Row], devices: Mapping[str, Device]) -> set[str]:
    """The stored ids of the devices with this id (or its beginning), address, name or model.

    One device can have two: the cloud's id and its Bluetooth address. Raises DATA_UNKNOWN with the known devices.
    """
    wanted = text.strip().lower()
    stored = {row.device: row.model for row in rows if row.device}
    found = set()
    for device, model in stored.items():
        known = devices.get(device, Device(device))
        words = {device.lower(), model, known.model, known.name.lower(), known.address.lower()} - {""}
        if wanted in words or (len(wanted) >= MIN_ID_PREFIX and device.lower().startswith(wanted)):
            found.add(device)
    # The name may match the cloud's entry only; the address finds the Bluetooth entry, too.
    addresses = {devices[d].address.lower() for d in found if d in devices} - {""}
    found |= {d for d in stored if d.lower() in addresses}
    if not found:
        names = sorted({devices[d].name or d if d in devices else d for d in stored})
        raise _unknown(f"The store has no measurements of a device “{printable(text)}”.", "Devices", names)
    return found


def check_kind(kind: str, rows: Iterable[Row]) -> None:
    """Raise DATA_UNKNOWN with the stored kinds, unless this kind is stored."""
    kinds = {row.kind for row in rows}
    if kind not in kinds:
        raise _unknown(f"The store has no measurements of kind “{printable(kind)}”.", "Kinds", sorted(kinds))


def _unknown(what: str, word: str, known: list[str]) -> InstallerError:
    shown = ", ".join(printable(k) for k in known)
    todo = f"{word} in the store: {shown}." if known else "`device-installer data fetch` fetches what the cloud has."
    return InstallerError(ErrorCode.DATA_UNKNOWN, what, todo, known=known)
