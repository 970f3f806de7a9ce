"""A lab with one Espressif device, and the driver's connection to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pydantic import SecretStr

from installer.lab.espressif.device import EspressifDevice
from installer.lab.espressif.scenario import EspressifFaults, EspressifScenario
from installer.provisioning.espressif.driver import EspressifProvisioner
from installer.provisioning.espressif.session import Timings
from tests.installer.provisioning.lab_bench import Bench, running

ADDRESS = "00:24:E4:CE:03:C0"
PROOF = "abcd1234"
# Deadlines are long, so that a busy machine fails no test; pauses are short.
FAST = Timings(request=20, scan=20, join=20, settle=0.3, disconnect=0.05, poll_first=0.02, poll_last=0.1)

NETWORKS: list[dict[str, Any]] = [
    {"ssid": "Home", "passphrase": "correct horse", "access_points": [{"rssi": -50}, {"rssi": -61}]},
    {"ssid": "Cafe", "security": "open"},
    {"ssid": "Office", "security": "wpa2/wpa3", "passphrase": "battery staple"},
    {"ssid": "Gäste ☕", "passphrase": "staple battery"},
    {"ssid": "Old", "security": "wpa", "passphrase": "old passphrase"},
]


class EspressifBench(Bench[EspressifDevice]):
    """A bench with an Espressif device."""

    def faults(self, **faults: Any) -> None:
        """Set the faults of the provisioning."""
        self.device.espressif.set_faults(EspressifFaults.model_validate(faults))

    async def driver(self, proof: str | None = PROOF, *, opened: bool = True, **more: Any) -> EspressifProvisioner:
        """A driver over a new connection."""
        more.setdefault("timings", FAST)
        secret = SecretStr(proof) if proof is not None else None
        driver = EspressifProvisioner(await self.connect(), proof=secret, **more)
        if opened:
            await driver.open()
        return driver


@asynccontextmanager
async def bench(espressif: dict[str, Any] | None = None, **device: Any) -> AsyncIterator[EspressifBench]:
    """A running lab whose one device is an Espressif one with these settings."""
    settings = EspressifScenario.model_validate(espressif or {})
    device.setdefault("address", ADDRESS)
    async with running(
        lambda entry, environment: EspressifDevice(entry, environment, settings),
        bench_class=EspressifBench,
        networks=NETWORKS,
        **device,
    ) as lab:
        yield lab
