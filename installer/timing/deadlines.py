"""Calls that may block for ever (a locked keyring asks its user), with a deadline."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(call: Callable[[], T], seconds: float) -> T:
    """The result of `call`, run in a thread of its own. Raises what it raises, or TimeoutError.

    The thread is a daemon: one that never returns does not keep the program from ending, as a thread of
    `asyncio.to_thread` would.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        result: T | None = None
        failed: BaseException | None = None
        # The thread's boundary: whatever it is, the waiting task gets it.
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001
            failed = error
        try:
            loop.call_soon_threadsafe(settle, result, failed)
        except RuntimeError:
            return  # the loop has ended meanwhile; nobody waits

    threading.Thread(target=work, name="device-installer blocking call", daemon=True).start()
    async with asyncio.timeout(seconds):
        return await future
