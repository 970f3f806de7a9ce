"""One adapter and one scan for several installations at once.

An adapter cannot scan for each of them, and many cannot scan while a connection comes about: the scan pauses then,
and one connection comes about after the other. Links that are open stay open meanwhile.
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
    from installer.bluetooth.sighting import Sighting
    from installer.catalogue.catalogue import Catalogue

FORGET_AFTER = 15.0


class SharedRadio:
    """Opened when first used, opened anew after the adapter went away; `close` it at the end.

    `name`: the adapter's, for people. Calls raise the BLUETOOTH_* errors and ADAPTER_FAILED.
    """

    def __init__(self, open_adapter: Callable[[], Awaitable[Adapter]], catalogue: Catalogue, name: str = "") -> None:
        self.name = name
        self._open = open_adapter
        self._catalogue = catalogue
        self._adapter: Adapter | None = None
        self._scan: Scan | None = None
        self._opening = asyncio.Lock()
        self._connecting = asyncio.Lock()

    async def adapter(self) -> Adapter:
        """The adapter that all share."""
        await self.scan()
        assert self._adapter is not None
        return self._adapter

    async def scan(self) -> Scan:
        """The running scan."""
        async with self._opening:
            if self._scan is not None and self._scan.failure is not None:
                await self._shut()
            if self._scan is None:
                self._adapter = await self._open()
                self.name = self.name or self._adapter.name
                scan = Scan(self._adapter, self._catalogue, forget_after=FORGET_AFTER)
                try:
                    await scan.__aenter__()
                except BaseException:
                    await self._shut()
                    raise
                self._scan = scan
            return self._scan

    def current(self) -> Sequence[Sighting]:
        """What is in reach now; nothing before the scan runs."""
        return self._scan.current() if self._scan is not None and self._scan.failure is None else ()

    @property
    def listening(self) -> bool:
        """Whether the scan hears something now: it runs, and no connection is coming about."""
        return self._scan is not None and self._scan.failure is None and not self._scan.paused

    @asynccontextmanager
    async def connecting(self) -> AsyncIterator[Scan]:
        """The one place in which a connection may come about; the scan pauses in it."""
        async with self._connecting:
            scan = await self.scan()
            await scan.pause()
            try:
                yield scan
            finally:
                # The scan keeps its failure, and the next who needs it opens the adapter anew.
                with contextlib.suppress(InstallerError):
                    await asyncio.shield(scan.resume())

    async def close(self) -> None:
        """Stop the scan, and give the adapter back."""
        async with self._opening:
            await self._shut()

    async def _shut(self) -> None:
        scan, self._scan = self._scan, None
        adapter, self._adapter = self._adapter, None
        try:
            if scan is not None:
                await scan.__aexit__(None, None, None)
        finally:
            if adapter is not None:
                await adapter.close()
