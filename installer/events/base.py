"""The base of all events, and when a field of theirs is left out."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field


def _now() -> datetime:
    return datetime.now(UTC)


def is_none(value: object) -> bool:
    """For fields that are left out where they say nothing."""
    return value is None


def is_false(value: object) -> bool:
    """As `is_none`, for what is true only now and then."""
    return value is False


class BaseEvent(BaseModel):
    """What all events have: when, and of which installation."""

    # Built when first used: a run uses few of them, and none before its first Bluetooth call.
    model_config = ConfigDict(frozen=True, defer_build=True)

    time: datetime = Field(default_factory=_now)
    installation: str = ""
    # In a batch: the row of the plan that the installation is for, "3", or "3.2" for the second of a row's devices.
    row: str | None = Field(default=None, exclude_if=is_none)
