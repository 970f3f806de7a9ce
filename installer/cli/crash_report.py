"""A defect of the program: a crash report is saved, and the person is told where. It holds no secret."""

from __future__ import annotations

import sys
from pathlib import Path

from installer import __version__, output
from installer.errors import ErrorCode, InstallerError


def report_defect(error: BaseException) -> int:
    """Save a crash report and print where it is; the exit status.

    The report has the type of each exception and the lines of code that raised it. It has no message and no value,
    because those could contain a secret.
    """
    output.print_message(f"Error: a defect of device-installer ({type(error).__name__}).")
    output.print_message(f"  {saved_where(error)}")
    return ErrorCode.INTERNAL.exit_status


def saved_where(error: BaseException) -> str:
    """Save a report about the defect; where it is, and what to do with it, in words."""
    try:
        return f"A report was saved: {_save_report(error)} It contains no passphrase and no token; please send it in."
    except (OSError, InstallerError):
        return "No report could be saved."


def _save_report(error: BaseException) -> Path:
    import traceback
    from datetime import UTC, datetime

    from installer import settings
    from installer.storage.atomic_write import replace_file

    lines = [f"device-installer {__version__}, Python {sys.version.split()[0]}, {sys.platform}"]
    cause: BaseException | None = error
    while cause is not None:
        lines.append(f"{type(cause).__module__}.{type(cause).__qualname__}")
        lines += [
            f"  {Path(frame.filename).name}:{frame.lineno} in {frame.name}"
            for frame in traceback.extract_tb(cause.__traceback__, limit=-30)
        ]
        cause = cause.__cause__ or cause.__context__
    folder = settings.state_dir() / "crashes"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}.txt"
    replace_file(path, ["\n".join([*lines, ""]).encode()])
    return path
