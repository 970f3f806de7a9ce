"""One Espressif installation for each security scheme: requests and time, and another project's client beside it."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any

from esp_protocomm import Security1, establish_session, provision_wifi
from pydantic import SecretStr

from installer.provisioning.espressif.driver import EspressifProvisioner
from tests.installer.provisioning.espressif.bench import FAST, PROOF, bench
from tests.installer.provisioning.espressif.test_third_party import Transport
from tests.installer.provisioning.lab_bench import stages

ROUNDS = 5
SCHEMES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("security 0", {"security": 0}),
    ("security 1", {"security": 1, "proof": PROOF}),
    ("security 2", {"security": 2, "proof": PROOF}),
)


async def _ours(settings: dict[str, Any]) -> tuple[float, int]:
    async with bench(settings) as lab:
        connection = await lab.connect()
        before, began = lab.device.att_requests, time.perf_counter()
        username = "wifiprov" if settings["security"] == 2 else None
        driver = EspressifProvisioner(connection, proof=SecretStr(PROOF), username=username, timings=FAST)
        await driver.open()
        await stages(driver)
        return time.perf_counter() - began, lab.device.att_requests - before


async def _theirs() -> tuple[float, int]:
    async with bench({"security": 1, "proof": PROOF}) as lab:
        connection = await lab.connect()
        before, began = lab.device.att_requests, time.perf_counter()
        transport = await Transport.over(connection, lab.device.espressif.scenario.service)
        security = await establish_session(transport, Security1(pop=PROOF))
        await provision_wifi(transport, security, "Home", "correct horse", poll_interval=0.02)
        return time.perf_counter() - began, lab.device.att_requests - before


def report() -> list[str]:
    """From the connection to the device's word that it has joined (the lab joins in 0.06 s)."""
    lines = [f"{'Espressif, connection to joined':<44}{'ms (median)':>14}{'ATT requests':>14}"]
    for name, settings in SCHEMES:
        rounds = [asyncio.run(_ours(settings)) for _ in range(ROUNDS)]
        lines.append(_line(f"device-installer, {name}", rounds))
    lines.append(_line("esp-protocomm, security 1", [asyncio.run(_theirs()) for _ in range(ROUNDS)]))
    return lines


def _line(name: str, rounds: list[tuple[float, int]]) -> str:
    median = statistics.median(t for t, _ in rounds) * 1000
    return f"{name:<44}{median:>14.0f}{statistics.median(n for _, n in rounds):>14.0f}"
