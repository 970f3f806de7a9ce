"""What people do on a desk: they mistype names, keep a mark in a file, pipe into `head`, and have a read-only home."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from installer.errors import ErrorCode
from tests.flow.support import PASSPHRASE, LabWorld
from tests.guest.inside.bluez import BlueZ
from tests.guest.inside.program import COMMAND, Program
from tests.guest.inside.test_protocols import SCRIPT

MISSPELLED, UNWRITABLE = ErrorCode.NETWORK_MISSPELLED.exit_status, ErrorCode.FILE_UNWRITABLE.exit_status


def test_a_name_that_the_device_hears_otherwise_is_told_before_sending(
    bluez: BlueZ, world: LabWorld, program: Program
) -> None:
    near = ("--sync", "wifi", "--ssid", "home ", "--passphrase-env", "TEST_PASSPHRASE")
    done = program.run("install", *SCRIPT, "--model", "body-plus", *near)
    assert done.status == MISSPELLED, done
    failed = next(event for event in done.events if event["event"] == "failed")
    assert "hears “Home”, not “home ”" in failed["what"]
    assert not [event for event in done.events if event.get("stage") == "sending"]
    assert world.device("body-plus")["joined"] is None


def test_a_reader_that_goes_away_and_a_file_with_a_byte_order_mark(
    bluez: BlueZ, world: LabWorld, program: Program
) -> None:
    passphrase = program.home / "passphrase.txt"
    passphrase.write_text(PASSPHRASE + "\r\n", "utf-8-sig")
    passphrase.chmod(0o600)
    arguments = ("install", *SCRIPT, "--model", "body-plus", "--sync", "wifi", "--ssid", "Home", *program.set_up_only())
    piped = f'set -o pipefail; "$@" --passphrase-file {passphrase} | head -1'
    done = subprocess.run(
        ["bash", "-c", piped, "bash", COMMAND, *arguments],
        env=program.environment(),
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert (done.returncode, done.stdout.count("\n")) == (0, 1), done
    assert world.device("body-plus")["joined"] == "Home"


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A home on a file system that nobody can write to."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_home_that_cannot_be_written(program: Program, read_only: Path) -> None:
    for command in (("scan",), ("install", "--non-interactive", "--model", "body-plus")):
        done = program.run(*command, "--lab", DEVICE_INSTALLER_HOME=str(read_only))
        assert done.status == UNWRITABLE, done
        assert "is on a read-only file system" in done.errors
        assert "defect" not in done.errors
