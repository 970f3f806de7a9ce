"""Wakes the gateway for a device, as a silent push wakes a phone app. A wake request is a small file.

    from installer.gateway.wake import wake
    wake("00:24:E4:60:00:90")        # visit this device when it is heard next, and deliver what waits
    wake()                           # the same for all devices

Any process of the same user may call it. If no gateway runs, the next one finds the requests when it starts.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from installer.errors import ErrorCode, InstallerError
from installer.gateway.files_and_lock import GatewayFiles
from installer.storage.unusable_paths import unwritable

ALL_DEVICES = "all"
# A flood of forged notifications must not fill the disk.
MAX_WAKE_FILES = 1000
_ADDRESS = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def wake(address: str | None = None, *, lab: bool = False, files: GatewayFiles | None = None) -> None:
    """Leave a wake request and return at once. A second request for the same device changes nothing.

    `address`: the Bluetooth address of a device, None for all. Raises USAGE if it is not an address, FILE_UNWRITABLE.
    """
    if address is not None and not _ADDRESS.fullmatch(address):
        raise InstallerError(ErrorCode.USAGE, "This is not a Bluetooth address.", "Give one like 00:24:E4:12:34:3C.")
    folder = (files or GatewayFiles.in_data_dir(lab=lab)).wake
    name = ALL_DEVICES if address is None else file_name(address)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if sum(1 for _ in folder.iterdir()) >= MAX_WAKE_FILES:
            name = ALL_DEVICES
        (folder / name).touch(mode=0o600)
    except OSError as error:
        raise unwritable(f"The gateway cannot be woken: {folder} cannot be written", folder / name, error) from None


def file_name(address: str) -> str:
    """The name of the wake request for the device with this address."""
    return address.upper().replace(":", "-")


def take_wake_requests(folder: Path) -> set[str]:
    """Remove all wake requests; their addresses (`ALL_DEVICES`: every device)."""
    found = set()
    with suppress(OSError):
        for file in list(folder.iterdir()):
            name = file.name
            with suppress(OSError):
                file.unlink()
            # A UUID (macOS) has four hyphens of its own.
            found.add(name if name == ALL_DEVICES or name.count("-") == 4 else name.replace("-", ":"))
    return found
