"""What this program writes is for its user only, whatever the umask; folders of somebody else are refused."""

from __future__ import annotations

import ast
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from installer import settings
from installer.answers import Answers, FindAnswer, save
from installer.batch import labels
from installer.cli import crash_report
from installer.cli.main import _main, main
from installer.errors import ErrorCode, InstallerError
from installer.measurements import export
from installer.measurements.store import Store
from installer.notifications import callback_url

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes as on POSIX")


@pytest.fixture(autouse=True)
def careless() -> Iterator[None]:
    """The umask of somebody who lets everybody read and write."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(tmp_path / "home"))
    for kind in ("CONFIG", "DATA", "STATE", "RUNTIME"):
        monkeypatch.delenv(f"DEVICE_INSTALLER_{kind}_DIR", raising=False)
    (tmp_path / "home").mkdir(mode=0o700)
    return tmp_path / "home"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_each_file_that_is_made_for_a_person_is_theirs_alone(home: Path, tmp_path: Path) -> None:
    """Also one that was there before and could be read by others."""
    names = ("records.csv", "records.json", "report.html", "labels.html", "labels.txt", "answers.toml", "values.csv")
    for round_ in ("new", "again"):
        files = [tmp_path / name for name in names]
        if round_ == "again":
            for file in files:
                file.chmod(0o666)
        for file in files[:3]:
            assert _main(["records", "export", "--out", str(file)]) == 0
        one = labels.Label(id="1", address="00:24:E4:00:00:01", model="body", method=None, since=0)
        labels.write([one], files[3])
        labels.write([one], files[4])
        save(Answers(find=FindAnswer(model="body")), files[5])
        export.write_file(files[6], ["a"])
        assert {file.name: oct(mode(file)) for file in files} == dict.fromkeys(names, oct(0o600)), round_
    assert (tmp_path / "records.csv").read_bytes().startswith(b"\xef\xbb\xbfid,")


def test_a_crash_report_and_the_folders_are_private(home: Path) -> None:
    crash_report.saved_where(ValueError())
    assert _main(["records", "list"]) == 0
    made = list(home.rglob("*"))
    assert {path.parent.name for path in made} >= {"crashes", "data"}
    assert [path for path in made if path.is_file() and mode(path) & 0o077] == []


def test_an_export_follows_no_link_that_waits_for_it(home: Path, tmp_path: Path) -> None:
    """In a folder of all users, somebody can guess the name of a temporary file."""
    (tmp_path / "mine").write_text("mine", "utf-8")
    (tmp_path / ".records.csv.part").symlink_to(tmp_path / "mine")
    assert _main(["records", "export", "--out", str(tmp_path / "records.csv")]) == 0
    assert (tmp_path / "mine").read_text("utf-8") == "mine"


@pytest.mark.parametrize("module", ["installer.cli.main", "installer.lab.__main__", "installer.lab.cloud.__main__"])
def test_each_program_closes_its_umask_first(module: str, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    from importlib import import_module

    monkeypatch.setattr(sys, "argv", ["program", "--help"])
    start = main if module == "installer.cli.main" else import_module(module).main
    with pytest.raises(SystemExit):
        start()
    assert os.umask(0) == 0o077


# Where a file is opened for writing by its name, and why that is private all the same.
OPENED = {
    ("atomic_write.py", "open"): "a pipe or device that a person named",
    ("lab_process.py", "open"): "made by create_private_file before",
    ("doctor_place.py", "write_bytes"): "empty, and removed at once",
    ("files_and_lock.py", "open"): "the lock, made by open_lock_file before",
}


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            yield node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id, node


def test_nothing_writes_a_file_or_makes_a_folder_in_another_way() -> None:
    """A new writer uses `replace_file`, `write_private` or `write_text_atomically`; a new folder has mode 0700."""
    found, folders = set(), []
    for path in [*ROOT.glob("installer/**/*.py"), *ROOT.glob("screens/*.py")]:
        source = path.read_text("utf-8")
        # One module asks which folder it is, to keep out of it.
        makes_files = "import tempfile" in source and path.name != "beside_answers.py"
        assert not makes_files, f"{path} may leave a file in a folder of all users"
        for name, call in calls(path):
            given = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            writes = name == "open" and any(set(g) & set("wax+") and len(g) <= 3 for g in given[-1:])
            if name in ("write_text", "write_bytes") or writes:
                found.add((path.name, name))
            if name in ("mkdir", "makedirs"):
                modes = [k.value.value for k in call.keywords if k.arg == "mode" and isinstance(k.value, ast.Constant)]
                folders += [] if modes == [0o700] else [f"{path.name}:{call.lineno}"]
    assert folders == []
    assert found <= OPENED.keys()


def refused(why: str) -> str:
    with pytest.raises(InstallerError) as raised:
        settings.config_dir()
    assert raised.value.code is ErrorCode.FOLDER_UNSAFE
    assert why in raised.value.what
    return raised.value.todo


def test_a_folder_that_others_can_write_to_is_refused(home: Path) -> None:
    config = home / "config"
    config.mkdir(parents=True, mode=0o700)
    home.chmod(0o700)
    assert settings.config_dir() == config
    for open_mode in (0o707, 0o777, 0o1777):
        config.chmod(open_mode)
        assert f"chmod go-w '{config}'" in refused("can be written to by other users")
    config.chmod(0o755)
    assert settings.config_dir() == config
    # Whoever can write around it can put another one into its place.
    home.chmod(0o777)
    assert f"chmod go-w '{home}'" in refused(f"the folder {home} around it can be written to")
    home.chmod(0o1777)
    assert settings.config_dir() == config


def test_a_group_of_others_counts_as_others(home: Path) -> None:
    config = home / "config"
    config.mkdir(parents=True, mode=0o770)
    home.chmod(0o700)
    config.chmod(0o770)
    others = next((g for g in (*os.getgroups(), 12345) if g not in (0, os.getegid())), 12345)
    try:
        os.chown(config, -1, others)
    except PermissionError:  # a user without another group has no such folder
        return
    refused("can be written to by other users")


def test_a_folder_to_be_made_in_an_open_one_is_refused(home: Path) -> None:
    home.rmdir()
    home.parent.chmod(0o777)
    refused("around it can be written to by other users")
    home.parent.chmod(0o700)
    assert settings.config_dir() == home / "config"


@pytest.mark.parametrize("named", ["", "relative", "/"])
def test_without_a_runtime_folder_of_the_session_nothing_shared_is_used(
    named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "CONFIG_DIR", "DATA_DIR", "STATE_DIR", "RUNTIME_DIR"):
        monkeypatch.delenv(f"DEVICE_INSTALLER_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", named)
    inside = tmp_path if named != "/" else Path("/")
    assert settings.runtime_dir().is_relative_to(inside)


def test_all_folders_around_are_looked_at(home: Path) -> None:
    """Who can write to a folder far above exchanges what is in it."""
    far = home / "far"
    (far / "p" / "di" / "config").mkdir(parents=True, mode=0o700)
    for folder in (far, far / "p", far / "p" / "di"):
        folder.chmod(0o755)
    moved = pytest.MonkeyPatch()
    try:
        moved.setenv("DEVICE_INSTALLER_HOME", str(far / "p" / "di"))
        assert settings.config_dir() == far / "p" / "di" / "config"
        far.chmod(0o777)
        assert f"chmod go-w '{far}'" in refused(f"the folder {far} around it can be written to")
        far.chmod(0o1777)
        assert settings.config_dir() == far / "p" / "di" / "config"
        # Also of a folder in which a link on the way is.
        far.chmod(0o777)
        home.chmod(0o700)
        (home / "real" / "config").mkdir(parents=True, mode=0o700)
        (home / "real").chmod(0o700)
        (far / "link").symlink_to(home / "real")
        moved.setenv("DEVICE_INSTALLER_HOME", str(far / "link"))
        assert f"chmod go-w '{far}'" in refused("around it can be written to")
    finally:
        moved.undo()


def test_a_folder_of_data_that_was_open_is_closed(home: Path) -> None:
    for kind, folder in (("data", settings.data_dir), ("state", settings.state_dir)):
        (home / kind).mkdir(mode=0o755)
        assert folder() == home / kind
        assert mode(home / kind) == 0o700


def test_a_folder_that_a_person_names_for_the_secret_path_stays_as_it_is(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    callback_url.secret_path(shared / "path")
    callback_url.secret_path(tmp_path / "new" / "path")
    assert [mode(path) for path in (shared, shared / "path", tmp_path / "new")] == [0o755, 0o600, 0o700]


def test_measurements_go_into_no_file_that_others_can_open(tmp_path: Path) -> None:
    file, url = tmp_path / "store.sqlite", f"sqlite:///{tmp_path}/store.sqlite"
    file.touch(mode=0o666)
    tmp_path.chmod(0o755)
    with pytest.raises(InstallerError, match="can be opened by other users") as raised:
        Store.open(url)
    assert raised.value.code is ErrorCode.FOLDER_UNSAFE
    assert f"chmod 600 '{file}'" in raised.value.todo
    assert file.read_bytes() == b""
    file.chmod(0o600)
    Store.open(url).close()
