"""A folder or file of the program that cannot be made: every command says which one and why, and none is a defect.

A file in the place of a folder stops every user, also root.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from installer.cli.main import _main
from installer.cli.unusable_output import ONLY_PRINT
from installer.errors import ErrorCode
from installer.storage.unusable_paths import advice, reason
from tests.flow.support import LabWorld, lines

ADDRESS = "00:24:E4:10:00:1A"
# Those that end by themselves, and reach no cloud and no radio of the real world.
LAB_COMMANDS = (
    "scan --lab",
    "install --lab --non-interactive --no-wait --device {address} --sync bluetooth",
    "batch --lab PLAN",
    "gateway once --lab --seconds 1",
    "data fetch --lab",
)
COMMANDS = (
    "resume --lab --non-interactive",
    "resume --list",
    "batch --lab --dry-run PLAN",
    f"link --lab {ADDRESS}",
    "models",
    "exits",
    "schema events",
    "account list",
    "account logout anna",
    "bonds list --adapter hci:x",
    "bonds forget --all --yes --adapter hci:x",
    "data show",
    "data export --out OUT",
    "data forget --account anna --yes",
    "gateway status",
    f"gateway accept {ADDRESS}",
    "lab status",
    "lab scenario",
    f"lab press {ADDRESS}",
    "ledger status",
    "ledger migrate",
    "networks add clinic --ssid Home --passphrase-env TEST_PASSPHRASE",
    "networks list",
    "networks remove clinic",
    "notifications list",
    "notifications renew",
    "notifications revoke",
    "records list",
    "records show x",
    "records export --out OUT",
    "records prune --older-than 30d",
    "records forget --all --yes",
)
IN_THE_WAY = (
    *("data", "config", "state"),
    *("data/lab-accounts", "data/accounts", "config/catalogue", "state/pace"),
)
# A folder where a file belongs.
FOLDERS_FOR_FILES = (
    *("data/ledger.sqlite", "data/lab-ledger.sqlite", "data/gateway.lock", "data/lab-gateway.lock"),
    *("data/gateway.sqlite", "data/lab-gateway.sqlite", "data/notifications.json", "data/notifications.lock"),
    *("config/config.toml", "config/networks.toml", "config/.networks.toml.lock"),
)
LAB_PLACES = ("data", "state", "data/lab-accounts", "data/lab-gateway.lock")
TYPED = {code.exit_status for code in ErrorCode} - {ErrorCode.INTERNAL.exit_status}


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    file = tmp_path / "plan.csv"
    file.write_text(f"device,model,sync,account\n{ADDRESS},Body,bluetooth,later\n", "utf-8")
    return file


def arguments(command: str, world: LabWorld, plan: Path) -> list[str]:
    known = {"PLAN": str(plan), "OUT": str(plan.with_name("out"))}
    return [known.get(word, word) for word in command.format(address=world.address("move")).split()]


@pytest.mark.parametrize("place", [*IN_THE_WAY, *FOLDERS_FOR_FILES])
def test_every_command_has_words_where_a_folder_or_file_cannot_be_made(
    world: LabWorld, home: Path, plan: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lab runs already; its files are in the runtime folder, and so not in the way here."""
    target = home / place
    for command in (*COMMANDS, *(LAB_COMMANDS if place in LAB_PLACES else ())):
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.mkdir() if place in FOLDERS_FOR_FILES else target.write_text("", "utf-8")
        status = _main(arguments(command, world, plan))
        said = capsys.readouterr()
        assert status in {0, *TYPED}, (command, status, said.err)
        assert "a defect of" not in said.err, (command, said.err)
        assert "Traceback" not in said.out + said.err, command


@pytest.mark.parametrize(
    ("place", "command", "code"),
    [
        ("runtime", "scan --lab", ErrorCode.FILE_UNWRITABLE),
        ("runtime", "install --lab --non-interactive --model body --sync bluetooth", ErrorCode.FILE_UNWRITABLE),
        ("runtime", "lab start", ErrorCode.FILE_UNWRITABLE),
        ("data", "records list", ErrorCode.FILE_UNWRITABLE),
        ("config", "networks add clinic --ssid Home --passphrase-env TEST_PASSPHRASE", ErrorCode.SETTINGS_INVALID),
        ("config", "records list", ErrorCode.SETTINGS_INVALID),
    ],
)
def test_the_words_name_what_is_in_the_way_and_what_to_do(
    home: Path, place: str, command: str, code: ErrorCode, capsys: pytest.CaptureFixture[str]
) -> None:
    home.mkdir()
    (home / place).write_text("", "utf-8")
    assert _main(command.split()) == code.exit_status
    said = capsys.readouterr().err
    assert f"{home / place} is not a folder" in said
    assert len(said.splitlines()) == 2


def test_doctor_says_it_of_each_folder(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home.mkdir()
    for place in ("data", "state", "runtime"):
        (home / place).write_text("", "utf-8")
    _main(["doctor", "--json"])
    found = {(f["state"], f["text"]) for f in lines(capsys.readouterr().out) if f["subject"] == "folders"}
    assert found == {
        ("error", f"{home / 'data'} cannot be written to: {home / 'data'} is not a folder."),
        ("warning", f"{home / 'state'} cannot be written to: {home / 'state'} is not a folder."),
        ("warning", f"{home / 'runtime'} cannot be written to: {home / 'runtime'} is not a folder."),
    }


@pytest.mark.parametrize(
    ("error", "why", "todo"),
    [
        (PermissionError(13, "Permission denied"), "no permission in {folder}", "Check its owner and permissions"),
        (OSError(30, "Read-only file system"), "{folder} is on a read-only file system", "Choose another folder"),
        (OSError(28, "No space left on device"), "no space is left for {folder} (No space", "Free some space"),
        (OSError(36, "File name too long"), "its name is too long", "Choose another folder"),
        (IsADirectoryError(21, "Is a directory"), "it is a folder", "Move it away"),
    ],
)
def test_each_reason_has_its_words(tmp_path: Path, error: OSError, why: str, todo: str) -> None:
    assert reason(error, tmp_path / "not" / "there").startswith(why.format(folder=tmp_path))
    assert advice(error).startswith(todo)


def test_the_commands_that_only_print_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ONLY_PRINT:
        assert _main([*name.split(), "--help"]) == 0, name
