"""Atomic file writes: a crash leaves the old file or the new file, never a part of one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from installer.errors import ErrorCode, InstallerError

PRIVATE_MODE = 0o600


def replace_file(path: Path, content: Iterable[bytes], mode: int = PRIVATE_MODE) -> None:
    """Replace the file in one step. Raises OSError; the old file is unchanged then.

    The content goes into a temporary file in the same folder, is synced to the disk, and is renamed to `path`.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(temporary, flags, mode)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - opened above with its mode
            file.writelines(content)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text_atomically(path: Path, parts: Iterable[str]) -> None:
    """Write a file that a person named, as UTF-8; only this user can read it. Raises FILE_UNWRITABLE.

    A pipe or a device is written to, not replaced.
    """
    try:
        if path.exists() and not path.is_file():
            with path.open("w", encoding="utf-8") as stream:
                stream.writelines(parts)
            return
        replace_file(path, (part.encode("utf-8") for part in parts))
    except OSError as error:
        raise InstallerError(
            ErrorCode.FILE_UNWRITABLE,
            f"{path} cannot be written: {error.strerror}.",
            "Choose another folder, or check the permissions and the free space.",
            file=str(path),
        ) from None
