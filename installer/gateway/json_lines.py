"""What a running gateway tells: the JSON lines of `gateway run --json`, a contract with scripts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from installer.errors import InstallerError
from installer.gateway.delivery import Delivered
from installer.gateway.gateway import Told
from installer.gateway.visit_scheduler import Visited


class _Line(BaseModel):
    """`code` and `what`: why it went wrong; null where all went well. Fields are only ever added."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    time: datetime
    code: str | None
    what: str | None


class GatewayVisited(_Line):
    """A device was visited. `collected`: measurements that were new."""

    event: Literal["gateway_visited"] = "gateway_visited"
    address: str
    model: str
    name: str
    collected: int


class GatewayDelivered(_Line):
    """A sink took `count` measurements. `again`: seconds until the next try, where it took no more."""

    event: Literal["gateway_delivered"] = "gateway_delivered"
    sink: str
    count: int
    again: float


class GatewayTrouble(_Line):
    """The gateway itself is stopped, by its Bluetooth for instance. `again`: seconds until the next try."""

    event: Literal["gateway_trouble"] = "gateway_trouble"
    again: float


Line = Annotated[GatewayVisited | GatewayDelivered | GatewayTrouble, Field(discriminator="event")]
ADAPTER: TypeAdapter[Any] = TypeAdapter(Line)


def line(told: Told) -> GatewayVisited | GatewayDelivered | GatewayTrouble:
    """The line for what the gateway tells, with the time of now."""
    now = datetime.now(UTC)
    if isinstance(told, Visited):
        target = told.target
        return GatewayVisited(
            time=now,
            address=target.address,
            model=target.model,
            name=target.name,
            collected=told.taken,
            **_why(told.failure),
        )
    if isinstance(told, Delivered):
        return GatewayDelivered(time=now, sink=told.sink.name, count=told.count, again=told.wait, **_why(told.failure))
    return GatewayTrouble(time=now, again=told.wait, **_why(told.error))


def _why(error: InstallerError | None) -> dict[str, Any]:
    return {"code": error.code.value if error else None, "what": error.what if error else None}
