"""One Espressif installation for each security scheme: requests and time, and another project's client beside it.

Until the credentials are taken the time is that of the messages. From then on the device joins, and what is measured is
mostly how soon it is asked again: the other client asks at once and then every 20 ms, and finds a join of 60 ms after
60; this driver waits 20, 30, 45 ms, and finds it after 95. So the other one is also measured with these pauses.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

from esp_protocomm import Security1, establish_session
from esp_protocomm.wifi import apply_config, get_status, set_config
from pydantic import SecretStr

from installer.provisioning.espressif.driver import EspressifProvisioner
from installer.provisioning.provisioner import Stage
from tests.installer.provisioning.espressif.bench import FAST, PROOF, EspressifBench, bench
from tests.installer.provisioning.espressif.test_third_party import Transport
from tests.installer.provisioning.lab_bench import RIGHT

ROUNDS = 9
SECURITY_1 = {"security": 1, "proof": PROOF}
SCHEMES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("security 0", {"security": 0}),
    ("security 1", SECURITY_1),
    ("security 2", {"security": 2, "proof": PROOF}),
)
OUR_PAUSES, THEIR_PAUSES = FAST.poll_backoff.waits, lambda: chain((0.0,), repeat(0.02))


@dataclass(frozen=True)
class Round:
    """Seconds from the open connection until the device has taken the credentials, and has joined; its requests."""

    taken: float
    joined: float
    requests: int


async def _ours(settings: dict[str, Any]) -> Round:
    async with bench(settings) as lab:
        connection = await lab.connect()
        before, began = lab.device.att_requests, time.perf_counter()
        username = "wifiprov" if settings["security"] == 2 else None
        driver = EspressifProvisioner(connection, proof=SecretStr(PROOF), username=username, timings=FAST)
        await driver.open()
        taken = 0.0
        async for progress in driver.provision(RIGHT):
            if progress.stage is Stage.JOINING and not taken:
                taken = time.perf_counter() - began
        return _round(lab, taken, began, before)


async def _theirs(pauses: Callable[[], Iterator[float]]) -> Round:
    async with bench(SECURITY_1) as lab:
        connection = await lab.connect()
        before, began = lab.device.att_requests, time.perf_counter()
        transport = await Transport.over(connection, lab.device.espressif.scenario.service)
        security = await establish_session(transport, Security1(pop=PROOF))
        await set_config(transport, security, "Home", "correct horse")
        await apply_config(transport, security)
        taken = time.perf_counter() - began
        for seconds in pauses():
            await asyncio.sleep(seconds)
            if (await get_status(transport, security)).settled:
                break
        return _round(lab, taken, began, before)


def _round(lab: EspressifBench, taken: float, began: float, before: int) -> Round:
    return Round(taken, time.perf_counter() - began, lab.device.att_requests - before)


def report() -> list[str]:
    """From the connection on (the lab joins in 0.06 s). The rounds alternate, so that all meet the same machine."""
    parts: dict[str, Callable[[], Awaitable[Round]]] = {
        f"device-installer, {name}": lambda settings=settings: _ours(settings)  # type: ignore[misc]
        for name, settings in SCHEMES
    }
    parts["esp-protocomm, security 1"] = lambda: _theirs(THEIR_PAUSES)
    parts["esp-protocomm, with our pauses"] = lambda: _theirs(OUR_PAUSES)
    rounds: dict[str, list[Round]] = {name: [] for name in parts}
    for number in range(ROUNDS + 1):
        for name, part in parts.items():
            found = asyncio.run(part())  # type: ignore[arg-type]
            if number:  # the first round imports
                rounds[name].append(found)
    lines = [f"{'Espressif, ms from the connection (median)':<46}{'taken':>8}{'joined':>8}{'ATT requests':>14}"]
    for name, found_rounds in rounds.items():
        taken, joined, requests = (
            statistics.median(getattr(one, part) for one in found_rounds) for part in ("taken", "joined", "requests")
        )
        lines.append(f"{name:<46}{taken * 1000:>8.0f}{joined * 1000:>8.0f}{requests:>14.0f}")
    return lines
