"""Files that only their owner can read: read with a check, replaced in one step."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path


def read_private(path: Path, limit: int) -> tuple[bytes, bool]:
    """The content, and whether the file belongs to this user and nobody else can read or write it.

    A link is not followed. Raises FileNotFoundError, or OSError for what is no file of at most `limit` bytes.
    """
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | _NONBLOCK)
    with open(fd, "rb") as file:  # noqa: PTH123 - opened above without following a link
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode) or info.st_size > limit:
            raise OSError(errno.EINVAL, "not a small file")
        content = file.read(limit)
    return content, os.name != "posix" or (info.st_mode & 0o077 == 0 and info.st_uid == os.geteuid())


# A pipe in place of the file must not be waited for.
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)


def write_private(path: Path, content: bytes) -> None:
    """Replace the file, mode 0600, so that a crash leaves the old or the new one whole. Raises OSError."""
    make_private(path.parent)
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        with open(fd, "wb") as file:  # noqa: PTH123 - opened above with its mode
            file.write(content)
            file.flush()
            os.fsync(fd)
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def make_private(folder: Path) -> None:
    """Make the folder, mode 0700, or close the one that is there to others. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.name == "posix" and folder.stat().st_mode & 0o077:
        folder.chmod(0o700)
