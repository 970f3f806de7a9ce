"""The service files: well-formed, with the program's full path, the folders and variables in use, and no secret.

`tests/system/test_system_service.py` lets a real systemd run the units.
"""

from __future__ import annotations

import json
import os
import plistlib
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from installer.cli import debugging_variables
from installer.cli.main import _main
from installer.errors import ErrorCode, InstallerError
from installer.gateway import scheduled_task, service_environment
from installer.gateway.service_environment import setting_problems
from installer.gateway.system_service import SystemService, install_service, make_service
from installer.settings import Settings

AWKWARD = ["--device", "F0:00:00:00:00:01", "--adapter", 'hci:usb:0 "100%" $HOME it\'s\\']
PROXY = "http://me:word-of-the-proxy@proxy.example:3128"
SPACE = {"t": "http://schemas.microsoft.com/windows/2004/02/mit/task"}


@pytest.fixture(autouse=True)
def _only_these_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The variables of this computer that a service would get are gone."""
    known = {*service_environment.SYSTEM_FOLDERS, *service_environment.PATH_LISTS, *service_environment.PATH_OR_WORD}
    proxies = {name for proxy in service_environment.PROXIES for name in (proxy, proxy.upper())}
    for name in known | proxies | {"TZ"}:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def service_variables(platform: str, tmp_path: Path) -> dict[str, str]:
    service = make_service([], platform, tmp_path)
    if platform == "darwin":
        return dict(plistlib.loads(service.text.encode())["EnvironmentVariables"])
    lines = re.findall(r'^Environment="?(.*?)=(.*?)"?$', service.text, re.MULTILINE)
    return dict(lines)


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_folders_and_variables_in_use_are_in_the_file_as_full_paths(
    platform: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {
        "XDG_DATA_HOME": "/srv/data",
        "XDG_STATE_HOME": "relative/is/ignored",
        "DEVICE_INSTALLER_DATA_DIR": "data",
        "DEVICE_INSTALLER_LEDGER": "records.sqlite",
        "SSL_CERT_FILE": "ours.pem",
        "SSL_CERT_DIR": "/etc/one:two",
        "PGSSLROOTCERT": "system",
        "PGHOST": "./socket",
        "http_proxy": "",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "no_proxy": "me@localhost.example,.clinic",
        "TZ": "Asia/Tokyo",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("UNKNOWN_TOKEN", "of-another-program")
    for name in service_environment.SECRETS:
        monkeypatch.setenv(name, "a-secret-of-this-program")
    got = service_variables(platform, tmp_path)
    expected = {
        **given,
        "DEVICE_INSTALLER_HOME": f"{tmp_path}/home",
        "DEVICE_INSTALLER_DATA_DIR": f"{tmp_path}/data",
        "DEVICE_INSTALLER_LEDGER": f"{tmp_path}/records.sqlite",
        "SSL_CERT_FILE": f"{tmp_path}/ours.pem",
        "SSL_CERT_DIR": f"/etc/one:{tmp_path}/two",
        "PGHOST": f"{tmp_path}/socket",
    }
    del expected["XDG_STATE_HOME"]
    assert {name: got.get(name) for name in expected} == expected
    assert not {"XDG_STATE_HOME", "UNKNOWN_TOKEN", *service_environment.SECRETS} & set(got)


def test_every_variable_that_the_program_reads_is_classified() -> None:
    folder = Path(service_environment.__file__).parents[1]
    text = "\n".join(p.read_text("utf-8") for p in folder.rglob("*.py") if folder / "lab" not in p.parents)
    read = set(re.findall(r"\{ENVIRONMENT_PREFIX\}([A-Z_]+)", text))
    known = {*service_environment.OWN_PATHS, *service_environment.WORDS, *service_environment.SECRETS}
    known.add(debugging_variables.ALLOW)  # of a developer's terminal; no service gets it
    assert {f"DEVICE_INSTALLER_{name}" for name in read} <= known
    assert len(read) > 8


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_a_proxy_with_a_password_is_in_no_file_that_others_can_read(
    platform: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    service = make_service([], platform, tmp_path)
    assert "HTTPS_PROXY may contain a password" in service.note
    assert "word-of-the-proxy" not in f"{service!r} {service.shown or service.text} {service.note}"
    without_commands = SystemService(
        **{**vars(service), "path": tmp_path / "file", "commands": (), "stop_commands": ()}
    )
    install_service(without_commands)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    holders = [path for path in written if b"word-of-the-proxy" in path.read_bytes()]
    assert all(path.stat().st_mode & 0o077 == 0 for path in holders)
    expected = {"linux": ["gateway-service.env"], "darwin": ["file"], "win32": []}
    assert [path.name for path in holders] == expected[platform]


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
@pytest.mark.parametrize("value", ["/data\nExecStartPre=/bin/other", "/data\udcff"])
def test_what_no_file_can_hold_is_refused(
    platform: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for arguments in (["--adapter", value], []):
        with pytest.raises(InstallerError) as caught:
            make_service(arguments, platform, tmp_path)
        assert caught.value.code is ErrorCode.USAGE
        named = "What is given with --adapter" if arguments else "The variable DEVICE_INSTALLER_DATA_DIR"
        assert caught.value.what.startswith(named)
        assert value not in caught.value.what
        monkeypatch.setenv("DEVICE_INSTALLER_DATA_DIR", value)


def test_launchd(tmp_path: Path) -> None:
    service = make_service(AWKWARD, "darwin", tmp_path)
    assert service.path.parent == tmp_path / "Library/LaunchAgents"
    job = plistlib.loads(service.text.encode())
    assert job["ProgramArguments"][-4:] == AWKWARD
    assert job["KeepAlive"] == {"SuccessfulExit": False}
    assert Path(job["ProgramArguments"][0]).is_absolute()


def task(text: str) -> tuple[str, str]:
    """The command and the arguments of a task."""
    root = ElementTree.fromstring(text.encode("utf-16"))
    return root.findtext(".//t:Command", "", SPACE), root.findtext(".//t:Arguments", "", SPACE)


def test_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USERDOMAIN", "CLINIC")
    monkeypatch.setenv("LOGNAME", "O'Neil & Söhne")  # what Python asks first for the user's name
    service = make_service(["--device", "F0:00:00:00:00:01"], "win32", tmp_path)
    assert service.encoding == "utf-16"
    root = ElementTree.fromstring(service.text.encode("utf-16"))
    assert root.findtext(".//t:ExecutionTimeLimit", "", SPACE) == "PT0S"
    # What the task schema knows: an unknown element makes the Task Scheduler refuse the whole file.
    restart = root.find(".//t:RestartOnFailure", SPACE)
    assert restart is not None
    assert [child.tag.partition("}")[2] for child in restart] == ["Interval", "Count"]
    assert root.findtext(".//t:RestartOnFailure/t:Count", "", SPACE).isdigit()
    # At the sign-in of this user only: for everybody's, Windows wants an administrator.
    for place in ("LogonTrigger", "Principal"):
        assert root.findtext(f".//t:{place}/t:UserId", "", SPACE) == "CLINIC\\O'Neil & Söhne"
    program = ["C:\\Program Files\\x.exe"]
    plain = scheduled_task.task_text(program, ["gateway", "run", "two words"], "python.exe", {}, "me")
    assert task(plain) == ("C:\\Program Files\\x.exe", 'gateway run "two words"')


def test_windows_gets_the_variables_and_percent_signs_by_way_of_python(tmp_path: Path) -> None:
    # A stand-in for the program, which shows what it gets.
    stand_in = tmp_path / "installer" / "cli" / "main.py"
    stand_in.parent.mkdir(parents=True)
    for package in (stand_in.parent, stand_in.parents[1]):
        (package / "__init__.py").touch()
    stand_in.write_text("import json,os,sys\ndef main(): print(json.dumps([sys.argv, dict(os.environ)]))\n", "utf-8")
    variables = {"XDG_DATA_HOME": 'C:\\Users\\Käthe O\'Neil\\%TEMP% "x" 🩺\\', "TZ": "Asia/Tokyo"}
    command, arguments = task(scheduled_task.task_text(["x.exe"], AWKWARD, sys.executable, variables, "me"))
    assert command == sys.executable
    assert "%" not in arguments
    # By the rules of Windows, this is `-c` and one quoted word: no quote is in it, and no backslash before its end.
    code = re.fullmatch(r'-P -c "([^"]*[^"\\])"', arguments)
    assert code is not None
    got = subprocess.run(
        [command, "-P", "-c", code[1]], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    argv, environment = json.loads(got.stdout)
    assert argv == ["device-installer", *AWKWARD]
    assert {name: environment[name] for name in variables} == variables


def test_windows_refuses_a_percent_sign_in_the_path_of_the_program() -> None:
    with pytest.raises(InstallerError) as caught:
        scheduled_task.task_text(["C:\\100%\\x.exe"], [], "C:\\100%\\python.exe", {}, "me")
    assert caught.value.code is ErrorCode.USAGE


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_the_file_names_the_command_that_wrote_it(system: str, tmp_path: Path) -> None:
    assert "`device-installer gateway install-service`" in make_service([], system, tmp_path).text


def test_another_system_is_told(tmp_path: Path) -> None:
    with pytest.raises(InstallerError) as caught:
        make_service([], "plan9", tmp_path)
    assert caught.value.code is ErrorCode.USAGE


def test_a_command_of_the_system_that_fails_is_told_and_the_file_stays(tmp_path: Path) -> None:
    service = SystemService(tmp_path / "x.service", "text\n", (("false",),), "", stop_commands=(("false",),))
    with pytest.raises(InstallerError) as caught:
        install_service(service)
    assert "`false` failed" in caught.value.what
    assert service.path.read_text() == "text\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "home" / "config" / "config.toml"
    file.parent.mkdir(parents=True)
    return file


@pytest.mark.parametrize(
    ("settings", "variables", "problem"),
    [
        ({"gateway": {"webhook": "https://x", "webhook_key": {"env": "KEY"}}}, {}, "[gateway] webhook_key is in"),
        ({"gateway": {"webhook": "https://x", "webhook_key": {"file": "key"}}}, {}, "[gateway] webhook_key is in"),
        ({"gateway": {"webhook": {"env": "HOOK"}}}, {}, "[gateway] webhook is in the variable HOOK"),
        ({"gateway": {"webhook": "https://x", "webhook_key": {"file": "~/key"}}}, {}, ""),
        ({"gateway": {"webhook_key": {"env": "KEY"}}}, {}, ""),  # without a webhook it is not needed
        (
            {"gateway": {"consent": {"F0:00:00:00:00:01": {"user": 1, "code": {"env": "CODE"}}}}},
            {},
            '[gateway.consent."F0:00:00:00:00:01"] code is in the variable CODE',
        ),
        ({"data": {"url": "postgresql://h/d", "password": {"env": "PW"}}}, {}, "[data] password is in"),
        ({"data": {"url": "postgresql://h/d"}}, {"PGPASSWORD": "x"}, "in the variable PGPASSWORD"),
        ({"data": {"password": {"env": "PW"}}}, {"PGPASSWORD": "x"}, ""),  # a file has no password
        ({"data": {"url": "sqlite:///data.sqlite"}}, {}, "[data] url is a path that depends"),
        ({"data": {"url": "sqlite:////srv/data.sqlite"}}, {}, ""),
        ({"ledger": {"url": "records.sqlite"}}, {}, "[ledger] url is a path that depends"),
        ({"ledger": {"url": "postgresql://h/d"}}, {"DEVICE_INSTALLER_LEDGER_PASSWORD": "x"}, "_LEDGER_PASSWORD"),
        ({}, {"DEVICE_INSTALLER_LEDGER": "postgresql://h/d", "PGPASSWORD": "x"}, "in the variable PGPASSWORD"),
        # The gateway does not sign in at the cloud.
        ({}, {"DEVICE_INSTALLER_CLIENT_SECRET": "x"}, ""),
    ],
)
def test_settings_that_a_service_cannot_read_are_told(
    settings: dict[str, object], variables: dict[str, str], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = setting_problems(Settings.model_validate(settings))
    assert [problem in what for what, _ in found] == ([True] if problem else [])


def test_such_a_setting_is_refused_and_print_shows_it(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text('[gateway]\nwebhook = "https://x.example"\nwebhook_key = { env = "KEY" }\n', "utf-8")
    before = sorted(tmp_path.rglob("*"))
    assert _main(["gateway", "install-service"]) == ErrorCode.SETTINGS_INVALID.exit_status
    refused = capsys.readouterr().err
    assert "webhook_key is in the variable KEY" in refused
    assert 'webhook_key = { file = "/FULL/PATH" }' in refused
    assert _main(["gateway", "install-service", "--print", "--every", "60"]) == 0
    shown = capsys.readouterr()
    assert "gateway run --every 60" in shown.out
    assert "webhook_key is in the variable KEY" in shown.err
    assert sorted(tmp_path.rglob("*")) == before
    assert os.environ["DEVICE_INSTALLER_HOME"] in shown.out
