"""The wizard in a real terminal: what a person types goes to the device, and nowhere else."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.security.observed_run import PROGRAM, SETTINGS, Observed, webhook_server
from tests.security.secret_matrix import SEEN_BY_WIZARD, Secret, WayOut
from tests.terminal import Terminal, choose

DEVICES = ("Body+ 3C", "BPM Connect", "Sleep", "Thermo", "PROV_CE03C0")


def test_what_is_typed_goes_to_the_device_only(observed: Observed, terminal: Terminal) -> None:
    log = observed.folder.parent / "textual.log"
    written = observed.folder.parent / "terminal"
    with webhook_server() as receiver:
        receives = f'{SETTINGS}[notifications]\nurl = "{receiver.base}/{{path}}"\n'
        (observed.home / "config" / "config.toml").write_text(receives, "utf-8")
        _install(observed, terminal, written, log)
    assert receiver.base.encode() in written.read_bytes()  # the address is shown, so its secret could be
    assert observed.world.device("bpm-connect")["joined"] == "Home"
    observed.add(WayOut.WIZARD, "terminal", written.read_bytes())
    observed.add(WayOut.WIZARD, "scrollback", terminal.screen(history=True).encode())
    if log.exists():
        observed.add(WayOut.LOGS, "log of Textual", log.read_bytes())
    observed.collect()
    assert b"BPM Connect" in observed.ways[WayOut.WIZARD]["terminal"]
    assert {secret for secret, _ in observed.secrets()} == SEEN_BY_WIZARD
    assert "\n".join(observed.leaks()) == ""


def _install(observed: Observed, terminal: Terminal, written: Path, log: Path) -> None:
    """Install a device; the terminal's bytes go to `written`, and would go to `log` if Textual's variable counted."""
    state = observed.world.state
    terminal.start("sh")
    terminal.pipe(written)
    # Debugging variables of libraries must not change it: Textual would write every key to this file.
    wizard = f"wizard --adapter {state.adapter} --cloud {state.cloud}"
    terminal.text(f"TEXTUAL_LOG={log} {sys.executable} -c '{PROGRAM}' {wizard}; echo status=$?")
    terminal.keys("Enter")
    terminal.wait_text("Install a device")
    terminal.keys("Enter")
    # The list is complete: a device that comes later could move the row below the cursor.
    terminal.wait(lambda s: all(name in s for name in DEVICES), "all devices")
    choose(terminal, "BPM Connect")
    terminal.wait_text("Is it this BPM Connect?")
    terminal.keys("Enter")
    terminal.wait(lambda s: "Bluetooth only" in s and "❯" in s, "the sync methods")
    terminal.keys("Enter")
    terminal.wait_text("Capital and small letters differ")
    terminal.text(Secret.PROOF.value)
    terminal.keys("Enter")
    choose(terminal, "Home")
    terminal.wait_text("passphrase of")
    terminal.text(Secret.PASSPHRASE.value)
    # Copying it with the keys of the field puts it into no clipboard.
    terminal.keys("Home", "S-End", "C-c", "C-c")
    terminal.keys("Enter")
    terminal.wait_text("Send")
    terminal.keys("Enter")
    choose(terminal, "Sign in")
    terminal.wait_text("Open the browser")
    terminal.keys("o")
    terminal.wait_text("Is this your account?")
    terminal.keys("Enter")
    # The address that the settings name, with the secret path that the program has made.
    terminal.wait_text("Yes, at the address that is known here")
    terminal.keys("Enter")
    terminal.wait_text("is installed")
    terminal.keys("q")
    terminal.wait_text("status=0")
