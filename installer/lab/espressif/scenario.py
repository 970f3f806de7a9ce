"""A device's table `espressif` in a scenario: how it speaks Espressif provisioning, and its faults."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from installer.lab.scenario_parts import Count, ScenarioPart, Seconds

Exchange = Literal[
    "version", "hello", "proof", "scan-start", "scan-status", "scan-results", "set", "apply", "status", "reset"
]
Garbage = Literal["empty", "truncated", "oversized", "order", "noise"]


class EspressifDrop(Count):
    """The link ends when the request `on` arrives; `after`: when it has been obeyed, before its answer."""

    on: Exchange | Literal["joining"]
    kind: Literal["before", "after"] = "before"


class EspressifGarbage(Count):
    """The answer to `on` is wrong. `order`: the answer to another request."""

    on: Exchange
    kind: Garbage = "truncated"


class EspressifRefusal(Count):
    """The answer to `on` is this status (`facts/esp-provisioning.md` §4)."""

    on: Exchange
    kind: Annotated[int, Field(ge=1, le=7)] = 5


class Pretender(Count):
    """After `after` connections, another device answers at this address, so many times; it has these settings."""

    after: Annotated[int, Field(ge=0, le=1000)] = 1
    security: Literal[0, 1, 2] = 0
    proof: SecretStr = SecretStr("")


class EspressifFaults(ScenarioPart):
    """What goes wrong, each so many times. `reboot`: the device starts anew while it joins, and has forgotten all.

    `pretender`: a hostile device takes the place of this one.
    """

    drop: EspressifDrop | None = None
    garbage: EspressifGarbage | None = None
    refuse: EspressifRefusal | None = None
    reboot: Count | None = None
    pretender: Pretender | None = None


class EspressifScenario(ScenarioPart):
    """How a device speaks Espressif provisioning.

    `proof`: proof of possession (security 1; empty: none is wanted) or password (security 2). `patch`: sec_patch_ver.
    `firmware` old: a bare version text, no capabilities. `stack`: how a failing handler shows, as an ATT error
    (NimBLE) or an ATT error and the end of the link (Bluedroid). `attempts`: tries of one join, told to the client.
    `refuses`: whether credentials that come at a wrong time are refused when they are set or when they are applied.
    `descriptors`: whether the characteristics say their endpoints' names. `own_uuids`: they have UUIDs of the product's
    own, so that these names alone tell which is which.
    `stops`: seconds from a successful join to the end of the service; `stops_told`: the same from when a client heard
    of the success.
    """

    security: Literal[0, 1, 2] = 1
    proof: SecretStr = SecretStr("abcd1234")
    username: Annotated[str, Field(min_length=1, max_length=64)] = "wifiprov"
    patch: Literal[0, 1] = 1
    firmware: Literal["present", "old"] = "present"
    stack: Literal["nimble", "bluedroid"] = "nimble"
    service: Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")] = (
        "1775244d-6b43-439b-877c-060f2d9bed07"
    )
    descriptors: bool = True
    own_uuids: bool = False
    scan: bool = True
    blocking: bool = True
    ctrl: bool = True
    results: Annotated[int, Field(ge=1, le=255)] = 16
    attempts: Annotated[int, Field(ge=1, le=20)] = 1
    refuses: Literal["set", "apply"] = "apply"
    stops: Seconds = 30.0
    stops_told: Seconds | None = None
    faults: EspressifFaults = EspressifFaults()

    @model_validator(mode="after")
    def _possible(self) -> EspressifScenario:
        if self.security == 2 and not self.proof.get_secret_value():
            raise ValueError("security 2 needs a password in `proof`")
        if self.own_uuids and not self.descriptors:
            raise ValueError("with own_uuids and without descriptors nobody could find the endpoints")
        if self.firmware == "old" and self.security != 1:
            raise ValueError("old firmware has security 1: its version text cannot say otherwise")
        return self
