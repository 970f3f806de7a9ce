"""The checks of `doctor` for where it runs: the terminal, added protocols, and the program's folders."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Literal

from installer import settings
from installer.cli.doctor_finding import Computer, Finding
from installer.storage.unusable_paths import advice, reason


async def check_terminal(_computer: Computer) -> Finding:
    """Whether it is large enough for the wizard."""
    size = shutil.get_terminal_size()
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return Finding(subject="terminal", state="warning", text="No terminal: only scripted installations work here.")
    if size.columns < 80 or size.lines < 24:
        return Finding(
            subject="terminal",
            state="warning",
            text=f"The terminal has {size.columns}×{size.lines} characters.",
            todo="The wizard needs 80×24.",
        )
    return Finding(subject="terminal", state="ok", text=f"{size.columns}×{size.lines} characters")


async def check_protocol_packages(_computer: Computer) -> list[Finding]:
    """A package with a protocol that cannot be used prevents no other installation."""
    from installer.provisioning import registry

    return [
        Finding(subject="protocols", state="warning", text=error.what, todo=error.todo)
        for error in registry.unusable_packages()
    ]


async def check_folders(_computer: Computer) -> list[Finding]:
    """Whether each folder is there or can be made, and can be written to. Settings are only read."""
    data = settings.data_dir()
    found = [
        *_unwritable(data, "error"),
        # Without them an installation works: no crash report is saved, no lab is started.
        *_unwritable(settings.state_dir(), "warning"),
        *_unwritable(settings.runtime_dir(), "warning"),
    ]
    usable = f"records and data: {data}; settings: {settings.config_dir()}"
    return found or [Finding(subject="folders", state="ok", text=usable)]


def _unwritable(folder: Path, state: Literal["warning", "error"]) -> list[Finding]:
    """What is wrong with this folder, if anything."""
    probe = folder / ".probe"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        why = reason(error, probe)
        text = f"{folder} cannot be written to: {why}."
        return [Finding(subject="folders", state=state, text=text, todo=advice(error))]
    return []
