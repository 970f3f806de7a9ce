"""A device's table `shelly` in a scenario: how it speaks Shelly's RPC, and its faults."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from installer.lab.scenario_parts import Count, ScenarioPart

Call = Literal["info", "status", "scan", "credentials", "reboot"]
Garbage = Literal["noise", "truncated", "oversized", "order", "short", "excess", "number", "type", "length"]


class ShellyDrop(Count):
    """The link ends at the call `on`. `half`: after the first bytes of the request; `before`: when all of it is there;
    `after`: when it was obeyed, before its answer; `answer`: while the answer is being fetched."""

    on: Call
    kind: Literal["half", "before", "after", "answer"] = "before"


class ShellyGarbage(Count):
    """The answer to `on` is wrong. `noise`: no JSON; `truncated`: JSON that ends too soon; `oversized`: it announces
    more than 64 KiB; `order`: the answer to a call that nobody made; `short`, `excess`: fewer or more bytes than
    announced; `number`: an id that is no number; `type`: a result of another type; `length`: a length of two bytes."""

    on: Call
    kind: Garbage = "noise"


class ShellyRefusal(Count):
    """The answer to `on` is an error with the code `kind`; its message repeats what was sent."""

    on: Call
    kind: int = -103


class ShellySilence(Count):
    """No answer to `on`; `late`: it comes with the answer to the next call."""

    on: Call
    kind: Literal["never", "late"] = "never"


class ShellyFaults(ScenarioPart):
    """What goes wrong, each so many times (0: always)."""

    drop: ShellyDrop | None = None
    garbage: ShellyGarbage | None = None
    refuse: ShellyRefusal | None = None
    silent: ShellySilence | None = None


class ShellyScenario(ScenarioPart):
    """How a device speaks Shelly's RPC.

    `password`: it answers error 401 to all but Shelly.GetDeviceInfo. `pairing`: its characteristics want encryption.
    `restart`: new settings come into force with Shelly.Reboot only. `status`: whether it has Wifi.GetStatus. `words`:
    what Wifi.GetStatus says of a failed join. `chatty`: it sends a notification before each answer.
    """

    password: bool = False
    pairing: bool = False
    restart: bool = False
    status: bool = True
    words: Annotated[str, Field(max_length=80)] = "disconnected"
    chatty: bool = False
    version: Annotated[str, Field(max_length=40)] = "1.4.4"
    faults: ShellyFaults = ShellyFaults()
