"""Private files and folders: only their owner can read them (mode 0600 and 0700)."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from installer.storage.atomic_write import PRIVATE_MODE, replace_file

_CLOSE_ON_EXEC = getattr(os, "O_CLOEXEC", 0)
# Without it, opening a pipe in place of the file would wait for a writer.
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)


def read_private(path: Path, limit: int) -> tuple[bytes, bool]:
    """The content, and whether the file belongs to this user and nobody else can read or write it.

    A symbolic link is not followed. Raises FileNotFoundError, and OSError if it is not a file of at most `limit` bytes.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | _CLOSE_ON_EXEC | _NONBLOCK)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - opened above without following a link
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode) or info.st_size > limit:
            raise OSError(errno.EINVAL, "not a small file")
        content = file.read(limit)
    return content, os.name != "posix" or (info.st_mode & 0o077 == 0 and info.st_uid == os.geteuid())


def write_private(path: Path, content: bytes) -> None:
    """Replace the file atomically, mode 0600, in a private folder. Raises OSError."""
    make_private_folder(path.parent)
    replace_file(path, [content])
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def create_private_file(path: Path) -> None:
    """Create an empty file, mode 0600; a file that exists keeps its content and mode. Raises OSError."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | _CLOSE_ON_EXEC, PRIVATE_MODE))


def make_private_folder(folder: Path) -> None:
    """Make the folder, mode 0700. A folder that exists is closed to other users. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.name == "posix" and folder.stat().st_mode & 0o077:
        folder.chmod(0o700)
