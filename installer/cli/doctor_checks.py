"""The checks of `doctor`: Python, package names, Bluetooth, keyring, cloud, terminal, folders."""

from __future__ import annotations

import asyncio
import shutil
import sys
from importlib import metadata
from typing import Literal

from pydantic import BaseModel

from installer import settings
from installer.errors import InstallerError
from installer.flow.run_options import RunConfig
from installer.flow.run_resources import RunResources

OWN_PACKAGES = ("installer", "screens", "assets")
DISTRIBUTION = "device-installer"
KEYRING_TIMEOUT_SECONDS = 5.0


class Finding(BaseModel):
    """The result of one check."""

    subject: str
    state: Literal["ok", "warning", "error"]
    text: str
    todo: str = ""


async def run_checks(config: RunConfig) -> list[Finding]:
    """All findings, in the order in which a user would fix them."""
    resources = RunResources(config)
    try:
        return [
            _python(),
            _names(),
            *_protocol_packages(),
            await _bluetooth(resources),
            await _keyring(),
            await _cloud(resources),
            _terminal(),
            _folders(),
        ]
    finally:
        await resources.close()


def _python() -> Finding:
    return Finding(subject="python", state="ok", text=f"Python {sys.version.split()[0]} on {sys.platform}")


def _names() -> Finding:
    """Check that no other distribution has our import names. Pypa's wheel library is also called `installer`."""
    owners = metadata.packages_distributions()
    for name in OWN_PACKAGES:
        others = sorted(set(owners.get(name, [])) - {DISTRIBUTION})
        if others:
            return Finding(
                subject="names",
                state="error",
                text=f"The package name “{name}” also belongs to {', '.join(others)} in this environment.",
                todo="Install device-installer in a separate environment (uv tool install, pipx).",
            )
    return Finding(subject="names", state="ok", text="installer, screens and assets have one owner")


async def _bluetooth(resources: RunResources) -> Finding:
    from installer.bluetooth.adapter import check_adapter

    try:
        spec = resources.config.adapter
        if spec is None and resources.config.lab:
            spec = (await resources.lab()).adapter
        return Finding(subject="bluetooth", state="ok", text=await check_adapter(spec))
    except InstallerError as error:
        return Finding(subject="bluetooth", state="error", text=error.what, todo=error.todo)


async def _keyring() -> Finding:
    def backend_name() -> str:
        import keyring

        return type(keyring.get_keyring()).__module__

    try:
        backend = await asyncio.wait_for(asyncio.to_thread(backend_name), KEYRING_TIMEOUT_SECONDS)
    except TimeoutError:
        backend = "keyring.backends.fail"
    if backend.endswith((".fail", ".null")):
        return Finding(
            subject="keyring",
            state="warning",
            text="This system has no keyring that works; tokens go into a file that only you can read.",
            todo=f"The tokens are stored in {settings.data_dir() / 'accounts'}.",
        )
    return Finding(subject="keyring", state="ok", text=f"keyring: {backend}")


async def _cloud(resources: RunResources) -> Finding:
    import httpx

    if resources.config.lab:
        await resources.lab()
    cloud = resources.cloud_settings()
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
            text=f"{cloud.api} answers, but no application is configured for it (client_id).",
            todo="Register an application with the vendor, and write its client_id into "
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
            todo="The wizard needs 80×24.",
        )
    return Finding(subject="terminal", state="ok", text=f"{size.columns}×{size.lines} characters")


def _protocol_packages() -> list[Finding]:
    """A package with a protocol that cannot be used prevents no other installation."""
    from installer.provisioning import registry

    return [
        Finding(subject="protocols", state="warning", text=error.what, todo=error.todo)
        for error in registry.unusable_packages()
    ]


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
            todo="Name another folder with DEVICE_INSTALLER_HOME.",
        )
    return Finding(subject="folders", state="ok", text=f"records and data: {folder}; settings: {settings.config_dir()}")
