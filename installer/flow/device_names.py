"""All the names of one device: one device is known by its Bluetooth address, and by its id at the cloud. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from installer.errors import ErrorCode, InstallerError
from installer.text import printable

# Its id at the cloud, its address, its name; a place that knows only some of them leaves the others empty.
KnownDevice = tuple[str, str, str]


def names_of_device(text: str, known: Iterable[KnownDevice]) -> frozenset[str]:
    """The ids and addresses of the device with this id, address or name, in the case in which they are stored.

    Only the text itself if no place knows it. Raises DEVICE_AMBIGUOUS if several devices have this name.
    """
    wanted = text.strip()
    groups: list[tuple[set[str], set[str]]] = []  # ids and addresses, and names, of one device
    for device, address, name in known:
        ids = {one for one in (device, address) if one}
        names = {name.lower()} - {""}
        same = [group for group in groups if _lower(group[0]) & _lower(ids)]
        for group in same:
            ids |= group[0]
            names |= group[1]
            groups.remove(group)
        if ids:
            groups.append((ids, names))
    exact = [ids for ids, _ in groups if wanted.lower() in _lower(ids)]
    found = exact or [ids for ids, names in groups if wanted.lower() in names]
    if len(found) > 1:
        listed = ", ".join(printable(sorted(ids)[0], 64) for ids in found)
        raise InstallerError(
            ErrorCode.DEVICE_AMBIGUOUS,
            f"Several devices are named “{printable(wanted, 64)}”: {listed}.",
            "Name one by its address or id.",
        )
    return frozenset(found[0] if found else {wanted})


def _lower(values: Iterable[str]) -> set[str]:
    return {value.lower() for value in values}
