"""This computer's own time zone where the system has no database of time zones: that of the package tzdata is used."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

# Where C libraries look; the same folders as those of Python's zoneinfo.
SYSTEM_FOLDERS = ("/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo")
_NAME = re.compile(r"[A-Z][A-Za-z0-9+_-]*(/[A-Za-z0-9+_-]+){1,3}")


def named_zone() -> str | None:
    """The name in `TZ`, as in “Europe/Paris”; None without one, or for a rule such as `CET-1CEST`."""
    name = os.environ.get("TZ", "").removeprefix(":")
    return name if _NAME.fullmatch(name) else None


def use_own_zone() -> None:
    """Let the C library find the zone that `TZ` names. Without a file for it, it takes UTC and says nothing."""
    name = named_zone()
    if name is None or not hasattr(time, "tzset") or any(Path(folder, name).is_file() for folder in SYSTEM_FOLDERS):
        return
    from importlib import resources

    try:
        file = Path(str(resources.files("tzdata").joinpath("zoneinfo", name)))
    except ImportError:
        return
    if file.is_file():
        os.environ["TZ"] = str(file)
        time.tzset()
