"""Reads a file that somebody else may have chosen: never more than a limit, and never longer than a deadline.

A pipe may have no writer, and a device no end. So devices are refused, and a pipe has to be written and closed within
`PIPE_SECONDS`. A terminal has no deadline: a person types there.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
from contextlib import suppress
from pathlib import Path

PIPE_SECONDS = 60.0


class TooLong(OSError):
    """The file has more bytes than the limit."""


class OtherOwner(OSError):
    """The file belongs to another user."""


class IsDevice(OSError):
    """It is a device, not a file."""


def read_bounded(path: Path, limit: int, *, own: bool = False) -> bytes:
    """All bytes of a file or pipe, at most `limit`.

    `own`: only a file of this user or root; asked of the open file, so nobody can exchange it in between.
    Raises OSError with the reason in `strerror`: the system's, TooLong, OtherOwner, IsDevice, TimeoutError for a pipe.
    ValueError: a name that no file can have.
    """
    kind = path.stat()
    if stat.S_ISFIFO(kind.st_mode):
        return _read_pipe(path, limit, own)
    if not stat.S_ISREG(kind.st_mode) and not stat.S_ISDIR(kind.st_mode) and not _is_terminal_or_null(kind):
        raise IsDevice(errno.EINVAL, "it is a device, not a file")
    return _read(path, limit, own)


def _read(path: Path, limit: int, own: bool) -> bytes:
    with path.open("rb") as stream:
        if own and os.name == "posix" and os.fstat(stream.fileno()).st_uid not in (0, os.geteuid()):
            raise OtherOwner(errno.EACCES, "it belongs to another user")
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise TooLong(errno.EFBIG, f"it is longer than {limit} bytes")
    return content


def _read_pipe(path: Path, limit: int, own: bool) -> bytes:
    """In a thread of its own, because opening a pipe waits for its writer, and no system can put an end to that."""
    read: list[bytes | OSError] = []

    def work() -> None:
        try:
            read.append(_read(path, limit, own))
        except OSError as error:
            read.append(error)

    thread = threading.Thread(target=work, name="pipe", daemon=True)
    thread.start()
    thread.join(PIPE_SECONDS)
    if not read:
        raise TimeoutError(errno.ETIMEDOUT, f"nobody wrote this pipe to its end within {PIPE_SECONDS:g} s")
    if isinstance(read[0], OSError):
        raise read[0]
    return read[0]


def _is_terminal_or_null(kind: os.stat_result) -> bool:
    """Whether this is the terminal of this process, or the empty device.

    Told by the numbers of the devices: opening an unknown device may already do something.
    """
    if not stat.S_ISCHR(kind.st_mode):
        return False
    known = []
    for stream in (sys.__stdin__, sys.__stdout__, sys.__stderr__):
        with suppress(OSError, ValueError, AttributeError):
            if stream is not None and stream.isatty():
                known.append(os.fstat(stream.fileno()).st_rdev)
    for name in (os.devnull, "/dev/tty"):
        with suppress(OSError):
            known.append(os.stat(name).st_rdev)  # noqa: PTH116 - the name of a device, on Windows, too
    return kind.st_rdev in known
