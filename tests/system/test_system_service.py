"""The gateway as a systemd service: `systemd-analyze verify` reads each unit, and a real manager runs it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from installer.errors import InstallerError
from installer.gateway.system_service import install_service, make_service
from installer.gateway.systemd_unit import environment_file_text, unit_text
from tests.system.systemd_manager import SystemdManager, systemd_manager

AWKWARD = (
    "plain",
    "two words",
    "it's",
    '5" disk',
    '"quoted"',
    "$HOME",
    "${HOME}",
    "a$b",
    "$$",
    "100%",
    "%h%%n",
    "back\\slash",
    "ends in \\",
    "\\x41\\n",
    "Käthe 体重",
    ";",
    "a;b",
    "#not a comment",
    "-@:+!",
    "`date`",
    "a=b",
    "{a,b}*?[c]&|<>()~",
    "'",
    "no\u00a0break",
)
# A path has no slash of its own; everything else may be in it.
PROGRAM = """\
#!/bin/sh
printf '%s\\0' "$@" > "$OUT.arguments"
env --null > "$OUT.environment"
"""


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[SystemdManager]:
    with systemd_manager(tmp_path) as one:
        yield one


def test_awkward_paths_arguments_and_values_come_out_as_they_are(manager: SystemdManager, tmp_path: Path) -> None:
    arguments = ["", *AWKWARD]
    values = {f"V{number}": value for number, value in enumerate(["", *AWKWARD, " blank ends "])}
    secrets = {f"S{number}": value for number, value in enumerate(AWKWARD)}
    units = []
    for number, name in enumerate(AWKWARD):
        program = tmp_path / "programs" / name / "program"
        program.parent.mkdir(parents=True)
        program.write_text(PROGRAM, "utf-8")
        program.chmod(0o755)
        secret_file = program.parent / "secrets"
        secret_file.write_text(environment_file_text(secrets), "utf-8")
        environment = {**values, "OUT": str(program.parent / "out")}
        unit = manager.units / f"awkward-{number}.service"
        unit.write_text(unit_text([str(program), *arguments], environment, secret_file, 10), "utf-8")
        units.append(unit)

    verified = subprocess.run(
        ["systemd-analyze", "--user", "--man=no", "verify", *map(str, units)],
        capture_output=True,
        text=True,
        env={"HOME": str(manager.home), "XDG_RUNTIME_DIR": str(tmp_path)},
        timeout=30,
        check=False,
    )
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")

    manager.systemctl("daemon-reload")
    manager.systemctl("start", "--wait", *(unit.name for unit in units))
    for name in AWKWARD:
        out = tmp_path / "programs" / name
        assert (out / "out.arguments").read_text("utf-8").split("\0") == [*arguments, ""], name
        got = dict(line.split("=", 1) for line in (out / "out.environment").read_text("utf-8").split("\0") if line)
        expected = {**values, **secrets, "OUT": str(out / "out")}
        assert {key: got.get(key) for key in expected} == expected, name


def test_the_service_uses_the_folders_and_variables_of_the_terminal(manager: SystemdManager, tmp_path: Path) -> None:
    # This whole environment of Python, at an awkward path.
    (tmp_path / "it's $5 100%").symlink_to(sys.prefix, target_is_directory=True)
    python = tmp_path / "it's $5 100%" / "bin" / "python"
    folders = {
        name: str(tmp_path / "Käthe's $files" / name) for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")
    }
    terminal = {
        **folders,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "HTTPS_PROXY": "http://me:pa$$word-of-the-proxy@proxy.example:3128",
        "no_proxy": "localhost,.clinic.example",
        "SSL_CERT_FILE": "certificates/ours.pem",
        "TZ": "Asia/Tokyo",
        "DEVICE_INSTALLER_STATION": "100% ours",
        "DEVICE_INSTALLER_KEYRING": "off",
    }

    def program(*words: str) -> subprocess.CompletedProcess[str]:
        code = "from installer.cli.main import main; main()"
        with_secret = {**terminal, "DEVICE_INSTALLER_CLIENT_SECRET": "secret-of-the-application"}
        return manager.run(str(python), "-c", code, *words, environment=with_secret)

    shown = program("gateway", "install-service", "--print", "--every", "60")
    installed = program("gateway", "install-service", "--every", "60")
    assert installed.returncode == 0, installed.stderr
    unit = Path(installed.stdout.strip())
    assert unit.is_relative_to(folders["XDG_CONFIG_HOME"])
    assert unit.read_text("utf-8") == shown.stdout
    secrets = Path(folders["XDG_CONFIG_HOME"]) / "device-installer" / "gateway-service.env"
    assert secrets.stat().st_mode & 0o777 == 0o600
    assert f"HTTPS_PROXY may contain a password: it goes into {secrets}" in installed.stderr
    for text in (unit.read_text("utf-8"), shown.stdout, shown.stderr, installed.stderr):
        assert "word-of-the-proxy" not in text
        assert "secret-of-the-application" not in text

    outbox = Path(folders["XDG_DATA_HOME"]) / "device-installer" / "gateway.sqlite"
    deadline = time.monotonic() + 20
    while not outbox.exists():
        assert time.monotonic() < deadline, manager.systemctl("status", unit.name)
        time.sleep(0.02)
    pid = int(manager.systemctl("show", "--property=MainPID", "--value", unit.name))
    status = json.loads(program("gateway", "status", "--json").stdout)
    assert (status["running"], status["pid"]) == (True, pid)
    assert not [path for path in manager.home.rglob("*") if path.is_file() and not path.is_symlink()]
    got = dict(line.split("=", 1) for line in Path(f"/proc/{pid}/environ").read_text("utf-8").split("\0") if line)
    assert "DEVICE_INSTALLER_CLIENT_SECRET" not in got
    expected = {**terminal, "SSL_CERT_FILE": str(Path.cwd() / "certificates/ours.pem")}
    assert {name: got.get(name) for name in terminal} == expected

    # Installed again, after the proxy got another name: it runs with the new variables, and the old secret is gone.
    terminal["HTTPS_PROXY"] = "http://proxy.example:3128"
    assert program("gateway", "install-service").returncode == 0
    assert not secrets.exists()
    assert manager.systemctl("is-enabled", unit.name) == "enabled"
    # And once more, into the folder in which systemd looks by itself.
    del terminal["XDG_CONFIG_HOME"]
    again = program("gateway", "install-service")
    assert again.stdout.strip() == str(manager.units / unit.name), again.stderr
    assert manager.systemctl("is-enabled", unit.name) == "enabled"
    assert manager.systemctl("is-active", unit.name) == "active"


def test_a_user_without_a_manager_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(tmp_path))
    with pytest.raises(InstallerError) as caught:
        install_service(make_service([], "linux", tmp_path))
    assert "`systemctl --user daemon-reload` failed: Failed to connect to bus" in caught.value.what
    assert "loginctl enable-linger" in caught.value.todo
