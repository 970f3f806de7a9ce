"""Which adapter a name means, and opening it: the operating system's, or a raw HCI controller.

Values of `--adapter`: none, `system` or `hci0` is the system adapter (on Linux also `hci1` and so on, or the adapter's
own address: after a restart it may have another number);
`hci:TRANSPORT` is a raw controller, with TRANSPORT in Bumble's syntax: `usb:0`, `serial:/dev/ttyUSB0,1000000`,
`tcp-client:127.0.0.1:9000` (the lab).
"""

from __future__ import annotations

import contextlib
import re
import sys
from typing import TYPE_CHECKING

from installer.bluetooth import system_errors
from installer.bluetooth.adapter import RAW_HCI_PREFIX, Adapter, start_scanner
from installer.bluetooth.raw_adapter import open_raw
from installer.bluetooth.system_adapter import SystemAdapter
from installer.errors import ErrorCode, InstallerError
from installer.text import printable

if TYPE_CHECKING:
    from installer.bluetooth.hci.kept_keys import KeyFile
    from installer.bluetooth.own_links import OwnLinks

SYSTEM_ADAPTER = re.compile(r"hci[0-9]{1,4}|(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}")


async def open_adapter(
    spec: str | None = None, links: OwnLinks | None = None, key_file: KeyFile | None = None
) -> Adapter:
    """The adapter that `spec` names (see the module's docstring).

    `links`: where this user's programs note their links with the system's Bluetooth. `key_file`: where the keys of
    devices are kept that are paired over a raw controller. None: nowhere.

    Raises BLUETOOTH_DENIED, ADAPTER_FAILED and SECRET_UNAVAILABLE for a raw controller, and ADAPTER_FAILED for a name
    that is none, or that no adapter of this computer has. The system adapter is first used by a scan.
    """
    if spec is None or spec in ("", "system"):
        return await SystemAdapter.open(links=links)
    if spec.startswith(RAW_HCI_PREFIX):
        return await open_raw(spec, key_file)
    if SYSTEM_ADAPTER.fullmatch(spec):
        return await SystemAdapter.open(spec if sys.platform == "linux" else None, links)
    raise InstallerError(
        ErrorCode.ADAPTER_FAILED,
        f"“{printable(spec)}” is not the name of a Bluetooth adapter.",
        "Use hci0 (the system adapter), or hci:TRANSPORT for a raw controller, for example hci:usb:0."
        + await _adapters_of_this_computer()
        + system_errors.TRY_LAB_HINT,
        adapter=spec,
    )


async def _adapters_of_this_computer() -> str:
    """The sentence that lists them; empty where they cannot be known."""
    adapter = await SystemAdapter.open()
    try:
        names = adapter.names
    finally:
        await adapter.close()
    return f" This computer has: {', '.join(names)}." if names else ""


async def check_adapter(spec: str | None = None) -> str:
    """Start and stop a scan; returns one sentence for `doctor`. Raises the BLUETOOTH_* errors."""
    async with await open_adapter(spec) as adapter:
        scanner = adapter.scanner(lambda _device, _advert: None)
        await start_scanner(adapter, scanner)
        with contextlib.suppress(*system_errors.SYSTEM_ERRORS):
            await scanner.stop()
        return f"Bluetooth adapter {adapter.description} scans ({scanner.backend_id})" + adapter.others
