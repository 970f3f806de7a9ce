"""Which file came with the answers or plan that name it: a plain one in the same folder, if the folder is their own.

A folder in which many things land is not: a home, its Downloads, Desktop and Documents, and whatever others can write.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from pathlib import Path

from installer.flow.own_secrets import resolved

# Folders of a home in which many things land, also under their names in the language of the desktop.
SHARED_FOLDERS = ("Desktop", "Documents", "Downloads", "Public", "Templates", "Music", "Pictures", "Videos")
MAX_DESKTOP_FILE_BYTES = 64 * 1024
_DESKTOP_FOLDER = re.compile(r'^XDG_\w{1,20}_DIR="([^"\n]{1,400})"', re.MULTILINE)


def is_beside(path: Path | None, folder: Path | None, status: os.stat_result | None) -> bool:
    """Whether the resolved path is in this very folder and came with the file there.

    `status`: of the opened file; None: it could not be opened, and reading it says why. Not so for a hidden file, for
    another name of a file elsewhere, and for what another user owns, root apart.
    """
    top = resolved(str(folder)) if folder is not None else None
    if path is None or top is None or path.parent != top or path.name.startswith("."):
        return False
    if not _is_own_place(top):
        return False
    return status is None or (stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and _is_ours(status))


def _is_own_place(top: Path) -> bool:
    """Whether only this user puts files there, and knowingly."""
    home = resolved("~")
    if home is None or top in (home, *home.parents) or top in (resolved(tempfile.gettempdir()), *_shared(home)):
        return False
    try:
        status = top.stat()
    except OSError:
        return False
    return _is_ours(status) and (os.name == "nt" or not status.st_mode & stat.S_IWOTH)


def _shared(home: Path) -> set[Path]:
    found = {home / name for name in SHARED_FOLDERS}
    try:
        with (home / ".config" / "user-dirs.dirs").open("rb") as stream:
            text = stream.read(MAX_DESKTOP_FILE_BYTES).decode("utf-8", "replace")
    except OSError:
        text = ""
    named = (place.replace("$HOME", str(home)) for place in _DESKTOP_FOLDER.findall(text))
    found |= {path for path in map(resolved, named) if path is not None}
    return found | {path for path in (resolved(str(folder)) for folder in found) if path is not None}


def _is_ours(status: os.stat_result) -> bool:
    """Whether this user or root owns it. Windows does not tell."""
    return not hasattr(os, "getuid") or status.st_uid in (0, os.getuid())
