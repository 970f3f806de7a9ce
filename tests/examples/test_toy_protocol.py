"""A package of its own brings a protocol: installed with pip, found by its entry points, no file of ours changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "toy-protocol"
MODEL = ["--catalogue", str(EXAMPLE / "toy-model.toml")]
LAMP, SILENT_LAMP = "02:70:79:00:00:01", "02:70:79:00:00:02"


class Installed:
    """Runs the program with the package beside it, in a home of its own."""

    def __init__(self, packages: Path, home: Path) -> None:
        path = os.pathsep.join(p for p in (str(packages), os.environ.get("PYTHONPATH", "")) if p)
        self.environment = os.environ | {
            "PYTHONPATH": path,
            "DEVICE_INSTALLER_HOME": str(home),
            "DEVICE_INSTALLER_KEYRING": "off",
            "PW": "correct horse",
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from installer.cli.main import main; main()", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )

    def install(self, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
        ended = self.run("install", "--lab", "--non-interactive", "--json", *MODEL, *arguments)
        assert "Traceback" not in ended.stderr
        return ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    packages, home = tmp_path_factory.mktemp("packages"), tmp_path_factory.mktemp("home")
    pip = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--target", str(packages), str(EXAMPLE)], check=True, timeout=120)
    program = Installed(packages, home)
    started = program.run("lab", "start", "--scenario", str(EXAMPLE / "toy-scenario.toml"))
    assert started.returncode == 0, started.stderr
    yield program
    program.run("lab", "stop")


def test_a_device_is_installed_by_the_protocol_of_the_package(installed: Installed) -> None:
    status, events = installed.install("--device", LAMP, "--sync", "wifi", "--ssid", "Home", "--passphrase-env", "PW")
    assert status == 0
    connected = next(e for e in events if e["event"] == "device_connected")
    assert (connected["protocol"], connected["encrypts_credentials"]) == ("toy", False)
    assert [e["stage"] for e in events if e["event"] == "provisioning"] == ["sending", "joining", "joined"]
    lamp = next(
        d for d in json.loads(installed.run("lab", "status", "--json").stdout)["devices"] if d["address"] == LAMP
    )
    assert (lamp["joined"], lamp["credentials_received"]) == ("Home", 1)


def test_its_devices_are_recognised_and_its_models_listed(installed: Installed) -> None:
    found = installed.run("scan", "--lab", "--json", "--explain", "--seconds", "2", *MODEL)
    sightings = [json.loads(line)["sighting"] for line in found.stdout.splitlines()]
    lamp = next(s for s in sightings if s["address"] == LAMP)
    assert (lamp["model"], lamp["protocol"]) == ("toy-lamp", "toy")
    assert "it advertises the toy service" in lamp["reasons"]
    assert "Toy Lamp" in installed.run("models", *MODEL).stdout


@pytest.mark.parametrize(
    ("ssid", "variable", "code"),
    [("Home", "WRONG", "join_failed"), ("Nowhere", "PW", "network_not_found")],
)
def test_a_failed_join_is_told_in_the_programs_words(installed: Installed, ssid: str, variable: str, code: str) -> None:
    installed.environment["WRONG"] = "incorrect horse"
    installed.run("lab", "reset")
    network = ["--ssid", ssid, "--passphrase-env", variable]
    status, events = installed.install("--device", LAMP, "--sync", "wifi", *network)
    assert status != 0
    assert [e["code"] for e in events if e["event"] == "failed"] == [code]


def test_its_protocol_sends_nothing_where_encryption_is_required(installed: Installed) -> None:
    installed.run("lab", "reset")
    network = ["--ssid", "Home", "--passphrase-env", "PW"]
    status, events = installed.install("--device", LAMP, "--sync", "wifi", "--require-encryption", *network)
    assert status == 32
    assert not [e for e in events if e["event"] == "provisioning"]


def test_a_catalogue_entry_of_an_unknown_protocol_is_refused_by_name(installed: Installed, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text((EXAMPLE / "toy-model.toml").read_text().replace('protocols = ["toy"]', 'protocols = ["tay"]'))
    ended = installed.run("models", "--catalogue", str(wrong))
    assert ended.returncode == 4
    assert "tay" in ended.stderr
