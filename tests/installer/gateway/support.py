"""Measurements to deliver, and a receiver that answers as a test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from installer.gateway.delivery import Delivery
from installer.gateway.outbox import Item, Outbox, key_of
from installer.measurement import Measurement, Quantity, Reading
from installer.timing.backoff import Backoff
from tests.installer.cloud.world import served

ONE, OTHER = "F0:00:00:00:00:01", "F0:00:00:00:00:02"
SOON = Backoff(0.01, 0.05)
NOON = 1_790_000_000.0


def weighed(number: int, device: str = ONE, *, account: str = "", taken: float | None = None) -> Item:
    """A weight of `number` grams, taken `number` minutes after noon."""
    when = NOON + 60 * number if taken is None else taken
    measurement = Measurement(
        readings=(Reading(quantity=Quantity.WEIGHT, value=Decimal(number).scaleb(-3), unit="kg"),),
        taken=datetime.fromtimestamp(when, UTC),
    )
    raw = number.to_bytes(4, "little")
    return Item(
        key=key_of(device, "weight", raw),
        device=device,
        model="body",
        account=account,
        profile="weight",
        raw=raw,
        measurement=measurement.model_dump_json(),
        received=when,
    )


@dataclass
class Receiver:
    """`answers`: the HTTP status of each request, perhaps with headers; the last one is repeated."""

    answers: list[int | tuple[int, dict[str, str]]] = field(default_factory=lambda: [204])
    got: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    url: str = ""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    before: Callable[[], Any] = lambda: None

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        self.bodies.append(body)
        self.got.append(json.loads(body))
        self.headers.append(dict(request.headers))
        given = self.answers[min(len(self.got), len(self.answers)) - 1]
        status, headers = given if isinstance(given, tuple) else (given, {})
        self.changed.set()
        self.before()
        return Response(status_code=status, headers=headers)

    def taken(self) -> list[str]:
        """The ids that were answered with success, in order."""
        statuses = [self.answers[min(n, len(self.answers) - 1)] for n in range(len(self.got))]
        plain = [s if isinstance(s, int) else s[0] for s in statuses]
        return [got["id"] for got, status in zip(self.got, plain, strict=True) if 200 <= status < 300]


@asynccontextmanager
async def receiver(*answers: int | tuple[int, dict[str, str]]) -> AsyncIterator[Receiver]:
    """A receiver on a real socket."""
    made = Receiver(list(answers) or [204])
    async with served(Starlette(routes=[Route("/hooks/secret-path", made.answer, methods=["POST"])])) as base:
        made.url = f"{base}/hooks/secret-path"
        yield made


@asynccontextmanager
async def delivering(delivery: Delivery) -> AsyncIterator[None]:
    """Deliver in the background."""
    task = asyncio.create_task(delivery.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await delivery.close()


async def until(holds: Callable[[], Any], seconds: float = 60.0) -> None:
    """Wait until `holds()` is true."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not holds():
        assert asyncio.get_running_loop().time() < deadline, "it did not come to that"
        await asyncio.sleep(0.005)


def waiting(outbox: Outbox, sink: str) -> int:
    """How much waits for this sink, refused ones among it."""
    count = outbox.counts().get(sink)
    return count.waiting + count.refused if count is not None else 0
