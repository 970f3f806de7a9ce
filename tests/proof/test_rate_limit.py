"""Two programs that poll as often as allowed for over a minute stay below the rate limit of the cloud."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from installer.cli.main import _main
from tests.flow.conftest import home
from tests.flow.support import LabWorld, use
from tests.installer.lab.lab_process import LabProcess

__all__ = ["home"]

SECONDS = 70.0
WATCH = [sys.executable, "-c", "from installer.cli.main import main; main()", "data", "watch", "--lab", "--json"]


@pytest.mark.timeout(180)
async def test_two_watchers_keep_the_real_limit_of_the_cloud(home: Path, tmp_path: Path) -> None:
    from installer.flow import lab_process

    with LabProcess(tmp_path / "lab") as lab:
        state = lab_process.read_state(lab.state_file)
        assert state is not None
        world = LabWorld(state)
        use(world, lab.state_file)
        assert await asyncio.to_thread(_main, ["data", "fetch", "--lab"]) == 0
        before = sum(world.call("GET", "/lab/state")["cloud"]["calls"].values())
        # Each program alone would send 75 requests a minute; together, more than the limit of 120.
        watchers = [
            await asyncio.create_subprocess_exec(*WATCH, "--every", "0.2", stdout=-1, stderr=-1, env=os.environ)
            for _ in range(2)
        ]
        await asyncio.sleep(SECONDS)
        for watcher in watchers:
            watcher.send_signal(signal.SIGINT)
        said = [await asyncio.wait_for(watcher.communicate(), 30) for watcher in watchers]
        calls = sum(world.call("GET", "/lab/state")["cloud"]["calls"].values()) - before
    events = [json.loads(line) for out, _ in said for line in out.splitlines()]
    assert [e for e in events if e["event"] == "trouble"] == []
    assert 60 < calls <= 2 * 100


@pytest.fixture(autouse=True)
def _in_the_lab_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVICE_INSTALLER_KEYRING", "off")
