"""`gateway run` as a process: stop, wake, restart after a kill, webhook."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from installer import settings
from installer.flow import lab_process
from installer.gateway import json_lines as messages
from installer.gateway.files_and_lock import GatewayFiles, is_running
from installer.gateway.outbox import Outbox
from installer.gateway.wake import wake
from installer.measurements.open_store import open_store
from tests.flow.support import LabWorld, answers_for, install, use
from tests.installer.gateway.support import receiver, until
from tests.installer.lab.lab_process import LabProcess

COMMAND = [sys.executable, "-c", "from installer.cli.main import main; main()", "gateway"]


class Running:
    """A gateway as a process. `events`: what it has told so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.events: list[dict[str, Any]] = []
        self.words = b""

    async def read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            messages.ADAPTER.validate_json(line)
            self.events.append(json.loads(line))

    async def read_words(self) -> None:
        assert self.process.stderr is not None
        self.words = await self.process.stderr.read()

    async def event(self, holds: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """The first event of which this holds."""
        await until(lambda: any(holds(e) for e in self.events) or self.process.returncode is not None)
        found = [e for e in self.events if holds(e)]
        assert found, (self.process.returncode, self.words, self.events)
        return found[0]

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Send it a signal; the exit status."""
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 15)


@asynccontextmanager
async def gateway(*arguments: str, every: float = 1, **more: str) -> AsyncIterator[Running]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *["run", "--lab", "--json", "--every", str(every), "--quiet", "0.2", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **more},
    )
    running = Running(process)
    tasks = [asyncio.create_task(running.read()), asyncio.create_task(running.read_words())]
    try:
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await asyncio.gather(*tasks)


def visited(event: dict[str, Any]) -> bool:
    return event["event"] == "gateway_visited" and event["collected"]


def delivered(event: dict[str, Any]) -> bool:
    return event["event"] == "gateway_delivered" and event["sink"] == "lab-cloud" and event["count"]


def in_store() -> int:
    with open_store(settings.load(), lab=True) as store:
        return store.count()


async def test_from_the_device_to_the_cloud_until_it_is_stopped(world: LabWorld) -> None:
    ended, _ = await install(answers_for(world, "body", "bluetooth"))
    assert ended.outcome == "installed"
    async with gateway() as running:
        assert (await running.event(visited))["address"] == world.address("body")
        await running.event(delivered)
        assert await is_running(GatewayFiles.in_data_dir(lab=True))
        assert await running.end() == 0
    assert b"has stopped" in running.words
    assert not await is_running(GatewayFiles.in_data_dir(lab=True))
    assert world.call("GET", "/lab/state")["cloud"]["accounts"][0]["measurements"] >= 1
    assert in_store() >= 1


async def test_it_goes_on_after_a_kill(world: LabWorld) -> None:
    await install(answers_for(world, "body", "bluetooth"))
    world.cloud(down=True)
    async with gateway() as running:
        await running.event(visited)
        await running.end(signal.SIGKILL)
    outbox = Outbox.open_existing(GatewayFiles.in_data_dir(lab=True).outbox)
    assert outbox is not None
    with outbox:
        kept = outbox.counts()["lab-cloud"].waiting
    assert kept >= 1
    world.cloud(down=False)
    async with gateway(every=1000) as running:
        await running.event(delivered)
        assert await running.end(signal.SIGINT) == 0


async def test_waking_it_means_a_visit_at_once(world: LabWorld) -> None:
    await install(answers_for(world, "body", "bluetooth"))
    async with gateway(every=1000) as running:
        await running.event(visited)
        await asyncio.to_thread(wake, world.address("body"), lab=True)
        await until(lambda: sum(visited(e) for e in running.events) == 2)
    assert not list(GatewayFiles.in_data_dir(lab=True).wake.iterdir())


async def test_a_webhook_gets_everything_and_its_secrets_stay(world: LabWorld, home: Path) -> None:
    await install(answers_for(world, "body", "bluetooth"))
    key = "a key that nobody else may see"
    async with (
        receiver() as to,
        gateway("--webhook", to.url, "--webhook-key-env", "WEBHOOK_KEY", WEBHOOK_KEY=key) as running,
    ):
        await running.event(lambda e: e["event"] == "gateway_delivered" and e["sink"] == "webhook" and e["count"])
        assert await running.end() == 0
    assert to.got[0]["readings"][0]["quantity"] == "weight"
    written = b"".join(f.read_bytes() for f in home.rglob("*") if f.is_file())
    told = running.words + json.dumps(running.events).encode()
    for secret in (key.encode(), b"secret-path"):
        assert secret not in written + told


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("--webhook", "https://example.org/x"), 2, b"no key"),
        (("--webhook", "http://example.org/x", "--webhook-key-env", "WEBHOOK_KEY"), 2, b"not encrypted"),
        (("--webhook", "https://example.org/x", "--webhook-key-env", "NOT_SET"), 7, b"NOT_SET"),
    ],
)
async def test_a_mistake_is_told_at_the_start(
    world: LabWorld, arguments: tuple[str, ...], status: int, words: bytes
) -> None:
    async with gateway(*arguments, WEBHOOK_KEY="a key that is long enough") as running:
        assert await asyncio.wait_for(running.process.wait(), 15) == status
    assert words in running.words
    assert b"Traceback" not in running.words


async def test_without_bluetooth_it_waits_and_says_so(world: LabWorld, capsys: pytest.CaptureFixture[str]) -> None:
    async with gateway("--adapter", "hci:tcp-client:127.0.0.1:1") as running:
        trouble = await running.event(lambda e: e["event"] == "gateway_trouble")
        assert trouble["code"] == "adapter_failed"
        assert trouble["again"] > 0
        from installer.gateway import status

        found = await status.read_status(GatewayFiles.in_data_dir(lab=True))
        assert any("Bluetooth has not worked since" in line for line in status.status_lines(found))
        assert await running.end() == 0


async def test_a_lab_that_has_stopped_is_told(
    home: Path, lab_factory: Callable[[str | None], LabProcess], capsys: pytest.CaptureFixture[str]
) -> None:
    lab = lab_factory(None)
    state = lab_process.read_state(lab.state_file)
    assert state is not None
    use(LabWorld(state), lab.state_file)
    async with gateway("--device", "F0:00:00:00:00:09", "--profile", "weight") as running:
        await until(lambda: LabWorld(state).call("GET", "/lab/state")["hosts"] == 1)
        lab.stop()
        trouble = await running.event(lambda e: e["event"] == "gateway_trouble" and e["code"] == "lab_unavailable")
        assert "has stopped" in trouble["what"]
        assert await running.end() == 0
