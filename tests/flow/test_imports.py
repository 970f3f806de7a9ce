"""What a command imports, measured in a separate process: `--help` nothing heavy, a scripted run no Textual."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from installer.errors import ErrorCode
from installer.flow.lab_process import LabState
from tests.flow.support import LabWorld

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import sys
from installer.cli.main import _main
status = _main(sys.argv[1:])
known = {"textual", "screens", "bumble", "bleak", "httpx", "pydantic", "sqlalchemy", "rich"}
heavy = {m.split(".")[0] for m in sys.modules} & known
sys.stderr.write(f"status={status} loaded={sorted(heavy)}\\n")
"""


def run(*arguments: str, stdin: str = "") -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], input=stdin, capture_output=True, text=True, timeout=50, cwd=ROOT
    )
    return done.stdout, done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "loaded"),
    # Typer itself takes pydantic in as soon as it reads an option.
    [
        (("--help",), "[]"),
        (("install", "--help"), "['pydantic']"),
        (("--version",), "['pydantic']"),
        (("data", "show", "--help"), "['pydantic']"),
    ],
)
def test_help_loads_nothing_heavy(arguments: tuple[str, ...], loaded: str) -> None:
    out, last = run(*arguments)
    assert out
    assert last == f"status=0 loaded={loaded}"


def test_a_scripted_installation_loads_no_textual(world: LabWorld) -> None:
    state: LabState = world.state
    assert state.pid
    out, last = run(
        *["install", "--lab", "--non-interactive", "--device", world.address("move"), "--json"],
    )
    assert '"outcome":"installed"' in out
    assert last.startswith("status=0")
    assert "textual" not in last
    assert "screens" not in last


def test_the_way_to_the_cloud_is_checked_without_the_http_library(home: Path) -> None:
    """Before the first scan, where half a second of imports would be felt."""
    wifi = ["--sync", "wifi", "--ssid", "Home", "--passphrase-env", "TEST_PASSPHRASE"]
    adapter = ["--adapter", "hci:tcp-client:127.0.0.1:9"]
    _, last = run(
        "install", "--non-interactive", "--model", "body-plus", *wifi, *adapter, "--cloud", "https://cloud.test"
    )
    assert last.startswith(f"status={ErrorCode.ADAPTER_FAILED.exit_status} "), "the check was passed"
    assert "httpx" not in last


BEFORE_BLUETOOTH = """
import sys
from installer.cli.main import _main
from installer.flow import bluetooth_keys

async def look(*_arguments, **_named):
    sys.stderr.write("loaded=" + " ".join(sorted(sys.modules)) + "\\n")
    raise SystemExit(0)

bluetooth_keys.open_adapter = look
_main(sys.argv[1:])
"""


def test_only_what_a_scan_needs_is_loaded_before_it(home: Path) -> None:
    """Each of these takes as long as the radio needs to hear a device; most runs ask nobody and resume nothing."""
    wifi = ["--sync", "wifi", "--ssid", "Home", "--passphrase-env", "TEST_PASSPHRASE"]
    command = ["install", "--non-interactive", "--json", "--model", "body-plus", *wifi]
    done = subprocess.run(
        [sys.executable, "-c", BEFORE_BLUETOOTH, *command], capture_output=True, text=True, timeout=50, cwd=ROOT
    )
    loaded = set(done.stderr.strip().splitlines()[-1].removeprefix("loaded=").split())
    assert "installer.flow.installation" in loaded
    assert not loaded & {
        "bumble",
        "httpx",
        "keyring",
        "sqlalchemy",
        "installer.cloud.api_models",
        "installer.events.batch",
        "installer.flow.restore",
        "installer.flow.resume",
        "installer.ledger.query_types",
        "installer.provisioning.guided.checklist",
        "installer.qr.device_setup_code",
    }
