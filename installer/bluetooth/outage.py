"""What an open connection must do when this computer's Bluetooth goes away: end at once, and blame the right one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from bleak.exc import BleakDBusError, BleakGATTProtocolError, BleakGATTProtocolErrorCode

from installer.bluetooth.system_errors import service_is_away
from installer.errors import InstallerError

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice

    from installer.bluetooth.adapter import Adapter

T = TypeVar("T")

# How long the system's word that a link dropped may come after the error of a request that waited on it.
LATE_WORD_SECONDS = 0.3
# How long a cancelled connection attempt may clean up.
CLEAN_UP_SECONDS = 5.0


class LinkWatch:
    """Sets `lost` when this computer's Bluetooth ends the link to `device`. `failure`: what happened to it then."""

    def __init__(self, adapter: Adapter, device: BLEDevice, lost: asyncio.Event) -> None:
        self.failure: InstallerError | None = adapter.failure
        self._adapter = adapter
        self._lost = lost
        self._ends: list[Callable[[], None]] = [
            adapter.add_failure_listener(self._on_change),
            adapter.on_device_removed(device, lost.set),
        ]
        if self.failure is not None:
            lost.set()

    async def find_reason(self) -> None:
        """After the link was lost: find out whether this computer is the reason."""
        if self.failure is None and self._ends:
            self.failure = await self._adapter.why_lost()

    async def gone_after(self, error: BaseException) -> bool:
        """Whether the link is down, given this error of a request.

        BlueZ tells a hang-up in the middle of a request as ATT error 0x0e, and the word that the link dropped may come
        a moment later.
        """
        if isinstance(error, BleakDBusError) and service_is_away(error):
            self.failure = self.failure or await self._adapter.why_lost() or self._adapter.to_installer_error(error)
            self._lost.set()
        elif not self._lost.is_set() and _may_be_hang_up(error):
            try:
                async with asyncio.timeout(LATE_WORD_SECONDS):
                    await self._lost.wait()
            except TimeoutError:
                return False
        return self._lost.is_set()

    def close(self) -> None:
        """Stop watching: the link ends now, and that is no failure."""
        while self._ends:
            self._ends.pop()()

    def _on_change(self) -> None:
        self.failure = self.failure or self._adapter.failure
        if self.failure is not None:
            self._lost.set()


async def run_unless_failed(adapter: Adapter, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`; raises the adapter's failure as soon as it has one."""
    failed = asyncio.Event()
    failures: list[InstallerError] = []

    def on_change() -> None:
        if adapter.failure is not None:
            failures.append(adapter.failure)
            failed.set()

    end = adapter.add_failure_listener(on_change)
    on_change()
    task = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(failed.wait())
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if failures:
            raise failures[0]
        return await task
    finally:
        end()
        waiting.cancel()
        task.cancel()
        # The attempt says goodbye to a service that may not answer.
        await asyncio.wait({task, waiting}, timeout=CLEAN_UP_SECONDS)
        if task.done() and not task.cancelled():
            task.exception()
        elif not task.done():
            task.add_done_callback(lambda done: done.cancelled() or done.exception())


def _may_be_hang_up(error: BaseException) -> bool:
    if isinstance(error, BleakGATTProtocolError):
        return int(error.args[0]) == BleakGATTProtocolErrorCode.UNLIKELY_ERROR
    return not isinstance(error, TimeoutError)
