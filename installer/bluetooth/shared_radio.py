"""One adapter and one scan, shared by several installations at once.

An adapter cannot run a scan for each installation, and many adapters cannot scan while they connect. So the scan
pauses during a connection attempt, and attempts run one after the other. Open links stay open.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from installer.bluetooth.scan import Scan
from installer.errors import InstallerError

if TYPE_CHECKING:
    from installer.bluetooth.adapter import Adapter
    from installer.bluetooth.detection import Detector
    from installer.bluetooth.sighting import Sighting

FORGET_AFTER_SECONDS = 15.0


class SharedRadio:
    """Opened on first use, and reopened after the adapter was lost; `close` it at the end.

    `name`: the adapter's name, shown to the user. Calls raise the BLUETOOTH_* errors and ADAPTER_FAILED.
    """

    def __init__(self, open_adapter: Callable[[], Awaitable[Adapter]], detector: Detector, name: str = "") -> None:
        self.name = name
        self._open = open_adapter
        self._detector = detector
        self._adapter: Adapter | None = None
        self._scan: Scan | None = None
        self._open_lock = asyncio.Lock()
        self._connect_lock = asyncio.Lock()

    async def adapter(self) -> Adapter:
        """The shared adapter."""
        await self.scan()
        assert self._adapter is not None
        return self._adapter

    async def scan(self) -> Scan:
        """The running scan."""
        async with self._open_lock:
            if self._scan is not None and self._scan.failure is not None:
                if self._scan.restarts:
                    # It goes on by itself, and open connections need the adapter.
                    raise self._scan.failure
                await self._close_adapter()
            if self._scan is None:
                self._adapter = await self._open()
                self.name = self.name or self._adapter.name
                scan = Scan(self._adapter, self._detector, forget_after=FORGET_AFTER_SECONDS)
                try:
                    await scan.__aenter__()
                except BaseException:
                    await self._close_adapter()
                    raise
                self._scan = scan
            return self._scan

    def current(self) -> Sequence[Sighting]:
        """The devices in range now; empty before the scan runs."""
        return self._scan.current() if self._scan is not None and self._scan.failure is None else ()

    @property
    def listening(self) -> bool:
        """Whether the scan runs and is not paused for a connection attempt."""
        return self._scan is not None and self._scan.failure is None and not self._scan.paused

    @property
    def comes_back(self) -> bool:
        """Whether the scan, once it ran, goes on by itself after Bluetooth was away."""
        return self._scan is not None and self._scan.restarts

    async def wait_until_back(self, seconds: float) -> bool:
        """Wait until the scan runs that had stopped, for so many seconds at most. Whether it may be tried again."""
        if self._scan is None or self._scan.failure is None or not self._scan.restarts:
            return True
        return await self._scan.wait_until_running(seconds)

    @asynccontextmanager
    async def connecting(self) -> AsyncIterator[Scan]:
        """Exclusive right to connect; the scan is paused inside."""
        async with self._connect_lock:
            scan = await self.scan()
            await scan.pause()
            try:
                yield scan
            finally:
                # The scan keeps its failure, and the next caller reopens the adapter.
                with contextlib.suppress(InstallerError):
                    await asyncio.shield(scan.resume())

    async def close(self) -> None:
        """Stop the scan and release the adapter."""
        async with self._open_lock:
            await self._close_adapter()

    async def _close_adapter(self) -> None:
        scan, self._scan = self._scan, None
        adapter, self._adapter = self._adapter, None
        try:
            if scan is not None:
                await scan.__aexit__(None, None, None)
        finally:
            if adapter is not None:
                await adapter.close()
