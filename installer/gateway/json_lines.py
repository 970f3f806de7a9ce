"""What a running gateway tells: the JSON lines of `gateway run --json`, a contract with scripts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from installer.errors import InstallerError
from installer.gateway.delivery import DeliveryResult
from installer.gateway.gateway import BluetoothBack, GatewayEvent, GatewayNotice
from installer.gateway.visit_scheduler import VisitResult


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
    """The gateway itself is stopped, by its Bluetooth for instance. `again`: seconds until the next try.

    0: it goes on already (its outbox was replaced, for instance), or as soon as Bluetooth is back.
    """

    event: Literal["gateway_trouble"] = "gateway_trouble"
    again: float


class GatewayNoticed(_Line):
    """Something to know; nothing went wrong. `notice`: what kind of thing; `text`: in words."""

    event: Literal["gateway_notice"] = "gateway_notice"
    notice: str
    text: str


class GatewayBluetoothBack(_Line):
    """Bluetooth works again. `away`: for how many seconds it did not."""

    event: Literal["gateway_bluetooth_back"] = "gateway_bluetooth_back"
    away: float


Line = Annotated[
    GatewayVisited | GatewayDelivered | GatewayTrouble | GatewayBluetoothBack | GatewayNoticed,
    Field(discriminator="event"),
]
ADAPTER: TypeAdapter[Any] = TypeAdapter(Line)


def event_line(event: GatewayEvent) -> Line:
    """The line for an event, with the current time."""
    now = datetime.now(UTC)
    if isinstance(event, VisitResult):
        device = event.device
        return GatewayVisited(
            time=now,
            address=device.address,
            model=device.model,
            name=device.name,
            collected=event.collected,
            **_error_fields(event.failure),
        )
    if isinstance(event, DeliveryResult):
        return GatewayDelivered(
            time=now, sink=event.sink.name, count=event.count, again=event.wait, **_error_fields(event.failure)
        )
    if isinstance(event, GatewayNotice):
        return GatewayNoticed(time=now, notice=event.kind, text=event.text, **_error_fields(None))
    if isinstance(event, BluetoothBack):
        return GatewayBluetoothBack(time=now, away=round(event.away, 1), code=None, what=None)
    return GatewayTrouble(time=now, again=event.wait, **_error_fields(event.error))


def _error_fields(error: InstallerError | None) -> dict[str, Any]:
    return {"code": error.code.value if error else None, "what": error.what if error else None}
