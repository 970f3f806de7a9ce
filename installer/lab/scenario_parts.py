"""What the tables of a scenario have in common: strict keys, times, and faults that are counted."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MAC = re.compile(r"^([0-9A-F]{2}:){5}[0-9A-F]{2}$")

Rssi = Annotated[int, Field(ge=-127, le=20)]  # dBm
Times = Annotated[int, Field(ge=0, le=1_000_000)]
Seconds = Annotated[float, Field(ge=0, le=86_400)]


class ScenarioPart(BaseModel):
    """One table. A key that does not belong there is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Count(ScenarioPart):
    """How often something goes wrong: `times` times, then no more; 0: always."""

    times: Times = 1


class After(Count):
    """`times` times, and not before `after` connections are over."""

    after: Annotated[int, Field(ge=0, le=1000)] = 1


class SerialFault(Count):
    """After `after` connections, the device tells another serial number, or tells none: it cannot be read."""

    kind: Literal["other", "unreadable"] = "other"
    after: Annotated[int, Field(ge=0, le=1000)] = 1


class Reading(ScenarioPart):
    """How a device treats a client that reads its measurements.

    `hangs_up`: it ends the connection so many seconds after it has sent all that it has, as scales and cuffs do.
    `clock`: what happens if a client sets its clock: it cannot be set (`fixed`), it is set, the device refuses, takes
    the time and ignores it, or is set and forgets its measurements if it was more than an hour off (`erases`).
    `date_time`: it has Date Time in the service of its first measurement. `wants_time`: it sends nothing before its
    clock was set. `records`: how it hands out stored blood pressures: by itself (`told`), or as records that a client
    asks for and that stay (`kept`); such a device may be unable to count them (`uncounted`), or to send only the newest
    (`all-only`), be busy, or not answer (`silent`). `consents`: by user, the code without which it sends nothing.
    """

    hangs_up: Seconds | None = None
    clock: Literal["fixed", "settable", "refuses", "ignores", "erases"] = "fixed"
    date_time: bool = False
    wants_time: bool = False
    records: Literal["told", "kept", "uncounted", "all-only", "busy", "silent"] = "told"
    consents: dict[Annotated[int, Field(ge=0, le=254)], Annotated[int, Field(ge=0, le=9999)]] = {}
