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


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
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
