"""Writes a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from installer.errors import ErrorCode, InstallerError


def write_whole(path: Path, parts: Iterable[str], *, private: bool = False) -> None:
    """Replace the file in one step: what ends this leaves the old or the new one whole. Raises FILE_UNWRITABLE.

    `private`: only this user can read it. A pipe or a device is written to, not replaced. (A folder refuses.)
    """
    try:
        if path.exists() and not path.is_file():
            with path.open("w", encoding="utf-8") as stream:
                stream.writelines(parts)
            return
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
                file.writelines(parts)
                file.flush()
                os.fsync(file.fileno())
            if not private:
                mask = os.umask(0)
                os.umask(mask)
                Path(name).chmod(0o666 & ~mask)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InstallerError(
            ErrorCode.FILE_UNWRITABLE,
            f"{path} cannot be written: {error.strerror}.",
            "Choose another folder, or check the permissions and the free space.",
            file=str(path),
        ) from None
