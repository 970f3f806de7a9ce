"""The part of a scenario that makes a lab device speak Shelly's RPC, and what may go wrong with it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Call = Literal["info", "status", "scan", "credentials", "reboot"]
Garbage = Literal["noise", "truncated", "oversized", "order", "short", "excess", "number", "type", "length"]
Times = Annotated[int, Field(ge=0, le=1_000_000)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ShellyDrop(_Part):
    """The link ends at the call `on`. `half`: after the first bytes of the request; `before`: when all of it is there;
    `after`: when it was obeyed, before its answer; `answer`: while the answer is being fetched."""

    on: Call
    kind: Literal["half", "before", "after", "answer"] = "before"
    times: Times = 1


class ShellyGarbage(_Part):
    """The answer to `on` is wrong. `noise`: no JSON; `truncated`: JSON that ends too soon; `oversized`: it announces
    more than 64 KiB; `order`: the answer to a call that nobody made; `short`, `excess`: fewer or more bytes than
    announced; `number`: an id that is no number; `type`: a result of another type; `length`: a length of two bytes."""

    on: Call
    kind: Garbage = "noise"
    times: Times = 1


class ShellyRefusal(_Part):
    """The answer to `on` is an error with the code `kind`; its message repeats what was sent."""

    on: Call
    kind: int = -103
    times: Times = 1


class ShellySilence(_Part):
    """No answer to `on`; `late`: it comes with the answer to the next call."""

    on: Call
    kind: Literal["never", "late"] = "never"
    times: Times = 1


class ShellyFaults(_Part):
    """What goes wrong, each so many times (0: always)."""

    drop: ShellyDrop | None = None
    garbage: ShellyGarbage | None = None
    refuse: ShellyRefusal | None = None
    silent: ShellySilence | None = None


class ShellyScenario(_Part):
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
