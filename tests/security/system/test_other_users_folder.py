"""A folder of this program that another user owns or can write to is refused, by real users; needs root."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from installer.errors import ErrorCode

UNSAFE = ErrorCode.FOLDER_UNSAFE.exit_status
ME, OTHER = 65534, 12345  # the user that runs the program, and the one whom nobody should trust
PROGRAM = "import sys; from installer.cli.main import main; main()"
CONFIG = '[cloud]\napi = "https://cloud.attacker.example"\nauthorize = "https://cloud.attacker.example"\n'


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder like /tmp: everybody can make files in it, and only their owner can remove them."""
    folder = Path(mkdtemp(prefix="shared-"))
    folder.chmod(0o1777)
    yield folder
    subprocess.run(["rm", "-r", str(folder)], check=True)


def run(
    home: Path, *command: str, user: int = ME, privilege: str = "dac_override", **variables: str
) -> subprocess.CompletedProcess[str]:
    """The program as another user. `privilege`: `dac_read_search` is without that to write anywhere."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(home)}
    # Python may be installed where only root can look, so the user keeps one privilege: to look anywhere. What belongs
    # to whom, which is what the program asks, is as it is.
    become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    become += [f"--inh-caps=+{privilege}", f"--ambient-caps=+{privilege}"]
    return subprocess.run(
        [*become, sys.executable, "-c", PROGRAM, *command],
        env=environment | {"DEVICE_INSTALLER_HOME": str(home)} | variables,
        cwd="/",
        text=True,
        capture_output=True,
        timeout=60,
    )


def given_to(folder: Path, owner: int, mode: int = 0o700) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(mode)
    os.chown(folder, owner, owner)
    return folder


def config_of_another(home: Path) -> Path:
    given_to(home, ME)
    config = given_to(home / "config", OTHER, 0o755)
    (config / "config.toml").write_text(CONFIG, "utf-8")
    return config


def home_of_another(home: Path) -> Path:
    given_to(home, OTHER, 0o777)
    return home


def open_to_all(home: Path) -> Path:
    given_to(home, ME)
    return given_to(home / "config", ME, 0o777)


def in_a_folder_open_to_all(home: Path) -> Path:
    given_to(home, ME, 0o777)
    given_to(home / "config", ME)
    return home


def link_of_another(home: Path) -> Path:
    given_to(home, ME, 0o1777)
    (home / "config").symlink_to(given_to(home / "mine", ME))
    os.chown(home / "config", OTHER, OTHER, follow_symlinks=False)
    return home / "config"


@pytest.mark.parametrize(
    "make", [config_of_another, home_of_another, open_to_all, in_a_folder_open_to_all, link_of_another]
)
def test_it_is_refused_before_anything_in_it_is_read(shared: Path, make: Callable[[Path], Path]) -> None:
    place = make(shared / "home")
    for command in (["records", "list"], ["models"]):
        done = run(shared / "home", *command)
        assert done.returncode == UNSAFE, (command, done.stderr)
        assert str(place) in done.stderr
        assert "DEVICE_INSTALLER_HOME" in done.stderr
        assert "attacker" not in done.stdout + done.stderr
    doctor = run(shared / "home", "doctor")
    assert str(place) in doctor.stdout
    assert "defect" not in doctor.stdout + doctor.stderr


def test_an_own_folder_in_a_shared_one_is_used_and_all_in_it_is_private(shared: Path) -> None:
    home = shared / "home"
    given_to(home, ME)
    before = os.umask(0)
    try:
        done = run(home, "records", "list")
        assert done.returncode == 0, done.stderr
        assert run(home, "data", "show").returncode == 0
    finally:
        os.umask(before)
    made = list(home.rglob("*"))
    assert made
    assert all(path.lstat().st_mode & 0o077 == 0 for path in made), made


def test_root_does_not_take_the_home_of_a_user_for_its_own(shared: Path) -> None:
    home = given_to(shared / "home", ME)
    done = run(home, "records", "list", user=0)
    assert done.returncode == UNSAFE
    assert "sudo" in done.stderr
    assert list(home.iterdir()) == []


def test_nothing_falls_back_to_a_shared_folder(shared: Path) -> None:
    """Without a runtime folder of the session, and with one of another user."""
    home = given_to(shared / "home", ME)
    runtime = given_to(shared / "runtime", OTHER)
    used = {"DEVICE_INSTALLER_HOME": "", "TMPDIR": str(shared)}
    assert run(home, "lab", "status", **used).returncode == ErrorCode.LAB_UNAVAILABLE.exit_status
    assert run(home, "records", "list", **used).returncode == 0
    assert {path.name for path in shared.iterdir()} == {"home", "runtime"}
    refused = run(home, "records", "list", XDG_RUNTIME_DIR=str(runtime), **used)
    assert (refused.returncode, str(runtime) in refused.stderr) == (UNSAFE, True)


@pytest.mark.parametrize("command", [("records", "export"), ("data", "export")])
@pytest.mark.parametrize("kind", ["pipe", "link to one"])
def test_nothing_is_written_into_a_pipe_of_another(shared: Path, command: tuple[str, str], kind: str) -> None:
    """They wait where an export goes each day, and would get it."""
    home, waiting = given_to(shared / "home", ME), shared / "data.csv"
    pipe = waiting if kind == "pipe" else shared / "pipe"
    os.mkfifo(pipe)
    pipe.chmod(0o666)
    os.chown(pipe, OTHER, OTHER)
    if kind != "pipe":
        waiting.symlink_to(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        done = run(home, *command, "--out", str(waiting))
        assert done.returncode == ErrorCode.FILE_UNWRITABLE.exit_status, done.stderr
        assert "pipe or device of another user" in done.stderr
        assert os.read(reader, 100) == b""
    finally:
        os.close(reader)


@pytest.mark.parametrize(
    ("name", "command"), [("config.toml", ("records", "list")), ("networks.toml", ("networks", "list"))]
)
def test_a_file_of_another_is_not_obeyed_in_a_folder_of_mine(shared: Path, name: str, command: tuple[str, str]) -> None:
    """The open file is asked, so it does not help to exchange the folder after it was looked at."""
    home = given_to(shared / "home", ME)
    file = given_to(home / "config", ME) / name
    file.write_text("version = 1\n", "utf-8")
    os.chown(file, OTHER, OTHER)
    done = run(home, *command)
    assert done.returncode == ErrorCode.SETTINGS_INVALID.exit_status, done.stderr
    assert "belongs to another user" in done.stderr
    assert "Let it belong to you" in done.stderr
    os.chown(file, ME, ME)
    assert run(home, *command).returncode == 0


@pytest.mark.parametrize("command", [("data", "show"), ("records", "list")])
def test_no_data_goes_into_a_database_that_another_made(shared: Path, command: tuple[str, str]) -> None:
    """They made it beforehand where everybody can, and can read it."""
    home, file = given_to(shared / "home", ME), shared / "data.sqlite"
    file.touch()
    file.chmod(0o666)
    os.chown(file, OTHER, OTHER)
    variables = {"DEVICE_INSTALLER_LEDGER": f"sqlite:///{file}"} if command[0] == "records" else {}
    more = () if variables else ("--database", f"sqlite:///{file}")
    done = run(home, *command, *more, **variables)
    assert done.returncode == UNSAFE, done.stderr
    assert f"{file} is not safe" in done.stderr
    assert file.read_bytes() == b""


@pytest.mark.parametrize(
    "command",
    [
        *(("scan", "--lab"), ("lab", "start"), ("records", "list"), ("data", "show"), ("gateway", "once")),
        ("install", "--lab", "--non-interactive", "--model", "body", "--sync", "bluetooth"),
        ("networks", "add", "clinic", "--ssid", "Home", "--passphrase-env", "CLINIC"),
    ],
    ids=" ".join,
)
def test_a_home_that_cannot_be_written_to_is_told_by_name(shared: Path, command: tuple[str, ...]) -> None:
    """Of this user, and read-only for them: not even `mkdir` works there."""
    home = given_to(shared / "home", ME, 0o500)
    done = run(home, *command, privilege="dac_read_search", CLINIC="correct horse battery")
    assert done.returncode == ErrorCode.FILE_UNWRITABLE.exit_status, done.stderr
    assert f"no permission in {home}" in done.stderr
    assert "a defect of" not in done.stderr
    assert list(home.iterdir()) == []
