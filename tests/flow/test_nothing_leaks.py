"""No file that a run writes contains a passphrase, a token, a password or the client secret."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from installer.cli.crash_report import report_defect
from installer.errors import ErrorCode
from tests.flow.support import PASSPHRASE, LabWorld

PROGRAM = [str(Path(sys.executable).with_name("device-installer"))]
WRONG = "wrong horse battery"


def forms(secret: str) -> list[bytes]:
    """The forms of a secret: text, hexadecimal, Base64, a Python or JSON string."""
    raw = secret.encode()
    return [raw, raw.hex().encode(), raw.hex(" ").encode(), raw.hex(":").encode(), base64.b64encode(raw)[:-4]]


def holds(data: bytes, secret: str) -> bool:
    return any(form in data or form.upper() in data for form in forms(secret))


def tokens(home: Path) -> tuple[list[Path], list[str]]:
    """The token files of a home, and all tokens in them."""
    files = [p for p in home.rglob("*") if p.is_file() and "accounts" in str(p.relative_to(home))]
    found: list[str] = []

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                if isinstance(item, str) and "token" in key and key != "token_type":
                    found.append(item)
                collect(item)

    for file in files:
        if file.suffix == ".json":
            collect(json.loads(file.read_text("utf-8")))
    return files, found


@pytest.mark.parametrize("passphrase", [PASSPHRASE, WRONG])
@pytest.mark.parametrize("output", ["--json", None])
def test_a_run_writes_no_secret(world: LabWorld, home: Path, lab: Any, passphrase: str, output: str | None) -> None:
    done = subprocess.run(
        [*PROGRAM, "install", "--lab", "--non-interactive", "--device", world.address("body-plus"), "--sync", "wifi"]
        + ["--ssid", "Home", "--passphrase-env", "P", *([output] if output else [])],
        env={**os.environ, "P": passphrase},
        capture_output=True,
        timeout=50,
    )
    assert done.returncode == (0 if passphrase == PASSPHRASE else ErrorCode.JOIN_FAILED.exit_status), done.stderr
    token_files, found = tokens(home)
    secrets = [passphrase, world.state.user.password.get_secret_value(), *found]
    if passphrase == PASSPHRASE:
        assert len(found) >= 2
        assert all(p.stat().st_mode & 0o077 == 0 for p in token_files)
    written = {"stdout": done.stdout, "stderr": done.stderr, "the lab's log": lab.log_file.read_bytes()}
    state_file = home / "runtime" / "lab.json"  # the lab's state file has its password
    for path in home.rglob("*"):
        if path.is_file() and path not in token_files and path != state_file:
            written[str(path)] = path.read_bytes()
    assert any(name.endswith("lab-ledger.sqlite") for name in written)
    for name, data in written.items():
        for secret in secrets:
            assert not holds(data, secret), f"{name} holds a secret"
    client_secret = world.state.client_secret.get_secret_value()
    assert client_secret.encode() not in done.stdout + done.stderr


def test_a_crash_report_holds_no_message_and_no_value(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def defect(passphrase: str) -> None:
        raise RuntimeError(f"cannot send {passphrase}")

    with pytest.raises(RuntimeError) as caught:
        defect(PASSPHRASE)
    assert report_defect(caught.value) == 1
    (report,) = (home / "state" / "crashes").iterdir()
    text = report.read_text("utf-8")
    said = capsys.readouterr().err
    assert "RuntimeError" in text
    assert "in defect" in text
    assert str(report) in said
    assert PASSPHRASE not in text + said
    assert "Traceback" not in said


def test_the_program_ends_a_defect_without_a_traceback(home: Path) -> None:
    program = (
        "import installer.flow.run_resources\n"
        "def broken(*a, **k): raise RuntimeError('correct horse battery staple')\n"
        "installer.flow.run_resources.RunResources.__init__ = broken\n"
        "from installer.cli.main import main\n"
        "main(['install', '--non-interactive', '--model', 'move'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50)
    assert done.returncode == ErrorCode.INTERNAL.exit_status
    assert "Traceback" not in done.stderr
    assert PASSPHRASE not in done.stderr + done.stdout
