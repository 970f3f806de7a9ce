"""Which stored devices and kinds a person means: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from installer.errors import ErrorCode, InstallerError
from installer.measurements.row import Row
from installer.measurements.store import Device
from installer.text import printable

PREFIX = 4


def named(rows: Iterable[Row], devices: Mapping[str, Device], models: Mapping[str, str]) -> dict[str, Device]:
    """`devices`, and those that are known by their address only, by the name that their other half or model has.

    `models`: the names of the catalogue's models by their ids.
    """
    halves = {d.address.upper(): d for d in devices.values() if d.address}
    found = dict(devices)
    for row in rows:
        known = found.get(row.device, Device(row.device, model=row.model))
        if row.device and not known.name:
            other = halves.get(row.device.upper(), known)
            found[row.device] = replace(known, name=other.name or models.get(row.model, ""))
    return found


def device_ids(text: str, rows: Iterable[Row], devices: Mapping[str, Device]) -> set[str]:
    """The ids in the store of the devices with this id (or its beginning), address, name or model.

    One device may have several, its cloud's id and its address. Raises DATA_UNKNOWN with those that there are.
    """
    wanted = text.strip().lower()
    stored = {row.device: row.model for row in rows if row.device}
    found = set()
    for device, model in stored.items():
        known = devices.get(device, Device(device))
        words = {device.lower(), model, known.model, known.name.lower(), known.address.lower()} - {""}
        if wanted in words or (len(wanted) >= PREFIX and device.lower().startswith(wanted)):
            found.add(device)
    # A name may be that of the cloud's entry, and the address that of the Bluetooth one.
    addresses = {devices[d].address.lower() for d in found if d in devices} - {""}
    found |= {d for d in stored if d.lower() in addresses}
    if not found:
        called = sorted({devices[d].name or d if d in devices else d for d in stored})
        raise _unknown(f"There are no measurements of a device “{printable(text)}” in the store.", "Devices", called)
    return found


def check_kind(kind: str, rows: Iterable[Row]) -> None:
    """Raise DATA_UNKNOWN, with the kinds that there are, unless this one is among them."""
    kinds = {row.kind for row in rows}
    if kind not in kinds:
        raise _unknown(f"There are no measurements of kind “{printable(kind)}” in the store.", "Kinds", sorted(kinds))


def _unknown(what: str, word: str, known: list[str]) -> InstallerError:
    shown = ", ".join(printable(k) for k in known)
    todo = f"{word} that there are: {shown}." if known else "`device-installer data fetch` gets what the cloud has."
    return InstallerError(ErrorCode.DATA_UNKNOWN, what, todo, known=known)
