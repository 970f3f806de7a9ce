"""Says whether the file at a path is still the file that this program has open: a restore or a tidy-up replaces it.

A program that keeps a file open goes on to write into it after the file was moved or deleted, and nobody finds what it
wrote. So whoever keeps a file open asks here after each write, before it tells anybody that the data is stored:

    connection, identity = open_identified(path, lambda: sqlite3.connect(path), "the outbox")
    …                                           # write, commit
    identity.check()                            # raises FileReplaced

A file is recognised by its device and inode (on Windows by the volume and the file's number). The system gives that
number to no other file as long as this one is open.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from installer.errors import ErrorCode, InstallerError

# How often a keeper follows its file in one call, if that is replaced again and again.
MOST_REOPENINGS = 3
_LOOKED_AT = 1000  # entries of a folder in which a renamed file is looked for


class Change(enum.Enum):
    """What happened to an open file."""

    GONE = "gone"
    REPLACED = "replaced"
    OVERWRITTEN = "overwritten"
    UNREACHABLE = "unreachable"


class FileReplaced(InstallerError):
    """The file at the path is not the open one any more. What was written last is not confirmed to anybody."""

    def __init__(self, path: Path, what: str, change: Change, why: str) -> None:
        super().__init__(
            ErrorCode.DATABASE_FAILED,
            f"The file of {what}, {path}, {why} while this program used it.",
            "Stop this program before you restore, move or delete that file. What was written last was not confirmed.",
            path=str(path),
            change=change.value,
        )
        self.path = path
        self.change = change


class _Closable(Protocol):
    def close(self) -> object: ...


_T = TypeVar("_T", bound=_Closable)


@dataclass(frozen=True)
class OpenFileIdentity:
    """One open file. `what`: it in words, for the error (“the outbox”)."""

    path: Path
    device: int
    inode: int
    what: str = "the data"

    @classmethod
    def of_path(cls, path: Path, what: str = "the data") -> OpenFileIdentity:
        """The file that is at the path now. Raises OSError."""
        found = path.stat()
        return cls(path, found.st_dev, found.st_ino, what)

    @classmethod
    def of_descriptor(cls, descriptor: int, path: Path, what: str = "the data") -> OpenFileIdentity:
        """The file that is open under this descriptor. Raises OSError."""
        found = os.fstat(descriptor)
        return cls(path, found.st_dev, found.st_ino, what)

    def change(self) -> Change | None:
        """What happened to the file since it was opened; None: it is at its path."""
        try:
            found = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return Change.GONE
        except OSError:
            return Change.UNREACHABLE
        return None if (found.st_dev, found.st_ino) == (self.device, self.inode) else Change.REPLACED

    def check(self) -> None:
        """Raise FileReplaced unless the file at the path is the open one."""
        change = self.change()
        if change is not None:
            raise self.failure(change)

    def failure(self, change: Change) -> FileReplaced:
        """The error for this change."""
        return FileReplaced(self.path, self.what, change, self._why(change))

    def _why(self, change: Change) -> str:
        if change is Change.UNREACHABLE:
            return "could not be looked at"
        if change is Change.OVERWRITTEN:
            return "was overwritten by another program"
        name = self._new_name()
        if change is Change.REPLACED:
            return "was replaced by another file" + (f" (the one that was open is now called {name})" if name else "")
        return f"was renamed to {name}" if name else "was moved away or deleted"

    def _new_name(self) -> str | None:
        """What the open file is called now, if it is still in the same folder."""
        try:
            with os.scandir(self.path.parent) as entries:
                for _, entry in zip(range(_LOOKED_AT), entries, strict=False):
                    # Not `entry.inode()`: it says nothing about the device.
                    found = entry.stat(follow_symlinks=False)
                    if (found.st_dev, found.st_ino) == (self.device, self.inode):
                        return entry.name
        except OSError:
            pass
        return None


def open_identified(path: Path, open_it: Callable[[], _T], what: str = "the data") -> tuple[_T, OpenFileIdentity]:
    """Open the existing file at the path; the open file, and its identity.

    A file that is replaced during the opening is opened again. Raises FileReplaced if that does not end, OSError if
    there is no file, and what `open_it` raises.
    """
    for _ in range(MOST_REOPENINGS):
        before = OpenFileIdentity.of_path(path, what)
        opened = open_it()
        # The path held the same file before and after, so this is the one that was opened.
        change = before.change()
        if change is None:
            return opened, before
        opened.close()
    raise OpenFileIdentity(path, 0, 0, what).failure(Change.REPLACED)
