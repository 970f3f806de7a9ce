"""Why a path cannot be used, in words: the system's own are short of the point.

For a file where a folder must be, the system says “Not a directory” or “File exists”, and not of which path.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path


def why_unusable(error: OSError, path: Path) -> str:
    """The reason of this error with this path: what stands in place of a folder, or else the system's words."""
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        file = _file_in_place_of_folder(path)
        if file is not None:
            return f"{file} is not a folder"
    return error.strerror or type(error).__name__


def _file_in_place_of_folder(path: Path) -> Path | None:
    """What stands where the path, or a folder above it, should be a folder."""
    for one in (path, *path.parents):
        if os.path.lexists(one):
            return None if one.is_dir() else one
    return None
