"""One provisioning by us and by py-improv-ble-client, side by side; and one whole installation."""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import bleak
from improv_ble_client import ImprovBLEClient
from pydantic import SecretStr

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.connection import Connection
from installer.bluetooth.hci.client import HciClient
from installer.bluetooth.open_adapter import open_adapter
from installer.bluetooth.raw_adapter import RawAdapter
from installer.bluetooth.scan import Scan
from installer.catalogue import catalogue_file
from installer.flow import lab_process
from installer.provisioning import registry
from installer.provisioning.improv.driver import ImprovProvisioner
from installer.wifi.credentials import Credentials
from installer.wifi.networks import Network, Security
from tests.flow.support import PASSPHRASE, LabWorld, answers_for, install, use
from tests.installer.lab.lab_process import LabProcess

ROUNDS = 7


async def _ours(adapter: Adapter, world: LabWorld, address: str) -> tuple[float, float]:
    async with Scan(adapter, registry.detector(catalogue_file.load())) as scan:
        await scan.wait_until(lambda seen: [s for s in seen if s.address == address] or None, 10)
        device = scan.ble_device(address)
    began, worked = time.perf_counter(), time.process_time()
    connection = await Connection.open(adapter, device)
    provisioner = ImprovProvisioner(connection)
    await provisioner.open()
    network = Network(ssid="Home", security=Security.WPA2)
    async for _ in provisioner.provision(Credentials(network=network, passphrase=SecretStr(PASSPHRASE))):
        pass
    took = time.perf_counter() - began, time.process_time() - worked
    await connection.close()
    return took


async def _theirs(adapter: RawAdapter, world: LabWorld, address: str) -> tuple[float, float]:
    host = adapter._host

    class Bound(HciClient):
        def __init__(self, device: Any, **kwargs: Any) -> None:
            super().__init__(device, host=host, **kwargs)

    before = bleak.get_platform_client_backend_type
    bleak.get_platform_client_backend_type = lambda: (Bound, "hci")  # type: ignore[assignment,return-value]
    try:
        async with Scan(adapter, registry.detector(catalogue_file.load())) as scan:
            await scan.wait_until(lambda seen: [s for s in seen if s.address == address] or None, 10)
            device = scan.ble_device(address)
        client = ImprovBLEClient(device)
        began, worked = time.perf_counter(), time.process_time()
        await client.provision("Home", PASSPHRASE, None)
        took = time.perf_counter() - began, time.process_time() - worked
    finally:
        bleak.get_platform_client_backend_type = before
    await _until_free(world)
    return took


async def _until_free(world: LabWorld) -> None:
    # Their client has no public disconnect: end the link from the other side.
    await asyncio.to_thread(world.act, "body-plus", "drop")


async def measure(folder: Path) -> list[str]:
    """The table. The lab joins in 0.05 s, so that the protocol and not the wait is measured.

    `processor`: of this process, the emulated controller's host stack included; with BlueZ that is bluetoothd's. It is
    the own share: a real device needs 1 to 5 s to join.
    """
    lines = [f"{'Improv, connection to result':<44}{'ms (median)':>14}{'processor':>12}{'ATT requests':>14}"]
    with LabProcess(folder / "lab") as lab:
        state = lab_process.read_state(lab.state_file)
        assert state is not None
        world = LabWorld(state)
        use(world, lab.state_file)
        address = world.address("body-plus")
        results: dict[str, tuple[list[tuple[float, float]], list[int]]] = {"ours": ([], []), "theirs": ([], [])}
        adapter = await open_adapter(state.adapter)
        assert isinstance(adapter, RawAdapter)
        for _ in range(ROUNDS):
            for name in results:
                world.call("POST", "/lab/reset")
                provision = _ours if name == "ours" else _theirs
                times, requests = results[name]
                times.append(await provision(adapter, world, address))  # type: ignore[arg-type]
                requests.append(world.device("body-plus")["att_requests"])
        await adapter.close()
        for name, title in (("ours", "device-installer"), ("theirs", "py-improv-ble-client")):
            times, requests = results[name]
            median, worked = (statistics.median(one[part] for one in times) * 1000 for part in (0, 1))
            lines.append(f"{title:<44}{median:>14.0f}{worked:>12.0f}{statistics.median(requests):>14.0f}")
        ours, theirs = (statistics.median(took for took, _ in results[name][0]) for name in ("ours", "theirs"))
        ratio = ours / theirs
        lines.append(f"{'ratio ours : theirs':<44}{ratio:>14.2f}")
        whole = []
        for _ in range(ROUNDS):
            world.call("POST", "/lab/reset")
            began = time.perf_counter()
            ended, _front = await install(answers_for(world, "body-plus", "wifi"))
            assert ended.outcome == "installed"
            whole.append(time.perf_counter() - began)
        requests_whole = world.device("body-plus")["att_requests"]
        lines.append(
            f"{'whole installation, sign-in and first data':<44}{statistics.median(whole) * 1000:>14.0f}"
            f"{'':>12}{requests_whole:>14}"
        )
    return lines


def report() -> list[str]:
    """Run it in a home of its own."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DEVICE_INSTALLER_HOME"] = str(Path(folder) / "home")
        os.environ["TEST_PASSPHRASE"] = PASSPHRASE
        return asyncio.run(measure(Path(folder)))
