"""A service's file has the lines that this program writes, and no other: no text brings a line of its own."""

from __future__ import annotations

import plistlib
from pathlib import Path

import pytest

from installer.errors import ErrorCode, InstallerError
from installer.gateway import launchd_agent, scheduled_task, service_environment, systemd_unit
from installer.gateway.service_text import check_command, check_text
from installer.gateway.system_service import make_service

PLATFORMS = ("linux", "darwin", "win32")
LINE_BREAKS = ("\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029")
CONTROLS = ("\0", "\x08", "\x1b", "\x7f", "\x9b", "\u202e", "\u2066", "\ufffe")


@pytest.fixture(autouse=True)
def _no_other_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*service_environment.PATH_LISTS, *service_environment.PATH_OR_WORD):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(tmp_path))


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("bad", [*LINE_BREAKS, *CONTROLS])
def test_an_argument_with_a_control_character_is_refused_and_named(platform: str, bad: str, tmp_path: Path) -> None:
    with pytest.raises(InstallerError) as caught:
        make_service(["--every", "60", "--adapter", f"hci0{bad}ExecStartPost=/bin/true"], platform, tmp_path)
    assert caught.value.code is ErrorCode.USAGE
    assert "--adapter" in caught.value.what
    assert "ExecStartPost" not in str(caught.value)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("name", ["DEVICE_INSTALLER_STATION", "SSL_CERT_FILE", "http_proxy", "XDG_CONFIG_HOME"])
def test_so_is_a_variable(platform: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variable = name.upper() if platform == "win32" else name
    monkeypatch.setenv(variable, "/a\u2028[Service]")
    with pytest.raises(InstallerError) as caught:
        make_service([], platform, tmp_path)
    assert variable in caught.value.what


@pytest.mark.parametrize("platform", PLATFORMS)
def test_so_is_a_folder(platform: str, tmp_path: Path) -> None:
    with pytest.raises(InstallerError, match="home folder"):
        make_service([], platform, tmp_path / "a\nb")


def test_so_is_the_name_of_a_windows_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USERDOMAIN", "A\nB")
    with pytest.raises(InstallerError, match="user name"):
        make_service([], "win32", tmp_path)


def test_each_kind_of_file_checks_by_itself_all_that_goes_into_it(tmp_path: Path) -> None:
    bad = "a\nb"
    for write in (
        lambda: systemd_unit.unit_text(["/bin/x", bad], {}, None, 10),
        lambda: systemd_unit.unit_text(["/bin/x"], {"A": bad}, None, 10),
        lambda: systemd_unit.unit_text(["/bin/x"], {bad: "a"}, None, 10),
        lambda: systemd_unit.unit_text(["/bin/x"], {}, tmp_path / bad, 10),
        lambda: systemd_unit.environment_file_text({"A": bad}),
        lambda: launchd_agent.agent_text("l", ["/bin/x", bad], {}, tmp_path, 10),
        lambda: launchd_agent.agent_text("l", ["/bin/x"], {"A": bad}, tmp_path, 10),
        lambda: launchd_agent.agent_text("l", ["/bin/x"], {}, tmp_path / bad, 10),
        lambda: scheduled_task.task_text(["x"], [bad], "python", {}, "me"),
        lambda: scheduled_task.task_text(["x"], [], "python", {"A": bad}, "me"),
        lambda: scheduled_task.task_text(["x"], [], bad, {}, "me"),
        lambda: scheduled_task.task_text(["x"], [], "python", {}, bad),
    ):
        with pytest.raises(InstallerError, match="control character"):
            write()


def test_what_people_write_is_no_control_character() -> None:
    check_command(["--adapter", "Käthe 体重 no\u00a0break 👩\u200d⚕️", "x"])
    check_text("/srv/it's 100%", "A path")


def test_no_core_file_and_nothing_for_others(tmp_path: Path) -> None:
    unit = make_service([], "linux", tmp_path).text.splitlines()
    assert {"LimitCORE=0", "UMask=0077", "NoNewPrivileges=true", "SystemCallFilter=@system-service"} <= set(unit)
    agent = plistlib.loads(make_service([], "darwin", tmp_path).text.encode())
    assert (agent["Umask"], agent["SoftResourceLimits"], agent["HardResourceLimits"]) == (
        0o077,
        {"Core": 0},
        {"Core": 0},
    )
