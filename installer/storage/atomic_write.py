"""Atomic file writes: a crash leaves the old file or the new file, never a part of one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from installer.errors import ErrorCode, InstallerError
from installer.storage.stale_files import sweep_file
from installer.storage.unusable_paths import advice, unwritable

PRIVATE_MODE = 0o600
_STANDARD = {"/dev/stdout": 1, "/dev/stderr": 2}
# In a container they may belong to a user whom it does not know.
_DEVICES = ("/dev/null", "/dev/tty")


def replace_file(
    path: Path, content: Iterable[bytes], mode: int = PRIVATE_MODE, *, durable: bool = True, any_age: bool = False
) -> None:
    """Replace the file in one step. Raises OSError; the old file is unchanged then.

    The content goes into a temporary file in the same folder, is synced to the disk, and is renamed to `path`. What a
    killed run left behind of the same file is removed (`any_age`: see `sweep_file`). `durable`: False saves the time of
    the sync, for a file that may be damaged after a power cut.
    """
    sweep_file(path, any_age=any_age)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    try:
        # Also a signal that comes right after it must not leave the file behind.
        descriptor = os.open(temporary, flags, mode)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - opened above with its mode
            file.writelines(content)
            file.flush()
            if durable:
                os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text_atomically(path: Path, parts: Iterable[str]) -> None:
    """Write a file that a person named, as UTF-8; only this user can read it. Raises FILE_UNWRITABLE.

    A pipe or a device is written to, not replaced, but only one of this user or root: somebody else's would hand the
    content to them.
    """
    try:
        inherited = _inherited(path)
        if inherited is not None or (path.exists() and not path.is_file()):
            descriptor = os.dup(inherited) if inherited is not None else _open_stream(path)
            with open(descriptor, "w", encoding="utf-8") as stream:  # noqa: PTH123 - opened and checked above
                stream.writelines(parts)
            return
        replace_file(path, (part.encode("utf-8") for part in parts))
    except OSError as error:
        todo = advice(error, elsewhere="choose another file or folder.")
        raise unwritable(f"{path} cannot be written", path, error, todo) from None


def _inherited(path: Path) -> int | None:
    """The number of an open file that who started this program gave to it: /dev/stdout, `>(COMMAND)` of a shell."""
    if str(path) in _STANDARD:
        return _STANDARD[str(path)]
    folders = ("/dev/fd", "/proc/self/fd", f"/proc/{os.getpid()}/fd")
    named = str(path.parent) in folders and path.name.isascii() and path.name.isdecimal()
    return int(path.name) if named else None


def _open_stream(path: Path) -> int:
    """A descriptor of the pipe or device. Raises OSError, FILE_UNWRITABLE if it is another user's.

    Looked at before it is opened, because that lets the reader of a pipe go on; and again after, it may be another one.
    """
    _check_owner(path, path.stat())
    descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        _check_owner(path, os.fstat(descriptor))
    except InstallerError:
        os.close(descriptor)
        raise
    return descriptor


def _check_owner(path: Path, info: os.stat_result) -> None:
    if os.name != "posix" or info.st_uid in (0, os.geteuid()) or str(path) in _DEVICES:
        return
    raise InstallerError(
        ErrorCode.FILE_UNWRITABLE,
        f"{path} is no file, but a pipe or device of another user, who would get all that is written there.",
        "Choose another name, best in a folder of your own.",
        file=str(path),
    )
