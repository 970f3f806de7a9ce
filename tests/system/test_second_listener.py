"""Two programs of one user at the system's Bluetooth: the gateway makes room while the other one works."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.flow.conftest import home
from tests.system.bluez_stand_in import StandIn
from tests.system.test_host_network import bus

__all__ = ["bus", "home"]

SCALE = "00:24:E4:60:00:90"
PROGRAM = (sys.executable, "-c", "from installer.cli.main import main; main()")
# An installation that has asked for room, and does nothing with it.
ASKING = """
import asyncio, sys
from installer import settings
from installer.gateway.radio_room import RadioRoom
request = asyncio.run(RadioRoom(settings.state_dir() / "bluetooth").ask())
print("asked", flush=True)
sys.stdin.read()
"""


@pytest_asyncio.fixture
async def bluez(bus: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StandIn]:
    """BlueZ with a scale that it knows, and that is silent."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus)
    async with StandIn(bus) as service:
        service.add(SCALE, "Body+")
        yield service


class Gateway:
    """A gateway as a process. `notices`: what it has told of room, and of links."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.notices: list[str] = []
        self.told = asyncio.Event()

    async def read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "gateway_notice":
                self.notices.append(event["notice"])
                self.told.set()

    async def has_told(self, *notices: str) -> None:
        async with asyncio.timeout(30):
            while self.notices != list(notices):
                self.told.clear()
                await self.told.wait()


@asynccontextmanager
async def gateway() -> AsyncIterator[Gateway]:
    process = await asyncio.create_subprocess_exec(
        *PROGRAM,
        *("gateway", "run", "--json", "--adapter", "hci0", "--device", SCALE, "--profile", "weight"),
        stdout=asyncio.subprocess.PIPE,
    )
    running = Gateway(process)
    reading = asyncio.create_task(running.read())
    try:
        yield running
        process.terminate()
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
        await reading


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.01)


async def run(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(*PROGRAM, *arguments, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return out.decode()


async def test_the_gateway_makes_room_for_a_scan_and_goes_on(bluez: StandIn) -> None:
    async with gateway() as running:
        await until(lambda: bluez.discovering)
        bluez.calls.clear()
        await run("scan", "--seconds", "0.2")
        await running.has_told("makes_room", "goes_on")
        await until(lambda: bluez.discovering)
    scans = [name for name in bluez.methods if name in ("StartDiscovery", "StopDiscovery")]
    # The gateway's ended, the other's, the gateway's again: never two at once.
    assert scans[:4] == ["StopDiscovery", "StartDiscovery", "StopDiscovery", "StartDiscovery"]


async def test_a_killed_installation_does_not_stop_the_gateway(bluez: StandIn) -> None:
    async with gateway() as running:
        await until(lambda: bluez.discovering)
        asking = await asyncio.create_subprocess_exec(
            sys.executable, "-c", ASKING, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert asking.stdout is not None
        assert await asking.stdout.readline() == b"asked\n"
        assert not bluez.discovering
        await running.has_told("makes_room")
        shown = await run("gateway", "status")
        assert "It makes room for an installation since " in shown
        assert json.loads(await run("gateway", "status", "--json"))["makes_room_since"]
        asking.kill()
        await asking.wait()
        await running.has_told("makes_room", "goes_on")
        await until(lambda: bluez.discovering)
        assert "makes room" not in await run("gateway", "status")
