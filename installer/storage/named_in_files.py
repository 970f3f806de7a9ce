"""The variables that this computer's own files name as places of secrets, also if this run did not load the files.

Whoever knows the files declares them (`installer/settings.py`). They are read when a child is started, and only for
the names of variables: `{ env = "NAME" }`, or a text `env:NAME`, anywhere in the file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from installer.errors import InstallerError
from installer.text.written_by_people import UnreadableText, read_toml

MAX_FILE_BYTES = 1024 * 1024
_PREFIX = "env:"

_declared: list[Callable[[], tuple[Path, ...]]] = []


def declare_files(files: Callable[[], tuple[Path, ...]]) -> None:
    """Say which files name secrets. `files` may raise InstallerError."""
    _declared.append(files)


def variables_named_in_files() -> frozenset[str] | None:
    """The variables that these files name; None if one of the files cannot be read: then any may be named."""
    found: set[str] = set()
    try:
        for path in (path for files in _declared for path in files()):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                path.lstat()
                if not path.is_file():
                    return None  # a pipe: this run has read it, or nobody can any more
                found.update(_names(read_toml(path, MAX_FILE_BYTES)))
    except (InstallerError, UnreadableText, OSError, RecursionError):
        return None
    return frozenset(found)


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("env"), str):
            yield value["env"]
        for inner in value.values():
            yield from _names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _names(inner)
    elif isinstance(value, str) and value.startswith(_PREFIX):
        yield value.removeprefix(_PREFIX)
