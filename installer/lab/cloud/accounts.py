"""The data of the lab's cloud: devices, accounts, and their measure groups, nights and days of activity."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

from installer.lab.cloud.scenario import CloudUser
from installer.timing.zones import known_zone

WEIGHT, HEIGHT = 1, 4
ATTRIB_SIGN_UP = 4
SLEEP_MAT, TRACKER = 32, 16


@dataclass
class Device:
    """A device, its owner (a userid), and its first and last contact with the cloud (unix seconds)."""

    mac: str
    model_id: int
    model: str
    type: str
    owner: str | None = None
    first_session: int | None = None
    last_session: int | None = None

    @property
    def device_id(self) -> str:
        """40 hexadecimal digits, the same for the same MAC address."""
        return hashlib.sha1(f"lab device {self.mac}".encode(), usedforsecurity=False).hexdigest()

    @property
    def serial_number(self) -> str:
        """A made-up serial number."""
        return f"LAB{self.device_id[:9].upper()}"

    def record_contact(self, now: float) -> None:
        """The device contacted the cloud."""
        if self.first_session is None:
            self.first_session = int(now)
        self.last_session = int(now)

    def factory_reset(self) -> None:
        """Remove the owner and the contact times."""
        self.owner = self.first_session = self.last_session = None


@dataclass
class Group:
    """One measure group (`withings-cloud.md` §4.1). `device` is None for values that the user typed."""

    grpid: int
    attrib: int
    date: int
    modified: int
    category: int
    device: Device | None
    measures: list[dict[str, int]]


@dataclass
class Night:
    """One entry of the sleep summary (§4.2); `date` is the day of waking up."""

    id: int
    device: Device
    start: int
    end: int
    date: str
    data: dict[str, Any]
    modified: int


@dataclass
class Day:
    """One day of activity (§4.3). `device` is None when a phone counted."""

    date: str
    device: Device | None
    values: dict[str, Any]
    modified: int


@dataclass
class Account:
    """A user and the data of the account. `fixed`: devices that always belong to this user (the demo user)."""

    userid: str
    user: CloudUser
    fixed: list[Device] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    nights: list[Night] = field(default_factory=list)
    days: list[Day] = field(default_factory=list)
    signed_up: bool = False
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    @property
    def zone(self) -> tzinfo:
        """The user's time zone, or UTC if this computer does not know it (the scenario allows only known ones)."""
        return known_zone(self.user.timezone) or UTC

    def next_id(self) -> int:
        """The next id of a group or night, unique among all users."""
        return int(self.userid) * 1000 + next(self._ids)

    def local_date(self, when: float) -> str:
        """The date (YYYY-MM-DD) in the user's time zone."""
        return datetime.fromtimestamp(when, self.zone).date().isoformat()

    def sign_up(self, now: float) -> None:
        """Add the values that the user typed at sign-up (attrib 4, not from a device). Does nothing the second time."""
        if self.signed_up:
            return
        self.signed_up = True
        typed = [
            _measure(WEIGHT, round(self.user.weight * 1000), -3),
            _measure(HEIGHT, round(self.user.height * 100), -2),
        ]
        for measure in typed:
            self.groups.append(Group(self.next_id(), ATTRIB_SIGN_UP, int(now), int(now), 1, None, [measure]))
        if self.user.phone_source:
            self.days.append(Day(self.local_date(now), None, {"steps": 2300, "distance": 1600.0}, int(now)))

    def add_group(self, device: Device, date: float, now: float, values: dict[str, Any]) -> None:
        """A measure group of a device: `measures` [{type, value, unit}], and perhaps `attrib`, `category`."""
        measures = [_measure(int(m["type"]), int(m["value"]), int(m["unit"])) for m in values["measures"]]
        attrib, category = int(values.get("attrib", 0)), int(values.get("category", 1))
        self.groups.append(Group(self.next_id(), attrib, int(date), int(now), category, device, measures))

    def add_night(self, device: Device, now: float, values: dict[str, Any]) -> None:
        """A night: `startdate`, `enddate` (unix seconds), `data`."""
        start, end = int(values["startdate"]), int(values["enddate"])
        self.nights.append(
            Night(self.next_id(), device, start, end, self.local_date(end), dict(values.get("data", {})), int(now))
        )

    def add_day(self, device: Device, now: float, values: dict[str, Any]) -> None:
        """A day's activity so far; it replaces an earlier one of the same device and date."""
        date = str(values["date"])
        self.days = [d for d in self.days if d.device is not device or d.date != date]
        counted = {key: value for key, value in values.items() if key != "date"}
        self.days.append(Day(date, device, counted, int(now)))


def _measure(kind: int, value: int, unit: int) -> dict[str, int]:
    return {"value": value, "type": kind, "unit": unit, "algo": 0, "fm": 3}
