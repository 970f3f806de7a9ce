"""A gateway on a temporarily full disk: it keeps running, the device keeps what was not written, all arrives."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from installer import settings
from installer.flow import lab_process
from installer.measurements.open_store import open_store
from tests.flow.support import LabWorld, use
from tests.flow.test_gateway_run import gateway
from tests.installer.gateway.support import until
from tests.installer.lab.lab_process import LabProcess

STORED = 1500
SCALE = "00:24:E4:10:00:1A"
WORLD = f"""
name = "full"
bystanders = 0
[radio]
advertising_interval = 0.02
supervision_timeout = 0.05
[timing]
measure_after = "never"
[[device]]
model = "body"
address = "{SCALE}"
stored = {STORED}
memory = 5000
"""


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of 48 MiB, which is the home of the program."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(disk)], check=True)
    monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(disk / "home"))
    monkeypatch.setenv("DEVICE_INSTALLER_RUNTIME_DIR", str(tmp_path / "run"))
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path, leave: int) -> Path:
    """A file that takes all but so many bytes."""
    filler = disk / "filler"
    info = subprocess.run(["stat", "-f", "-c", "%a %S", str(disk)], capture_output=True, text=True, check=True)
    blocks, size = map(int, info.stdout.split())
    filler.write_bytes(b"x" * max(0, blocks * size - leave))
    return filler


@pytest.mark.timeout(180)
async def test_a_disk_that_is_full_for_a_while_loses_nothing(
    small_disk: Path, lab_factory: Callable[[str | None], LabProcess]
) -> None:
    lab = lab_factory(WORLD)
    state = lab_process.read_state(lab.state_file)
    assert state is not None
    world = LabWorld(state)
    use(world, lab.state_file)
    named = ("--device", SCALE, "--profile", "weight")

    def kept() -> int:
        return int(world.call("GET", "/lab/state")["devices"][0]["kept"])

    # The databases are made while there is room.
    world.call("POST", f"/lab/devices/{SCALE}/faults", {"faults": {"refuse_connections": {"times": 0}}})
    async with gateway(*named) as running:
        await running.event(lambda e: e["event"] == "gateway_visited" and e["code"])
        assert await running.end() == 0
    filler = fill(small_disk, 120_000)
    world.call("POST", f"/lab/devices/{SCALE}/faults", {"faults": {}})
    async with gateway(*named) as running:
        full = await running.event(lambda e: e["event"] == "gateway_visited" and e["code"] == "database_failed")
        assert "full" in full["what"]
        await asyncio.sleep(1.0)
        assert running.process.returncode is None
        assert 0 < kept() < STORED
        filler.unlink()
        await until(lambda: not kept(), 60)

        def stored() -> int:
            with open_store(settings.load(), lab=True) as store:
                return store.count()

        await until(lambda: stored() == STORED, 60)
        assert await running.end() == 0
