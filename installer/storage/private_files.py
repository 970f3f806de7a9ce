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

OTHER_OWNER = "belongs to another user"
READ_BY_OTHERS = "can be read by others"


def read_private(path: Path, limit: int) -> tuple[bytes, str]:
    """The content, and why it may not be private: `OTHER_OWNER` or `READ_BY_OTHERS`, which complete “the file …”.

    A symbolic link is not followed. Raises FileNotFoundError, and OSError with the reason in words if it is not a file
    of at most `limit` bytes that this user can read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | _CLOSE_ON_EXEC | _NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        if path.is_symlink():
            raise OSError(errno.ELOOP, "it is a link to another file") from None
        if isinstance(error, PermissionError) and _owner(path) not in (None, _user()):
            raise OSError(errno.EACCES, "it belongs to another user") from None
        raise
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise OSError(errno.EINVAL, "it is a folder" if stat.S_ISDIR(info.st_mode) else "it is no file")
        if info.st_size > limit:
            raise OSError(errno.EFBIG, f"it is longer than {limit} bytes")
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(limit)
    finally:
        os.close(descriptor)
    if os.name != "posix":
        return content, ""
    if info.st_uid != _user():
        return content, OTHER_OWNER
    return content, READ_BY_OTHERS if info.st_mode & 0o077 else ""


def is_absent(path: Path) -> bool:
    """Whether nothing has this name. False also for a broken link, and if that cannot be found out."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _user() -> int | None:
    return os.geteuid() if os.name == "posix" else None


def _owner(path: Path) -> int | None:
    try:
        return path.lstat().st_uid if os.name == "posix" else None
    except OSError:
        return None


def write_private(path: Path, content: bytes, *, own_folder: bool = True, any_age: bool = False) -> None:
    """Replace the file atomically, mode 0600, in a private folder. Raises OSError.

    `own_folder`: the folder is this program's. One that a person named may be for others, too: it stays as it is.
    `any_age`: what a killed run has left of the file is removed, however young; only for who holds its lock.
    """
    if own_folder or not path.parent.is_dir():
        make_private_folder(path.parent)
    replace_file(path, [content], any_age=any_age)
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
