"""Accounts on the command line: sign in, list, install without a person, sign out; as with the real cloud."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from installer.cli.main import _main
from installer.cloud.lab_sign_in import sign_in_by_form
from installer.errors import ErrorCode
from tests.flow.support import LabWorld, lines

PROGRAM = [str(Path(sys.executable).with_name("device-installer"))]


@pytest.fixture
def elsewhere(world: LabWorld, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The options that reach the lab like any other adapter and cloud."""
    monkeypatch.setenv("DEVICE_INSTALLER_CLIENT_ID", world.state.client_id)
    monkeypatch.setenv("DEVICE_INSTALLER_CLIENT_SECRET", world.state.client_secret.get_secret_value())
    monkeypatch.setenv("DEVICE_INSTALLER_KEYRING", "off")
    return ["--cloud", world.state.cloud]


def log_in(world: LabWorld, cloud: list[str], name: str) -> tuple[int, str]:
    """Run `account login` with a form filler as the browser; its exit status and its text."""
    process = subprocess.Popen(
        [*PROGRAM, "account", "login", name, "--no-browser", *cloud],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if line.startswith("Open in the browser of this computer: "):
            url = line.partition(": ")[2].strip()
            asyncio.run(sign_in_by_form(url, world.state.user.email, world.state.user.password))
            break
    said += process.stderr.read()
    return process.wait(timeout=20), said


def test_sign_in_beforehand_then_install_unattended(
    world: LabWorld, elsewhere: list[str], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install = ["install", "--non-interactive", "--json", "--device", world.address("move"), "--account", "clinic"]
    install += ["--adapter", world.state.adapter, *elsewhere]
    assert _main(install) == ErrorCode.ACCOUNT_UNKNOWN.exit_status
    failed = [e for e in lines(capsys.readouterr().out) if e["event"] == "failed"][-1]
    assert "account login" in failed["todo"]

    status, said = log_in(world, elsewhere, "clinic")
    assert status == 0, said
    assert "which only you can read" in said  # the place of the tokens is printed
    files = [p for p in (home / "data" / "accounts").iterdir() if p.suffix == ".json"]
    assert [p.stat().st_mode & 0o777 for p in files] == [0o600]

    assert _main(["account", "list", *elsewhere]) == 0
    assert capsys.readouterr().out.startswith("clinic  (")

    assert _main(install) == 0
    assert world.device("move")["linked"]

    assert _main(["account", "logout", "clinic", *elsewhere]) == 0
    capsys.readouterr()
    assert _main(["account", "list", *elsewhere]) == 0
    assert capsys.readouterr().out == ""


def test_without_an_application_the_sign_in_says_what_is_missing(
    world: LabWorld, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = _main(["account", "login", "--no-browser", "--cloud", world.state.cloud, "--timeout", "5"])
    assert status == ErrorCode.SETTINGS_INVALID.exit_status
    assert "client_id" in capsys.readouterr().err
