"""Reads a small file that somebody else may replace at any moment: what was judged is what is read.

The path is resolved once and judged; then the file is opened part by part, and no part may be a link any more. So the
opened file is the one at the judged path, whatever happens to the folder meanwhile. What was opened is judged again,
by its descriptor.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_READ |= getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
# macOS: no part of the path may be a link.
_NO_LINK_AT_ALL = getattr(os, "O_NOFOLLOW_ANY", 0)
# Linux: a folder that may be passed through, also where its list may not be read.
_THROUGH = getattr(os, "O_PATH", 0)
REPLACED = "it was replaced while it was being read"


@dataclass(frozen=True)
class PinnedFile:
    """A file as it was when it was opened. `status`: of the opened file; None if it could not be opened.

    `why`: why there is no content, in words; empty if there is. `content`: its bytes; `too_long`: it has more.
    """

    status: os.stat_result | None = None
    content: bytes = b""
    why: str = ""
    too_long: bool = False

    @property
    def is_regular(self) -> bool:
        """Whether it is a plain file, or could not be opened at all."""
        return self.status is None or stat.S_ISREG(self.status.st_mode)

    def __repr__(self) -> str:
        """Without the content, which may be a secret."""
        return f"PinnedFile(why={self.why!r})"


def read_pinned(path: Path, limit: int) -> PinnedFile:
    """At most `limit` bytes of the file at this resolved path. Only a plain file is read. Raises nothing."""
    try:
        descriptor = _open(path)
    except OSError as error:
        return PinnedFile(why=_reason(error))
    except ValueError:  # a NUL in the name
        return PinnedFile(why="it has a name that no file can have")
    status: os.stat_result | None = None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return PinnedFile(status, why="it is no plain file")
        content = _all_of(descriptor, limit + 1)
    except OSError as error:
        return PinnedFile(status, why=_reason(error))
    finally:
        with suppress(OSError):
            os.close(descriptor)
    return (
        PinnedFile(status, why="it is too long", too_long=True) if len(content) > limit else PinnedFile(status, content)
    )


def _open(path: Path) -> int:
    if _THROUGH and _NO_LINK and os.open in os.supports_dir_fd:
        return _open_part_by_part(path)
    descriptor = os.open(path, _READ | (_NO_LINK_AT_ALL or _NO_LINK))
    try:
        # Systems without a way to pass through folders one by one: the path must still be without a link.
        found, opened = path.lstat(), os.fstat(descriptor)
        if path.resolve() != path or (found.st_dev, found.st_ino) != (opened.st_dev, opened.st_ino):
            raise OSError(errno.ELOOP, REPLACED)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _open_part_by_part(path: Path) -> int:
    through = _THROUGH | _NO_LINK | os.O_DIRECTORY | os.O_CLOEXEC
    folder = os.open(path.anchor, through)
    try:
        for part in path.parts[1:-1]:
            inner = os.open(part, through, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(path.name or ".", _READ | _NO_LINK, dir_fd=folder)
    finally:
        os.close(folder)


def _all_of(descriptor: int, limit: int) -> bytes:
    found = bytearray()
    while len(found) < limit:
        more = os.read(descriptor, limit - len(found))
        if not more:
            break
        found += more
    return bytes(found)


def _reason(error: OSError) -> str:
    return REPLACED if error.errno == errno.ELOOP else f"it cannot be read ({error.strerror or type(error).__name__})"
