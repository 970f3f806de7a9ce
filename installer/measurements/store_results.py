"""What the store of measurements takes and gives besides rows: what was added, names of devices, starts of fetches."""

from __future__ import annotations

from dataclasses import dataclass

from installer.measurements.stored_value import Row


@dataclass(frozen=True)
class Added:
    """The result of adding rows: the new ones and those that changed. The others were stored already.

    `placed`: how many only got their time zone and day.
    """

    new: tuple[Row, ...] = ()
    changed: tuple[Row, ...] = ()
    placed: int = 0


@dataclass(frozen=True)
class Device:
    """The names of a device. `device`: as in the rows; `address`: its Bluetooth address, if known."""

    device: str
    name: str = ""
    model: str = ""
    address: str = ""
    account: str = ""


@dataclass(frozen=True)
class CursorStart:
    """Where a fetch begins: the cursor (None: never fetched), and the opening of the store that had it.

    `first_change`: earlier changes were erased, and are not fetched again. `erasures`: how often something was erased.
    """

    value: int | None
    opened: int
    first_change: int = 0
    erasures: int = 0
