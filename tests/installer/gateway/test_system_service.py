"""The service files: well-formed, with the full path of the program, without secrets."""

from __future__ import annotations

import configparser
import plistlib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from installer.cli.main import _main
from installer.errors import ErrorCode, InstallerError
from installer.gateway.system_service import install_service, make_service

AWKWARD = ["--device", "F0:00:00:00:00:01", "--adapter", 'hci:usb:0 "100%" $HOME']


def test_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("DEVICE_INSTALLER_CLIENT_SECRET", "secret-of-the-application")
    service = make_service(AWKWARD, "linux", tmp_path)
    assert service.path == tmp_path / ".config/systemd/user/device-installer-gateway.service"
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(service.text)
    start = unit["Service"]["ExecStart"]
    assert start.startswith("/")
    assert start.endswith('gateway run --device F0:00:00:00:00:01 --adapter "hci:usb:0 \\"100%%\\" $$HOME"')
    assert unit["Service"]["Restart"] == "on-failure"
    assert "DEVICE_INSTALLER_HOME" in service.text
    assert "secret" not in service.text


def test_launchd(tmp_path: Path) -> None:
    service = make_service(AWKWARD, "darwin", tmp_path)
    assert service.path.parent == tmp_path / "Library/LaunchAgents"
    job = plistlib.loads(service.text.encode())
    assert job["ProgramArguments"][-4:] == AWKWARD
    assert job["KeepAlive"] == {"SuccessfulExit": False}
    assert Path(job["ProgramArguments"][0]).is_absolute()


def test_windows(tmp_path: Path) -> None:
    service = make_service(AWKWARD, "win32", tmp_path)
    assert service.encoding == "utf-16"
    task = ElementTree.fromstring(service.text.encode("utf-16"))
    space = {"t": "http://schemas.microsoft.com/windows/2004/02/mit/task"}
    arguments = task.findtext(".//t:Arguments", "", space)
    assert "gateway run --device F0:00:00:00:00:01" in arguments
    assert task.findtext(".//t:ExecutionTimeLimit", "", space) == "PT0S"
    # What the task schema knows: an unknown element makes the Task Scheduler refuse the whole file.
    restart = task.find(".//t:RestartOnFailure", space)
    assert restart is not None
    assert [child.tag.partition("}")[2] for child in restart] == ["Interval", "Count"]
    assert task.findtext(".//t:RestartOnFailure/t:Count", "", space).isdigit()


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_the_file_names_the_command_that_wrote_it(system: str, tmp_path: Path) -> None:
    assert "`device-installer gateway install-service`" in make_service([], system, tmp_path).text


def test_another_system_is_told(tmp_path: Path) -> None:
    with pytest.raises(InstallerError) as caught:
        make_service([], "plan9", tmp_path)
    assert caught.value.code is ErrorCode.USAGE


def test_a_command_of_the_system_that_fails_is_told_and_the_file_stays(tmp_path: Path) -> None:
    service = make_service([], "linux", tmp_path)
    broken = type(service)(tmp_path / "x.service", service.text, (("false",),), "")
    with pytest.raises(InstallerError) as caught:
        install_service(broken)
    assert "`false` failed" in caught.value.what
    assert broken.path.read_text() == service.text


def test_print_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert _main(["gateway", "install-service", "--print", "--every", "60"]) == 0
    out = capsys.readouterr().out
    assert "gateway run --every 60" in out
    assert not (tmp_path / "config").exists()
