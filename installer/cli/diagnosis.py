"""What `doctor` looks at: everything that an installation on this computer depends on."""

from __future__ import annotations

import asyncio
import shutil
import sys
from importlib import metadata
from typing import Literal

from pydantic import BaseModel

from installer import settings
from installer.errors import InstallerError
from installer.flow.assembly import Assembly, Place

OWN_NAMES = ("installer", "screens", "assets")
DISTRIBUTION = "device-installer"
KEYRING_SECONDS = 5.0


class Finding(BaseModel):
    """One line of the diagnosis."""

    subject: str
    state: Literal["ok", "warning", "error"]
    text: str
    todo: str = ""


async def diagnose(place: Place) -> list[Finding]:
    """All findings, in the order in which a person would want to mend them."""
    assembly = Assembly(place)
    try:
        return [
            _python(),
            _names(),
            await _bluetooth(assembly),
            await _keyring(),
            await _cloud(assembly),
            _terminal(),
            _folders(),
        ]
    finally:
        await assembly.close()


def _python() -> Finding:
    return Finding(subject="python", state="ok", text=f"Python {sys.version.split()[0]} on {sys.platform}")


def _names() -> Finding:
    """The import name `installer` also belongs to pypa's wheel library; the two cannot share an environment."""
    owners = metadata.packages_distributions()
    for name in OWN_NAMES:
        others = sorted(set(owners.get(name, [])) - {DISTRIBUTION})
        if others:
            return Finding(
                subject="names",
                state="error",
                text=f"The package name “{name}” also belongs to {', '.join(others)} in this environment.",
                todo="Install device-installer into an environment of its own (uv tool install, pipx).",
            )
    return Finding(subject="names", state="ok", text="installer, screens and assets have one owner")


async def _bluetooth(assembly: Assembly) -> Finding:
    from installer.bluetooth.adapter import check

    try:
        spec = assembly.place.adapter
        if spec is None and assembly.place.lab:
            spec = (await assembly.lab()).adapter
        return Finding(subject="bluetooth", state="ok", text=await check(spec))
    except InstallerError as error:
        return Finding(subject="bluetooth", state="error", text=error.what, todo=error.todo)


async def _keyring() -> Finding:
    def look() -> str:
        import keyring

        return type(keyring.get_keyring()).__module__

    try:
        backend = await asyncio.wait_for(asyncio.to_thread(look), KEYRING_SECONDS)
    except TimeoutError:
        backend = "keyring.backends.fail"
    if backend.endswith((".fail", ".null")):
        return Finding(
            subject="keyring",
            state="warning",
            text="This system has no keyring that answers; tokens go into a file that only you can read.",
            todo=f"They would be in {settings.data_dir() / 'accounts'}.",
        )
    return Finding(subject="keyring", state="ok", text=f"keyring: {backend}")


async def _cloud(assembly: Assembly) -> Finding:
    import httpx

    if assembly.place.lab:
        await assembly.lab()
    cloud = assembly.cloud_settings()
    try:
        async with httpx.AsyncClient(timeout=10.0) as client:
            await client.get(cloud.api)
    except httpx.HTTPError as error:
        return Finding(
            subject="cloud",
            state="error",
            text=f"{cloud.api} does not answer ({type(error).__name__}).",
            todo="Check the Internet connection, a proxy, or --cloud.",
        )
    if not cloud.client_id:
        return Finding(
            subject="cloud",
            state="warning",
            text=f"{cloud.api} answers, but no application is registered there (client_id).",
            todo="Register one with the vendor and write it into "
            f"{settings.config_dir() / 'config.toml'}; see docs/account.md.",
        )
    return Finding(subject="cloud", state="ok", text=f"{cloud.api} answers")


def _terminal() -> Finding:
    size = shutil.get_terminal_size()
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return Finding(subject="terminal", state="warning", text="No terminal: only scripted installations work here.")
    if size.columns < 80 or size.lines < 24:
        return Finding(
            subject="terminal",
            state="warning",
            text=f"The terminal has {size.columns}×{size.lines} characters.",
            todo="The wizard wants 80×24.",
        )
    return Finding(subject="terminal", state="ok", text=f"{size.columns}×{size.lines} characters")


def _folders() -> Finding:
    folder = settings.data_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = folder / ".probe"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        return Finding(
            subject="folders",
            state="error",
            text=f"{folder} cannot be written to ({error.strerror}).",
            todo="Give another place with DEVICE_INSTALLER_HOME.",
        )
    return Finding(subject="folders", state="ok", text=f"records and data: {folder}")
