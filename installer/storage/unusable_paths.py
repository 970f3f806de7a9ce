"""Why a folder or file cannot be made, opened, locked or written, in words: which path, the reason, what to do.

The system does not say which of the folders above the path it is: the one without permission, or without space.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from installer.errors import ErrorCode, InstallerError
from installer.text.path_reasons import why_unusable

NO_SPACE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_ELSEWHERE = "choose another folder with DEVICE_INSTALLER_HOME."


def reason(error: OSError, path: Path) -> str:
    """Why the path cannot be used, in words that complete “… cannot be written: ”. It names the folder at fault."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"no permission in {_nearest_folder(path)}"
    if error.errno == errno.EROFS:
        return f"{_nearest_folder(path)} is on a read-only file system"
    if error.errno in NO_SPACE_ERRORS:
        return f"no space is left for {_nearest_folder(path)} ({error.strerror})"
    if error.errno == errno.ENAMETOOLONG:
        return "its name is too long"
    if error.errno == errno.EISDIR:
        return "it is a folder"
    return why_unusable(error, path)


def advice(error: OSError, *, elsewhere: str = _ELSEWHERE) -> str:
    """What to do about it. `elsewhere`: how another place is chosen, as the end of a sentence."""
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        return f"Move it away, or {elsewhere}"
    if error.errno in NO_SPACE_ERRORS:
        return f"Free some space, or {elsewhere}"
    if error.errno in (errno.ENAMETOOLONG, errno.EROFS):
        return elsewhere[:1].upper() + elsewhere[1:]
    return f"Check its owner and permissions, or {elsewhere}"


def unwritable(what: str, path: Path, error: OSError, todo: str = "") -> InstallerError:
    """FILE_UNWRITABLE. `what`: the beginning of the sentence that the reason ends; it names the path."""
    return InstallerError(
        ErrorCode.FILE_UNWRITABLE, f"{what}: {reason(error, path)}.", todo or advice(error), file=str(path)
    )


def _nearest_folder(path: Path) -> Path:
    """The folder in which something is to be made or written: the nearest one above the path that is there."""
    return next((one for one in path.absolute().parents if os.path.isdir(one)), path)  # noqa: PTH112 - never raises
