"""Nobody reads the output any more (`| head -1`), it was closed (`>&-`), or it is full: what each command does then."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from installer.cli.main import _main
from installer.errors import ErrorCode
from installer.output import READER_GONE_STATUS
from tests.flow.support import LabWorld

PROGRAM = (sys.executable, "-c", "import sys; from installer.cli.main import main; main()")
FULL = ErrorCode.FILE_UNWRITABLE.exit_status


def run(*arguments: str, gone: str = "", redirect: str = "") -> subprocess.CompletedProcess[str]:
    """The program with outputs that nobody reads (`gone`: out, err), or as the shell redirects them."""
    read, write = os.pipe()
    os.close(read)
    command = (*PROGRAM, *arguments)
    if redirect:
        command = ("sh", "-c", f'exec "$@" {redirect}', "sh", *command)
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=write if "out" in gone else subprocess.PIPE,
            stderr=write if "err" in gone else subprocess.PIPE,
            text=True,
            timeout=60,
        )
    finally:
        os.close(write)


def installation(world: LabWorld) -> tuple[str, ...]:
    return ("install", "--lab", "--non-interactive", "--json", "--no-wait", *device(world))


def device(world: LabWorld) -> tuple[str, ...]:
    return ("--device", world.address("move"), "--sync", "bluetooth")


def outcomes(capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert _main(["records", "list", "--lab", "--json"]) == 0
    return [json.loads(line)["outcome"] for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("gone", ["out", "out err"])
def test_a_command_that_only_prints_ends_without_a_word(home: Path, gone: str) -> None:
    done = run("exits", gone=gone)
    assert done.returncode == READER_GONE_STATUS
    assert not done.stderr


@pytest.mark.parametrize("gone", ["out", "out err"])
def test_an_installation_is_brought_to_its_end(world: LabWorld, gone: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = run(*installation(world), gone=gone)
    assert done.returncode == 0
    assert not done.stderr
    assert outcomes(capsys) == ["installed"]
    assert world.device("move")["linked"]


def test_a_failure_of_the_installation_keeps_its_status(home: Path) -> None:
    done = run("install", "--non-interactive", "--json", "--ssid", "", gone="out")
    assert done.returncode == ErrorCode.ANSWERS_INVALID.exit_status
    assert done.stderr.startswith("Error: ")


def test_words_that_nobody_reads_end_nothing(home: Path) -> None:
    done = run("records", "list", gone="err")
    assert (done.returncode, done.stdout) == (0, "")


def test_a_closed_output_is_told_by_a_command_that_only_prints(home: Path) -> None:
    done = run("exits", redirect=">&-")
    assert done.returncode == FULL
    assert "Standard output cannot be written: it is closed." in done.stderr
    assert run("exits", redirect=">&- 2>&-").returncode == FULL
    assert run("records", "list", redirect="<&-").returncode == 0


def test_an_installation_goes_on_without_its_output_and_says_so_at_the_end(
    world: LabWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run(*installation(world), redirect=">/dev/full")
    assert outcomes(capsys) == ["installed"]
    assert done.returncode == FULL
    assert "Standard output cannot be written: No space left on device." in done.stderr


def test_an_installation_whose_output_is_closed_is_as_good(world: LabWorld, capsys: pytest.CaptureFixture[str]) -> None:
    done = run(*installation(world), redirect=">&-")
    assert (done.returncode, done.stderr) == (0, "")
    assert outcomes(capsys) == ["installed"]
