"""A lab with one Shelly device, and the driver's connection to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from installer.lab.shelly.device import ShellyDevice
from installer.lab.shelly.scenario import ShellyScenario
from installer.provisioning.shelly.driver import ShellyProvisioner
from installer.provisioning.shelly.rpc_client import Timings
from tests.installer.provisioning.lab_bench import Bench, running

# Deadlines are long, so that a busy machine fails no test; pauses are short.
FAST = Timings(
    request=20, answer=20, foreign=0.2, scan=20, ready=0.01, join=20, settle=0.3, fall=0.1, confirm=0.2,
    poll_first=0.02, poll_last=0.1,
)  # fmt: skip


@asynccontextmanager
async def shelly(settings: dict[str, Any] | None = None, **device: Any) -> AsyncIterator[Bench[ShellyDevice]]:
    """A running lab with a Shelly device of these settings."""
    rpc = ShellyScenario.model_validate(settings or {})
    async with running(lambda entry, environment: ShellyDevice(entry, environment, rpc), **device) as bench:
        yield bench


async def shelly_driver(
    bench: Bench[ShellyDevice], timings: Timings = FAST, *, opened: bool = True
) -> ShellyProvisioner:
    """A driver over a new connection."""
    driver = ShellyProvisioner(await bench.connect(), timings)
    if opened:
        await driver.open()
    return driver
