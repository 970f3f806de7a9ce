"""What a check of `doctor` looks at, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from installer.flow.run_options import RunConfig
from installer.flow.run_resources import RunResources

Check = Callable[["Computer"], Coroutine[Any, Any, "Finding | list[Finding]"]]


class Finding(BaseModel):
    """The result of one check."""

    subject: str
    state: Literal["ok", "warning", "error"]
    text: str
    todo: str = ""


@dataclass
class Computer:
    """What the checks look at. `resources`: None if the settings are wrong, which is a finding of its own.

    `can_connect`: the proxy and the certificates can be used.
    """

    config: RunConfig
    resources: RunResources | None = None
    can_connect: bool = False
