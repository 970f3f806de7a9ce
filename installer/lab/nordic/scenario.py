"""A device's table `nordic` in a scenario: how it speaks Nordic's Wi-Fi provisioning, and its faults."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from installer.lab.scenario_parts import Count, ScenarioPart

Request = Literal["status", "scan", "stop", "credentials", "forget"]
Message = Request | Literal["version", "record", "state"]
Garbage = Literal["noise", "truncated", "oversized", "empty", "order", "nameless", "unknown", "lacking"]


class NordicDrop(Count):
    """The link ends at `on`: `before` the device obeys, or `after`, in place of the response. Of `record` and `state`,
    both mean: in place of the notification."""

    on: Request | Literal["record", "state"]
    kind: Literal["before", "after"] = "before"


class NordicGarbage(Count):
    """The message `on` is wrong. `oversized`: as many bytes as fit; `order`: the response to another request;
    `nameless`: a response without its status; `unknown`: numbers that have no meaning yet; `lacking`: a required part
    is not there, or too short."""

    on: Message
    kind: Garbage = "noise"


class NordicRefusal(Count):
    """The response to `on` is this status: 1 invalid argument, 2 invalid proto, 3 internal error."""

    on: Request
    kind: Annotated[int, Field(ge=1, le=3)] = 3


class NordicSilence(Count):
    """No `on`: no response, no access points, or no states."""

    on: Request | Literal["record", "state"]


class NordicFaults(ScenarioPart):
    """What goes wrong, each so many times (0: always)."""

    drop: NordicDrop | None = None
    garbage: NordicGarbage | None = None
    refuse: NordicRefusal | None = None
    silent: NordicSilence | None = None


class NordicScenario(ScenarioPart):
    """How a device speaks Nordic's Wi-Fi provisioning.

    `pairing`: its characteristics want an encrypted link. `reasons`: whether it says why a join failed. `failure`: the
    reason that it gives instead of the true one. `keeps`: it refuses credentials while it has some, until it is told to
    forget them. `falls`: it ends a failed join as disconnected, without calling it failed. `repeats`: how often a scan
    shows each access point.
    """

    pairing: bool = False
    reasons: bool = True
    failure: Annotated[int, Field(ge=0, le=15)] | None = None
    keeps: bool = False
    falls: bool = False
    repeats: Annotated[int, Field(ge=1, le=1000)] = 1
    version: Annotated[int, Field(ge=0, le=255)] = 1
    faults: NordicFaults = NordicFaults()
