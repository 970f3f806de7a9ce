"""A sighting: one device seen in a scan, as plain data."""

from __future__ import annotations

import enum

from pydantic import BaseModel, ConfigDict

from installer.text import printable


class Certainty(enum.StrEnum):
    """How sure the detection is of a model (`facts/detection.md` §2)."""

    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"
    UNKNOWN = "unknown"


class SetupState(enum.StrEnum):
    """What the advertisement says of the device's set-up."""

    NEW = "new"  # waits to be set up
    SET_UP = "set up"  # has credentials, or is being set up by somebody
    UNKNOWN = "unknown"


class Advert(BaseModel):
    """What a device advertised, merged over the packets seen so far. UUIDs in lower-case 128-bit form."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str | None = None
    services: tuple[str, ...] = ()
    service_data: dict[str, bytes] = {}
    manufacturer_data: dict[int, bytes] = {}


class Detection(BaseModel):
    """Which model a sighting is, by adding up scores, and the reasons in words."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    model_id: str | None = None
    certainty: Certainty = Certainty.UNKNOWN
    score: int = 0
    protocol: str | None = None
    reasons: tuple[str, ...] = ()
    note: str = ""


class Sighting(BaseModel):
    """One device. `address` is a MAC, upper case (macOS: a UUID); `rssi` in dBm; `seen` on the monotonic clock, s."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    address: str
    rssi: int
    seen: float = 0.0
    advert: Advert = Advert()
    detection: Detection = Detection()
    state: SetupState = SetupState.UNKNOWN

    @property
    def name(self) -> str:
        """The advertised name, safe for a terminal, or an empty text."""
        return printable(self.advert.name or "", 32)

    @property
    def bars(self) -> int:
        """Signal as 0 to 4 bars (−90, −80, −70, −60 dBm)."""
        return sum(self.rssi >= limit for limit in (-90, -80, -70, -60))
