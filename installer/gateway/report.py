"""What a running gateway tells, as data: the JSON lines of `gateway run --json`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from installer.errors import InstallerError
from installer.gateway.agent import Visited
from installer.gateway.delivery import Delivered
from installer.gateway.gateway import Told


def plain(told: Told) -> dict[str, Any]:
    """One object, told apart by `event`: `gateway_visited`, `gateway_delivered`, `gateway_trouble`.

    `code` and `what` are None where all went well; `again`: seconds until the next try. Fields are only ever added.
    """
    head = {"time": datetime.now(UTC).isoformat()}
    if isinstance(told, Visited):
        target = told.target
        return {
            "event": "gateway_visited",
            **head,
            "address": target.address,
            "model": target.model,
            "name": target.name,
            "collected": told.taken,
            **_why(told.failure),
        }
    if isinstance(told, Delivered):
        return {
            "event": "gateway_delivered",
            **head,
            "sink": told.sink.name,
            "count": told.count,
            **_why(told.failure),
            "again": told.wait,
        }
    return {"event": "gateway_trouble", **head, **_why(told.error), "again": told.wait}


def _why(error: InstallerError | None) -> dict[str, Any]:
    return {"code": error.code.value if error else None, "what": error.what if error else None}
