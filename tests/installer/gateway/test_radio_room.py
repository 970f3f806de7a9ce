"""The gateway makes room for an installation: until it ends, dies, or only waits for a person."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from installer.gateway import radio_room
from installer.gateway.radio_room import RadioRoom, RadioTurn

ASKING = """
import asyncio, sys
from pathlib import Path
from installer.gateway.radio_room import RadioRoom
request = asyncio.run(RadioRoom(Path(sys.argv[1])).ask())
print("asked", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def looks_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(radio_room, "_LOOK_SECONDS", 0.0)


async def test_a_request_stands_until_it_is_taken_back(tmp_path: Path) -> None:
    gateway, installation = RadioRoom(tmp_path), RadioRoom(tmp_path)
    assert not gateway.wanted()
    first, second = await installation.ask(), await installation.ask()
    assert first is not None
    assert second is not None
    assert gateway.wanted()
    first.remove()
    assert gateway.wanted()
    second.remove()
    assert not gateway.wanted()


def test_the_request_of_a_killed_installation_counts_no_more(tmp_path: Path) -> None:
    gateway = RadioRoom(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", ASKING, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"asked\n"
        assert gateway.wanted()
        process.kill()
        process.wait()
        assert not gateway.wanted()
    # The next installation clears up after it.
    request = asyncio.run(gateway.ask())
    assert request is not None
    assert len(list((tmp_path / "room-requests").iterdir())) == 1


async def test_one_that_only_waits_for_a_person_does_not_stop_the_gateway_for_ever(tmp_path: Path) -> None:
    gateway = RadioRoom(tmp_path)
    request = await RadioRoom(tmp_path).ask()
    assert request is not None
    (file,) = (tmp_path / "room-requests").iterdir()
    before = time.time() - radio_room.ROOM_SECONDS - 1
    os.utime(file, (before, before))
    assert not gateway.wanted()
    request.renew()  # it scans or connects again
    assert gateway.wanted()


async def test_an_installation_waits_until_the_gateway_has_let_go(tmp_path: Path) -> None:
    gateway, order = RadioRoom(tmp_path), list[str]()

    async def visit() -> None:
        async with gateway.using_radio():
            order.append("uses it")
            while not gateway.wanted():  # noqa: ASYNC110 - a file tells it
                await asyncio.sleep(0.01)
            order.append("lets go")

    running = asyncio.create_task(visit())
    while not order:  # noqa: ASYNC110 - a lock is taken meanwhile
        await asyncio.sleep(0.01)
    request = await RadioRoom(tmp_path).ask()
    order.append("installs")
    await running
    assert request is not None
    assert order == ["uses it", "lets go", "installs"]


async def test_a_gateway_that_does_not_answer_stops_no_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(radio_room, "WAIT_SECONDS", 0.05)
    async with RadioRoom(tmp_path).using_radio():
        assert await RadioRoom(tmp_path).ask() is not None


async def test_without_a_usable_folder_both_go_on(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    room = RadioRoom(tmp_path / "file")
    assert await room.ask() is None
    assert not room.wanted()
    async with room.using_radio():
        pass


async def test_a_visit_that_runs_may_end_but_not_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turn = RadioTurn(RadioRoom(tmp_path))
    assert not turn.is_over(visiting=False)
    request = await RadioRoom(tmp_path).ask()
    assert request is not None
    assert (turn.is_over(visiting=True), turn.is_over(visiting=False)) == (False, True)
    monkeypatch.setattr(radio_room, "VISIT_SECONDS", -1.0)
    assert turn.is_over(visiting=True)
    request.remove()
    assert not turn.is_over(visiting=True)
    assert not RadioTurn(None).is_over(visiting=False)
