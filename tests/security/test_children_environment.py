"""What this program starts gets none of its secrets: no variable, no open file, no word of its command line."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from installer import settings
from installer.cloud import browser_start
from installer.flow import lab_process
from installer.gateway import system_service
from installer.storage.child_environment import environment_without_secrets, smallest_environment
from installer.storage.secret_references import SecretRef
from tests.installer.cloud.conftest import _own_home

__all__ = ["_own_home"]

ROOT = Path(__file__).parents[2]
# The variables of this program that hold a secret, one that a reference of this run names, and one of a library.
SECRETS = {
    "DEVICE_INSTALLER_CLIENT_SECRET": "secret-1-that-no-child-may-see",
    "DEVICE_INSTALLER_LEDGER_PASSWORD": "secret-2-that-no-child-may-see",
    "PGPASSWORD": "secret-3-that-no-child-may-see",
    "WARD_3": "secret-4-that-no-child-may-see",
    "DEVICE_INSTALLER_ADDED_LATER": "secret-5-that-no-child-may-see",
}
# Not of this program: a child that runs on by itself gets it all the same only if it needs it.
UNKNOWN = {"SHELLS_OWN_TOKEN": "secret-6-that-no-lasting-child-may-see", "TEXTUAL_LOG": "/nowhere"}


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**SECRETS, **UNKNOWN}.items():
        monkeypatch.setenv(name, value)
    SecretRef(env="WARD_3")


def wait_for_file(path: Path) -> str:
    end = time.monotonic() + 20
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.01)
    return path.read_text("utf-8")


def script(path: Path, says: str) -> Path:
    """A program that writes what it got into `says`, whole or not at all."""
    path.write_text(f'#!/bin/sh\n{{ echo "$@"; env; }} > "{says}.new"; mv "{says}.new" "{says}"\n')
    path.chmod(0o755)
    return path


def test_a_reference_and_a_name_say_what_is_kept_back() -> None:
    kept = environment_without_secrets()
    assert not set(SECRETS) & set(kept)
    assert kept["PATH"] == os.environ["PATH"]
    assert kept["SHELLS_OWN_TOKEN"]  # a browser gets what is not ours
    assert not (set(SECRETS) | set(UNKNOWN)) & set(smallest_environment())


@pytest.mark.parametrize("file", ["config.toml", "networks.toml"])
@pytest.mark.parametrize(
    "text",
    [
        '[networks.clinic]\nssid = "Clinic"\npassphrase = { env = "SHELLS_OWN_TOKEN" }\n',
        '[cloud]\nclient_secret = "env:SHELLS_OWN_TOKEN"\n',
        '[[of_a_later_version]]\nsecret = { env = "SHELLS_OWN_TOKEN" }\n',
        "damaged [",
        None,
    ],
)
def test_what_the_own_files_name_is_kept_back_also_if_this_run_did_not_load_them(
    monkeypatch: pytest.MonkeyPatch, file: str, text: str | None
) -> None:
    monkeypatch.setenv("DISPLAY", ":7")
    monkeypatch.setenv("BROWSER", "browser %s")
    folder = settings.config_dir()
    folder.mkdir(parents=True, mode=0o700)
    if text is None:
        (folder / file).mkdir()
    else:
        (folder / file).write_text(text)
    kept = environment_without_secrets()
    assert "SHELLS_OWN_TOKEN" not in kept
    assert (kept["DISPLAY"], kept["BROWSER"], kept["PATH"]) == (":7", "browser %s", os.environ["PATH"])


def test_a_file_from_elsewhere_cannot_take_what_every_program_needs() -> None:
    SecretRef(env="PATH")
    SecretRef(env="HOME")
    assert environment_without_secrets()["PATH"] == os.environ["PATH"]
    assert smallest_environment()["PATH"] == os.environ["PATH"]


def test_the_folders_and_the_language_reach_a_lasting_child(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = {
        "DEVICE_INSTALLER_RUNTIME_DIR": "/r",
        "XDG_RUNTIME_DIR": "/x",
        "LC_ALL": "C.UTF-8",
        "TMPDIR": "/t",
        "PYTHONPATH": "/p",
        "TZ": "UTC",
    }
    for name, value in needed.items():
        monkeypatch.setenv(name, value)
    assert needed.items() <= smallest_environment().items()


def test_the_browser_gets_the_address_and_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = tmp_path / "said"
    monkeypatch.setenv("BROWSER", f"{script(tmp_path / 'browser', str(said))} %s")
    assert browser_start.open_browser("http://localhost:1/abcd")
    text = wait_for_file(said)
    assert text.splitlines()[0] == "http://localhost:1/abcd"
    assert f"BROWSER={tmp_path}" in text
    assert not [value for value in SECRETS.values() if value in text]


def test_a_browser_that_cannot_be_started_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BROWSER", f"{tmp_path / 'nothing'} %s")
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert browser_start.open_browser("http://localhost:1/abcd") is False


def test_a_command_of_the_system_gets_no_secret(tmp_path: Path) -> None:
    said = tmp_path / "said"
    assert system_service._run([str(script(tmp_path / "systemctl", str(said))), "enable"]) == ""
    assert not [value for value in SECRETS.values() if value in said.read_text("utf-8")]


def test_the_service_of_the_gateway_gets_no_secret() -> None:
    service = system_service.make_service([], "linux")
    text = service.text + service.environment_file_text
    assert not [value for value in {**SECRETS, **UNKNOWN}.values() if value in text]


async def test_the_lab_keeps_no_variable_and_no_open_file_of_who_started_it(tmp_path: Path) -> None:
    scenario = tmp_path / "empty.toml"
    scenario.write_text("name = 'empty'\n")
    private = tmp_path / "private"
    private.write_text("secret-7-that-no-child-may-see")
    with private.open() as file:
        os.set_inheritable(file.fileno(), True)
        state = await lab_process.start(tmp_path / "lab.json", scenario)
    try:
        process = Path(f"/proc/{state.pid}")
        environment = (process / "environ").read_text("utf-8", "replace")
        command = (process / "cmdline").read_text("utf-8", "replace")
        files = [str(one.readlink()) for one in (process / "fd").iterdir() if one.is_symlink()]
    finally:
        await lab_process.stop(tmp_path / "lab.json")
    assert "PATH=" in environment
    for value in {**SECRETS, **UNKNOWN}.values():
        assert value not in environment + command
    assert str(private) not in files
    assert state.token.get_secret_value() not in environment + command


def test_the_search_for_a_keyring_starts_no_program() -> None:
    """The library would ask a compiler for the frameworks of another system, and hand the environment to it."""
    script = (
        "import sys\n"
        "starts = ('subprocess.Popen', 'os.system', 'os.exec', 'os.posix_spawn', 'os.fork')\n"
        "sys.addaudithook(lambda event, given: print(event, given) if event.startswith(starts) else None)\n"
        "from installer.storage.keyring_backend import keyring_library\n"
        "keyring_library().get_keyring()\n"
        "from keyring.backend import KeyringBackend\n"
        "print(sorted(one.__module__ for one in KeyringBackend._classes if 'macOS' in one.__module__))\n"
    )
    kept = {name: value for name, value in os.environ.items() if name != "PYTHON_KEYRING_BACKEND"}
    done = subprocess.run([sys.executable, "-c", script], env=kept, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "['keyring.backends.macOS']\n", "")


STARTERS = {"Popen", "run", "call", "check_call", "check_output", "create_subprocess_exec", "create_subprocess_shell"}
NEVER = {"system", "popen", "startfile", "spawnl", "spawnv", "posix_spawn", "getoutput", "getstatusoutput"}
ALLOWED = {"environment_without_secrets", "smallest_environment"}


def child_starts() -> list[tuple[str, ast.Call]]:
    """Every call in the program that starts another one: its place, the call."""
    found = []
    for folder in ("installer", "screens"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text("utf-8")
            if not any(word in text for word in ("subprocess", "webbrowser", "os.", "startfile")):
                continue
            for node in ast.walk(ast.parse(text)):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                    continue
                owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
                starts = node.func.attr in STARTERS and owner in ("subprocess", "asyncio")
                never = node.func.attr in NEVER and owner in ("os", "subprocess")
                browser = owner == "webbrowser" and node.func.attr.startswith(("open", "get"))
                if (starts and (owner, node.func.attr) != ("asyncio", "run")) or never or browser:
                    found.append((f"{path.relative_to(ROOT)}:{node.lineno}", node))
    return found


def test_every_child_gets_an_environment_that_was_thought_about() -> None:
    starts = child_starts()
    assert len(starts) >= 3  # the lab, a command of the system, the browser
    for place, call in starts:
        given = next((keyword.value for keyword in call.keywords if keyword.arg == "env"), None)
        name = given.func.id if isinstance(given, ast.Call) and isinstance(given.func, ast.Name) else None
        assert name in ALLOWED, f"{place} gives its child the whole environment"


def test_nothing_starts_a_child_in_another_way() -> None:
    text = "".join(p.read_text("utf-8") for p in sorted((ROOT / "installer").rglob("*.py")))
    for way in ("os.fork(", "os.execv", "multiprocessing", "ProcessPoolExecutor", "shell=True"):
        assert way not in text, way
