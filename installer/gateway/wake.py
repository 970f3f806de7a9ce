"""Wakes the gateway for a device, as a silent push wakes a phone app: a small file that a running gateway takes away.

    from installer.gateway.wake import wake
    wake("00:24:E4:60:00:90")        # visit this device as soon as it is heard, and deliver what waits
    wake()                           # the same for all devices

Any process of the same user may call it, whether a gateway runs or not: what is left is found at its start.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from installer.errors import ErrorCode, InstallerError
from installer.gateway.files_and_lock import GatewayFiles

ALL = "all"
# A forged flood of notifications must not fill the disk.
MOST = 1000
_ADDRESS = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def wake(address: str | None = None, *, lab: bool = False, place: GatewayFiles | None = None) -> None:
    """Leave word for the gateway; returns at once. Doing it twice does no harm.

    `address`: the Bluetooth address of a device, None for all. Raises USAGE for what is no address, FILE_UNWRITABLE.
    """
    if address is not None and not _ADDRESS.fullmatch(address):
        raise InstallerError(ErrorCode.USAGE, "This is no Bluetooth address.", "Name one like 00:24:E4:12:34:3C.")
    folder = (place or GatewayFiles.here(lab=lab)).wake
    name = ALL if address is None else address.upper().replace(":", "-")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if sum(1 for _ in folder.iterdir()) >= MOST:
            name = ALL
        (folder / name).touch(mode=0o600)
    except OSError as error:
        raise InstallerError(
            ErrorCode.FILE_UNWRITABLE,
            f"The gateway cannot be woken: {folder} cannot be written ({error.strerror}).",
            "Free some space, or check the permissions.",
        ) from None


def woken(folder: Path) -> set[str]:
    """The addresses for which somebody left word since the last call (`ALL`: every device); takes the word away."""
    found = set()
    with suppress(OSError):
        for file in list(folder.iterdir()):
            with suppress(OSError):
                file.unlink()
            found.add(file.name if file.name == ALL or file.name.count("-") == 4 else file.name.replace("-", ":"))
    return found
