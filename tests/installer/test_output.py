"""Output: tables, wrapped messages, and a standard output that is full."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from installer import output
from installer.cli.main import _main
from installer.errors import ErrorCode
from installer.output import Row

PROGRAM = str(Path(sys.executable).with_name("device-installer"))


def test_columns_are_aligned_with_their_titles_and_notes_are_wrapped() -> None:
    rows = [Row(("a", "wide thing", "x"), ("word " * 20,)), Row(("longer", "b", "y"))]
    assert output.table_lines(("ID", "NAME", "SYNC"), rows, width=60) == [
        "ID      NAME        SYNC",
        "a       wide thing  x",
        "    word word word word word word word word word word word",
        "    word word word word word word word word word",
        "longer  b           y",
    ]


def test_the_models_have_titles_and_reasons_that_begin_as_sentences(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert _main(["models"]) == 0
    title, *lines = capsys.readouterr().out.splitlines()
    assert title.split() == ["MODEL", "NAME", "TYPE", "SYNC"]
    assert any(line.strip().startswith("The sleep mat sends") for line in lines)
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("command", [["models"], ["models", "--json"], ["--help"], ["schema", "events"]])
def test_a_full_standard_output_is_an_error_message(command: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([PROGRAM, *command], stdout=full, stderr=subprocess.PIPE, text=True, timeout=50)
    assert done.returncode == ErrorCode.FILE_UNWRITABLE.exit_status
    assert done.stderr.startswith("Error: Standard output cannot be written: ")
    assert len(done.stderr.splitlines()) == 2


def test_messages_are_wrapped_on_a_terminal_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    address = "http://127.0.0.1:37471/oauth2_user/authorize2?response_type=code"
    text = f"The passphrase travels unencrypted over Bluetooth.\n  or: {address}"
    output.print_message(text)
    assert capsys.readouterr().err == text + "\n"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    output.print_message(text)
    assert capsys.readouterr().err.splitlines() == [
        "The passphrase travels unencrypted over",
        "Bluetooth.",
        "  or:",
        f"  {address}",
    ]
