"""No core file: the memory of a process that crashed holds its secrets, and some systems keep it or send it in."""

from __future__ import annotations

import sys
from contextlib import suppress

_PR_SET_DUMPABLE = 4  # linux/prctl.h


def no_core_file() -> None:
    """Let the system write none for this process and those that it starts. Windows has no such switch."""
    if sys.platform == "win32":
        return
    import resource

    with suppress(OSError, ValueError):
        _, most = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, most))


def close_memory() -> None:
    """Linux: keep the memory and the environment of this process from other programs of the same user, too.

    Then the system also hands no core to a program such as Ubuntu's apport, which does not ask for the limit.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
