"""What the tables of a scenario have in common: strict keys, times, and faults that are counted."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Times = Annotated[int, Field(ge=0, le=1_000_000)]
Seconds = Annotated[float, Field(ge=0, le=86_400)]


class ScenarioPart(BaseModel):
    """One table. A key that does not belong there is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Count(ScenarioPart):
    """How often something goes wrong: `times` times, then no more; 0: always."""

    times: Times = 1


class SerialFault(Count):
    """After `after` connections, the device tells another serial number, or tells none: it cannot be read."""

    kind: Literal["other", "unreadable"] = "other"
    after: Annotated[int, Field(ge=0, le=1000)] = 1
