"""A lab with one device with Nordic's Wi-Fi provisioning, and the driver's connection to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from installer.lab.nordic.device import NordicDevice
from installer.lab.nordic.scenario import NordicScenario
from installer.provisioning.nordic.driver import NordicProvisioner
from installer.provisioning.nordic.session import Timings
from tests.installer.provisioning.lab_bench import Bench, running

# Deadlines are long, so that a busy machine fails no test, but for the wait that every scan ends with.
FAST = Timings(request=20, answer=20, first=20, quiet=0.3, scan=20, join=20, settle=0.1)


@asynccontextmanager
async def nordic(settings: dict[str, Any] | None = None, **device: Any) -> AsyncIterator[Bench[NordicDevice]]:
    """A running lab with a device of these settings."""
    service = NordicScenario.model_validate(settings or {})
    async with running(lambda entry, around: NordicDevice(entry, around, service), **device) as bench:
        yield bench


async def nordic_driver(
    bench: Bench[NordicDevice], timings: Timings = FAST, *, opened: bool = True
) -> NordicProvisioner:
    """A driver over a new connection."""
    driver = NordicProvisioner(await bench.connect(), timings)
    if opened:
        await driver.open()
    return driver
