"""What this station itself chose for an installation, in a private file: the ledger may be written by others.

A row of a shared ledger carries no place of a secret, no adapter and no path. For a comfortable `resume` at the same
station they are kept here, by the id of the installation, together with the device and the network that they are for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from installer import settings
from installer.storage.private_files import OTHER_OWNER, read_private, write_private
from installer.storage.unusable_paths import reason

FOLDER = "own-choices"
MAX_FILES = 500  # the oldest are removed
MAX_BYTES = 64 * 1024
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class StationChoices:
    """The choices for one installation. `address`: the chosen device, empty before it is found.

    `answers`: as in a record of a private ledger. `options`: as in `Context.options`.
    """

    address: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


def load(installation: str) -> StationChoices | None:
    """What this station chose for this installation; None if it did not run here, or the file cannot be trusted."""
    if not _ID.fullmatch(installation):
        return None
    try:
        content, exposed = read_private(_file(installation), MAX_BYTES)
        found = json.loads(content) if exposed != OTHER_OWNER else None
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    address, answers, options = found.get("address"), found.get("answers"), found.get("options")
    if not (isinstance(address, str) and isinstance(answers, dict) and isinstance(options, dict)):
        return None
    return StationChoices(address, answers, options)


def save(installation: str, choices: StationChoices) -> None:
    """Keep them, in place of older ones of this installation. Raises OSError."""
    if not _ID.fullmatch(installation):
        return
    file = _file(installation)
    if not file.exists():
        _prune(file.parent)
    data = {"version": 1, "address": choices.address, "answers": choices.answers, "options": choices.options}
    write_private(file, json.dumps(data, indent=1).encode())


async def keep(installation: str, choices: StationChoices) -> str:
    """Like `save`, outside the event loop; why it failed, as a sentence, or an empty text."""
    try:
        await asyncio.to_thread(save, installation, choices)
    except OSError as error:
        why = reason(error, _file(installation))
        return f"The choices of this station cannot be kept ({why}): `resume` will ask for them again."
    return ""


def remove(installation: str) -> None:
    """Forget them: nothing is left to resume."""
    if _ID.fullmatch(installation):
        with contextlib.suppress(OSError):
            _file(installation).unlink(missing_ok=True)


def remove_all() -> None:
    """Forget those of all installations, also of those that have no record any more."""
    for file in (settings.data_dir() / FOLDER).glob("*.json"):
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)


def _file(installation: str) -> Path:
    return settings.data_dir() / FOLDER / f"{installation}.json"


def _prune(folder: Path) -> None:
    """Make room for one more."""
    with contextlib.suppress(OSError):
        files = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime)
        for file in files[: max(0, len(files) - MAX_FILES + 1)]:
            file.unlink(missing_ok=True)
