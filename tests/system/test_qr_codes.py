"""QR codes read by zbar, which takes no negative: of `account login` in tmux, of the wizard, and of labels."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.terminal_theme import TerminalTheme

from installer.batch import labels
from screens.batch import LabelDialog
from screens.qr_code import QrScreen
from tests.browser import chromium
from tests.flow.support import LabWorld
from tests.screens.driver import read_codes, until
from tests.screens.scenes import running
from tests.screens.test_qr_codes_are_read import LABEL
from tests.terminal import PROGRAM, Terminal
from tests.terminal_picture import DARK_TERMINAL, LIGHT_TERMINAL, picture, picture_of_output


@pytest.fixture
def terminal(home: Path, world: LabWorld, tmp_path: Path) -> Iterator[Terminal]:
    application = {
        "DEVICE_INSTALLER_CLIENT_ID": world.state.client_id,
        "DEVICE_INSTALLER_CLIENT_SECRET": world.state.client_secret.get_secret_value(),
    }
    here = {"DEVICE_INSTALLER_HOME": str(home), "LANG": "C.UTF-8", "TERM": "xterm-256color"}
    one = Terminal(tmp_path, {**here, **application})
    yield one
    one.tmux("kill-server")


def zbar(path: Path) -> list[str]:
    done = subprocess.run(["zbarimg", "--quiet", "--raw", str(path)], capture_output=True, text=True, timeout=30)
    return done.stdout.splitlines()


def login(world: LabWorld) -> str:
    return f"{PROGRAM} account login me --no-browser --cloud {world.state.cloud}; echo status=$?; sleep 1000"


def test_zbar_reads_the_code_of_a_sign_in(terminal: Terminal, world: LabWorld, tmp_path: Path) -> None:
    terminal.tmux("new-session", "-d", "-x", "120", "-y", "50", login(world))
    terminal.wait_text("scan the code")
    drawn = terminal.tmux("capture-pane", "-p", "-e", "-N", "-S", "-100")
    backgrounds: dict[str, TerminalTheme] = {"dark": DARK_TERMINAL, "light": LIGHT_TERMINAL}
    for name, background in backgrounds.items():
        path = tmp_path / f"{name}.png"
        picture_of_output(drawn, background).save(path)
        [text] = zbar(path)
        assert text.startswith(f"{world.state.cloud}/")
        assert text in "".join(terminal.screen(history=True).split())


def test_a_small_window_has_the_address_and_the_reason(terminal: Terminal, world: LabWorld) -> None:
    terminal.start(login(world))
    shown = terminal.wait_text("too small for a QR code")
    assert "▀" not in shown
    assert f"or anywhere: {world.state.cloud}" in " ".join(shown.split())


@pytest.mark.parametrize("light", [True, False])
async def test_zbar_reads_the_codes_of_the_wizard(tmp_path: Path, light: bool) -> None:
    async with running(size=(80, 40), light=light) as (pilot, _):
        for screen in (LabelDialog(LABEL), QrScreen(LABEL.code, "a test")):
            await pilot.app.push_screen(screen)
            await until(pilot, lambda: read_codes(pilot) == [LABEL.code], "the code")
            path = tmp_path / "wizard.png"
            picture(pilot.app.screen._compositor.render_strips(pilot.app.size)).save(path)
            assert zbar(path) == [LABEL.code]


def test_zbar_reads_a_sheet_of_labels_that_chromium_draws(tmp_path: Path) -> None:
    sheet, drawn = tmp_path / "labels.html", tmp_path / "labels.png"
    labels.write([LABEL], sheet)
    with chromium(tmp_path) as browser:
        browser.get(sheet.as_uri())
        assert browser.save_screenshot(str(drawn))
    assert zbar(drawn) == [LABEL.code]
