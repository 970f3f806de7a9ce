"""Calls that can block forever (a locked keyring waits for its user), run in a thread with a deadline."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def call_with_deadline(call: Callable[[], T], seconds: float | None) -> T:
    """The result of `call`, which runs in its own thread. Raises what it raises, or TimeoutError.

    `seconds`: None has no deadline, for a person who types.

    The thread is a daemon: if it never returns, the program can still end. A thread of `asyncio.to_thread` would keep
    the program running.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def set_outcome(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run_call() -> None:
        result: T | None = None
        caught: BaseException | None = None
        # Every exception goes to the waiting task.
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001
            caught = error
        try:
            loop.call_soon_threadsafe(set_outcome, result, caught)
        except RuntimeError:
            return  # the loop has ended, so nobody waits

    threading.Thread(target=run_call, name="device-installer blocking call", daemon=True).start()
    async with asyncio.timeout(seconds):
        return await future
