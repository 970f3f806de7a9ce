"""The base class of all events, and the rules for leaving out empty fields."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field


def _now() -> datetime:
    return datetime.now(UTC)


def is_none(value: object) -> bool:
    """For optional fields: leave them out if they are None."""
    return value is None


def is_false(value: object) -> bool:
    """For rare flags: leave them out if they are false."""
    return value is False


class BaseEvent(BaseModel):
    """What all events have: when, and of which installation."""

    # The validators are built on first use: a run uses few events, and none before its first Bluetooth call.
    model_config = ConfigDict(frozen=True, defer_build=True)

    time: datetime = Field(default_factory=_now)
    installation: str = ""
    # In a batch: the row of the plan that the installation is for, "3", or "3.2" for the second of a row's devices.
    row: str | None = Field(default=None, exclude_if=is_none)
