"""No variable makes a library write a secret down, no log is printed, no core file is left."""

from __future__ import annotations

import importlib.metadata
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from packaging.requirements import Requirement
from textual.widgets import Input

from installer.catalogue.catalogue_file import load
from installer.cli.debugging_variables import ALLOW, DEBUGGING_VARIABLES
from screens.app import WizardApp

NAMES = tuple(name for name, _, _ in DEBUGGING_VARIABLES)
SECRET = "word-of-the-test-5512"
# A name in a library that may be such a variable.
_SUSPICIOUS = re.compile(r"[\"']([A-Z][A-Z0-9_]*)[\"']")
_WORDS = re.compile(r"LOG|DEBUG|TRACE|KEY_?LOG|SNOOP|DUMP|VERBOSE|RECORD|SCREENSHOT|DEVTOOLS|PROFIL|TEXTUAL")
_READS_ENVIRONMENT = re.compile(r"environ|getenv")
# Those that were looked at, and write nothing down.
HARMLESS = {
    "ALLUSERSPROFILE": "a folder of Windows",
    "USERPROFILE": "a folder of Windows",
    "TEXTUAL_ALLOW_SIGNALS": "whether Ctrl-C is a signal",
    "TEXTUAL_ANIMATIONS": "how much moves on the screen",
    "TEXTUAL_COLOR_SYSTEM": "the colours of the screen",
    "TEXTUAL_DIM_FACTOR": "the colours of the screen",
    "TEXTUAL_DISABLE_KITTY_KEY": "how the terminal tells keys",
    "TEXTUAL_FILTERS": "the colours of the screen",
    "TEXTUAL_FPS": "how often the screen is drawn",
    "TEXTUAL_PRESS": "keys that are pressed at the start; whoever sets it knows them",
    "TEXTUAL_SLOW_THRESHOLD": "a number of milliseconds",
    "TEXTUAL_SMOOTH_SCROLL": "how the screen moves",
    "TEXTUAL_SPEEDUPS": "which code draws",
    "TEXTUAL_THEME": "the colours of the screen",
    "VSCODE_VERBOSE_LOGGING": "a report of rich that nothing here calls",
    "WEBSOCKETS_MAX_LOG_SIZE": "the length of a line in a log that nobody keeps",
    "TYPER_STANDARD_TRACEBACK": "the look of a traceback that is never printed",
}
# Words in capital letters that are no variables.
_NO_VARIABLES = re.compile(r"^(W|CURLOPT_)")


def run(code: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in NAMES}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _distributions() -> Iterator[importlib.metadata.Distribution]:
    """This program's distribution and all that it needs, as installed here."""
    wanted, seen = ["device-installer"], set()
    while wanted:
        name = wanted.pop().lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another system
        yield found
        requirements = [Requirement(text) for text in found.requires or ()]
        wanted += [r.name for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]


def _suspicious_names() -> dict[str, str]:
    """The names in the libraries, and Python, that may be such variables: {name: file}."""
    files = [
        Path(str(file.locate()))
        for distribution in _distributions()
        if distribution.metadata["Name"] != "device-installer"
        for file in distribution.files or ()
        if file.suffix == ".py"
    ]
    files += [
        Path(ssl.__file__),
        *Path(ssl.__file__).parent.glob("asyncio/*.py"),
        *Path(ssl.__file__).parent.glob("logging/*.py"),
    ]
    found: dict[str, str] = {}
    for file in files:
        try:
            text = file.read_text("utf-8", "replace")
        except OSError:
            continue
        if _READS_ENVIRONMENT.search(text) and "lexers" not in file.parts:
            for name in _SUSPICIOUS.findall(text):
                if _WORDS.search(name) and ("_" in name or len(name) > 8 or name == "TEXTUAL"):
                    found[name] = str(file)
    return found


def test_every_debugging_variable_of_the_libraries_has_its_place() -> None:
    found = _suspicious_names()
    places = {*NAMES, *HARMLESS}
    assert {name: file for name, file in found.items() if name not in places and not _NO_VARIABLES.match(name)} == {}
    # The search itself works.
    assert {
        "TEXTUAL_LOG",
        "TEXTUAL",
        "BUMBLE_SNOOPER",
        "BLEAK_LOGGING",
        "SSLKEYLOGFILE",
        "PYTHONASYNCIODEBUG",
    } <= found.keys()


def test_no_variable_reaches_a_library_or_another_process(tmp_path: Path) -> None:
    code = (
        "import os, sys, subprocess; from installer.cli.main import main\n"
        "try: main(['--version'])\nexcept SystemExit: pass\n"
        "command = [sys.executable, '-c', 'import os; print(*os.environ)']\n"
        "left = subprocess.run(command, capture_output=True, text=True)\n"
        f"names = {NAMES!r}\n"
        "print([n for n in names if n in os.environ or n in left.stdout.split()])"
    )
    done = run(code, dict.fromkeys(NAMES, str(tmp_path / "file")))
    assert done.stdout.splitlines()[-1] == "[]"
    assert len(done.stderr.splitlines()) == 1
    assert all(name in done.stderr for name in NAMES)
    assert "would write secrets down" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_developer_keeps_them_and_is_told(tmp_path: Path) -> None:
    code = (
        "import os; from installer.cli.main import main\n"
        "try: main(['--version'])\nexcept SystemExit: pass\n"
        "print(os.environ['TEXTUAL_LOG'])"
    )
    done = run(code, {"TEXTUAL_LOG": "a.log", ALLOW: "1"})
    assert done.stdout.splitlines()[-1] == "a.log"
    assert "libraries may write secrets down" in done.stderr


def test_no_core_file_no_log_and_no_debug_mode_in_a_run() -> None:
    code = (
        "import asyncio, logging, resource, sys\n"
        "from installer.cli import run_command\n"
        "from installer.cli.core_files import no_core_file\n"
        "no_core_file()\n"
        "async def work():\n"
        "    logging.getLogger('asyncio').error('SECRET'); logging.getLogger('bleak').critical('SECRET')\n"
        "    logging.basicConfig(level=logging.DEBUG); logging.getLogger('httpx').info('SECRET')\n"
        "    return asyncio.get_running_loop().get_debug()\n"
        "print(run_command.run(work()), resource.getrlimit(resource.RLIMIT_CORE)[0])\n"
        "if sys.platform.startswith('linux'):\n"
        "    import ctypes; assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0  # PR_GET_DUMPABLE\n"
    ).replace("SECRET", SECRET)
    done = run(code, {"PYTHONDEVMODE": "1", "PYTHONWARNINGS": "ignore"})
    assert done.stdout == "False 0\n", done.stderr
    assert SECRET not in done.stderr


def test_no_warning_of_a_library_reaches_a_person() -> None:
    code = (
        "import warnings; from installer import output; from installer.cli.main import main\n"
        "class Gone:\n    def __del__(self): raise OSError('not caught')\n"
        "printed = output.print_result\n"
        "def result(text):\n    warnings.warn('a hint', FutureWarning); Gone(); printed(text)\n"
        "output.print_result = result\n"
        "main(['--version'])"
    )
    done = run(code, {})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


async def test_the_wizard_says_what_is_ignored_and_offers_no_picture_of_the_screen() -> None:
    app = WizardApp(lambda *_: None, catalogue=load(), notice="TEXTUAL_LOG is ignored.")  # type: ignore[arg-type, return-value]
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert [notification.message for notification in app._notifications] == ["TEXTUAL_LOG is ignored."]
        commands = " ".join(f"{c.title} {c.help}" for c in app.get_system_commands(app.screen)).lower()
        assert "screenshot" not in commands


async def test_a_picture_of_the_screen_shows_no_secret_unless_a_person_shows_it() -> None:
    from screens.widgets import SecretInput

    app = WizardApp(lambda *_: None, catalogue=load())  # type: ignore[arg-type, return-value]
    async with app.run_test(size=(80, 24)) as pilot:
        field = SecretInput("passphrase")
        await app.screen.mount(field)
        field.value = SECRET
        await pilot.pause()
        assert SECRET not in app.export_screenshot()
        field.clear_secret()
        await pilot.pause()
        assert isinstance(field, Input)
        assert SECRET not in app.export_screenshot()
