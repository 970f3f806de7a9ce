"""Runs a command's coroutine and turns its failures into words and an exit status."""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from installer import __version__, output
from installer.errors import ErrorCode, InstallerError

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
    """Run to the end, or raise TIMEOUT after `timeout` seconds."""

    # Imported late: `--help` runs nothing and must not wait for it.
    import asyncio

    async def limited() -> T:
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                return await coroutine
        except TimeoutError:
            if not limit.expired():
                raise
            raise InstallerError(
                ErrorCode.TIMEOUT,
                "The time given is over.",
                "Give more with --timeout.",
            ) from None

    return asyncio.run(limited())


def tell(error: InstallerError) -> int:
    """Say what happened and what to do; the exit status."""
    output.words(f"Error: {error.what}")
    if error.todo:
        output.words(f"  {error.todo}")
    return error.exit_status


def tell_defect(error: BaseException) -> int:
    """Save a crash report and say where it is; the exit status.

    The report names places in the code and the kind of each exception, but no message and no
    value: those could hold a secret.
    """
    try:
        where = f"A report was saved: {_report(error)}"
    except OSError:
        where = "No report could be saved."
    output.words(f"Error: a defect of device-installer ({type(error).__name__}).")
    output.words(f"  {where} It holds no passphrase and no token; please send it in.")
    return ErrorCode.INTERNAL.exit_status


def _report(error: BaseException) -> Path:
    import traceback
    from datetime import UTC, datetime

    from installer import settings

    lines = [f"device-installer {__version__}, Python {sys.version.split()[0]}, {sys.platform}"]
    seen: BaseException | None = error
    while seen is not None:
        lines.append(f"{type(seen).__module__}.{type(seen).__qualname__}")
        lines += [
            f"  {Path(frame.filename).name}:{frame.lineno} in {frame.name}"
            for frame in traceback.extract_tb(seen.__traceback__, limit=-30)
        ]
        seen = seen.__cause__ or seen.__context__
    folder = settings.state_dir() / "crashes"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}.txt"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path
