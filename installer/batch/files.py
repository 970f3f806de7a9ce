"""Writes a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from installer.errors import ErrorCode, InstallerError


def write_whole(path: Path, text: str) -> None:
    """Replace the file in one step: a crash leaves the old or the new one whole. Raises FILE_UNWRITABLE."""
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            mask = os.umask(0)
            os.umask(mask)
            Path(name).chmod(0o666 & ~mask)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InstallerError(
            ErrorCode.FILE_UNWRITABLE,
            f"{path} cannot be written: {error.strerror}.",
            "Choose another folder, or check the permissions.",
            file=str(path),
        ) from None
