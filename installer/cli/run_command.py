"""Runs a command: its coroutine, the signals that end it, its error message and exit status."""

from __future__ import annotations

import signal
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from installer import output
from installer.errors import ErrorCode, InstallerError

# `asyncio` is imported late in this module: `--help` runs nothing and must not wait for it.
if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
    """Run to the end, or raise TIMEOUT after `timeout` seconds. SIGTERM and SIGHUP cancel it, and end the program."""
    import asyncio

    from installer.cli.end_signals import cancel_on_signals, ended_by_signals
    from installer.storage.hidden_prompt import withdraw_prompts

    debug = protect_secrets()

    async def limited() -> T:
        cancel_on_signals(asyncio.current_task())
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                return await coroutine
        except TimeoutError:
            if not limit.expired():
                raise
            raise InstallerError(
                ErrorCode.TIMEOUT,
                "The time given is over.",
                "Give more with --timeout.",
            ) from None
        finally:
            # A thread may still wait for the answer to one.
            withdraw_prompts()

    with ended_by_signals():
        return asyncio.run(limited(), debug=debug)


def protect_secrets() -> bool | None:
    """What is done before anything handles a secret. Returns what asyncio gets as `debug`; None leaves that to it."""
    from installer.cli.core_files import close_memory
    from installer.cli.debugging_variables import secrets_may_be_written, silence_libraries

    if secrets_may_be_written():
        return None
    close_memory()
    silence_libraries()
    return False  # also with -X dev: asyncio would print the arguments of functions


def on_signals(handler: Callable[[], object], *signals: int) -> tuple[int, ...]:
    """Call `handler` in the running event loop when one of these signals comes. Returns those that were registered.

    A SIGHUP that is ignored (`nohup`) stays so.
    Windows registers none (Ctrl-C cancels the whole program there, and there is no SIGTERM), and so does a loop
    outside the main thread.
    """
    import asyncio
    import contextlib

    loop, registered = asyncio.get_running_loop(), []
    for number in signals:
        if number == getattr(signal, "SIGHUP", None) and signal.getsignal(number) is signal.SIG_IGN:
            continue
        with contextlib.suppress(NotImplementedError, RuntimeError):
            loop.add_signal_handler(number, handler)
            registered.append(number)
    return tuple(registered)


def stop_on_signals(*signals: int) -> asyncio.Event:
    """An event that one of these signals sets."""
    import asyncio

    stop = asyncio.Event()
    on_signals(stop.set, *(signals or (signal.SIGTERM, signal.SIGINT)))
    return stop


async def run_until(stop: asyncio.Event, work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run these until `stop` is set or all are done. If one fails, all are cancelled, and its error is raised."""
    import asyncio

    stopped = asyncio.ensure_future(stop.wait())
    tasks: set[asyncio.Future[Any]] = {asyncio.ensure_future(one) for one in work}
    try:
        while not stop.is_set() and tasks:
            done, tasks = await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            tasks.discard(stopped)
            for task in done - {stopped}:
                task.result()
    finally:
        for task in (stopped, *tasks):
            task.cancel()
        await asyncio.gather(stopped, *tasks, return_exceptions=True)


def print_error(error: InstallerError) -> int:
    """Print what happened and what to do; the exit status."""
    output.print_message(f"Error: {error.what}")
    if error.todo:
        output.print_message(f"  {error.todo}")
    return error.exit_status
