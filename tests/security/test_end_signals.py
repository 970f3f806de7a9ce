"""SIGTERM and SIGHUP end a command in order: nothing half written stays beside the file of an export."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

# A write whose content never ends, as the whole of a command.
WRITING = """
import itertools, signal, sys
# Whoever runs the tests with nohup has it ignored, and children inherit that.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from pathlib import Path
import installer.cli.main as program
from installer.storage.atomic_write import write_text_atomically

def parts():
    yield "health data"
    print("writing", flush=True)
    yield from itertools.repeat("")

program._add_commands = lambda _: None
program.app = lambda **_: write_text_atomically(Path(sys.argv[1]), parts())
program.main([])
"""


# A command that never waits, so that the signal comes in the midst of it, and that has something to close.
BUSY = """
import asyncio, signal
signal.signal(signal.SIGHUP, signal.SIG_DFL)
import installer.cli.main as program
from installer.cli.run_command import run

async def work():
    try:
        print("working", flush=True)
        while True:
            sum(range(10_000))
            await asyncio.sleep(0)
    except asyncio.CancelledError:
        await asyncio.sleep(0)
        print("closed", flush=True)
        {after}

program._add_commands = lambda _: None
program.app = lambda **_: run(work())
program.main([])
"""
SIGNALS = pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])


@SIGNALS
@pytest.mark.parametrize(
    "after",
    ["raise", pytest.param("raise OSError(5, 'the terminal is closed')", id="the last word fails")],
)
def test_a_command_in_its_event_loop_closes_what_it_has_open(after: str, number: int, status: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", BUSY.format(after=after)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        process.send_signal(number)
        out, said = process.communicate(timeout=60)
    assert (process.returncode, out) == (status, "closed\n")
    assert said == f"Stopped by {signal.Signals(number).name}.\n"


@SIGNALS
def test_a_second_signal_does_not_wait(number: int, status: int) -> None:
    busy = BUSY.format(after="print('still here', flush=True); await asyncio.sleep(3600)")
    with subprocess.Popen([sys.executable, "-c", busy], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        assert [process.stdout.readline() for _ in range(2)] == [b"closed\n", b"still here\n"]
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == status


@SIGNALS
def test_an_export_that_is_ended_leaves_nothing(number: int, status: int, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITING, str(tmp_path / "x.csv")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == status
    assert said == f"Stopped by {signal.Signals(number).name}.\n"
    assert list(tmp_path.iterdir()) == []
