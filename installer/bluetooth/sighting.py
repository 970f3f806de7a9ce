"""A sighting: one device seen in a scan, as plain data."""

from __future__ import annotations

import enum

from pydantic import BaseModel, ConfigDict

from installer.bluetooth.signal_strength import signal_bars
from installer.text import printable


class Certainty(enum.StrEnum):
    """How certain the detected model is (`facts/detection.md` §2)."""

    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"
    UNKNOWN = "unknown"


class SetupState(enum.StrEnum):
    """Whether the device is set up, according to its advertisement."""

    NEW = "new"  # waiting to be set up
    SET_UP = "set up"  # has credentials, or another client is setting it up
    UNKNOWN = "unknown"


class Advert(BaseModel):
    """The advertisement of a device, merged from the packets so far. UUIDs in lower-case 128-bit form."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str | None = None
    services: tuple[str, ...] = ()
    service_data: dict[str, bytes] = {}
    manufacturer_data: dict[int, bytes] = {}


class Detection(BaseModel):
    """The detected model of a sighting: the sum of the scores, and the reasons as text."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    model_id: str | None = None
    certainty: Certainty = Certainty.UNKNOWN
    score: int = 0
    protocol: str | None = None
    reasons: tuple[str, ...] = ()
    note: str = ""


class Sighting(BaseModel):
    """One device. `address`: MAC in upper case (macOS: a UUID); `rssi` in dBm; `seen`: monotonic clock, seconds."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    address: str
    rssi: int
    seen: float = 0.0
    advert: Advert = Advert()
    detection: Detection = Detection()
    state: SetupState = SetupState.UNKNOWN

    @property
    def name(self) -> str:
        """The advertised name, safe for a terminal; may be empty."""
        return printable(self.advert.name or "", 32)

    @property
    def bars(self) -> int:
        """Signal as 0 to 4 bars."""
        return signal_bars(self.rssi)
