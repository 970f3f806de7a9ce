"""The command `notifications serve`: builds the receiver, and runs it until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from installer import output, settings
from installer.cli.run_command import run_until, stop_on_signals
from installer.errors import ErrorCode, InstallerError
from installer.events.notifications import ReceiverReady
from installer.flow.run_resources import RunResources
from installer.measurements.fetch import Fetcher
from installer.measurements.open_store import open_store
from installer.notifications import callback_url, inbox_worker, receiver
from installer.notifications.inbox import Inbox, inbox_lock, inbox_path
from installer.notifications.receiver_certificate import exposure
from installer.notifications.receiver_service import ReceiverOutput, ReceiverService
from installer.storage.file_lock import HeldLock, file_lock
from installer.storage.unusable_paths import unwritable

if TYPE_CHECKING:
    from installer.cli.notifications import ReceiverOptions
    from installer.notifications.callback_setup import NotificationSetup

LOCK_CHECK_SECONDS = 1.0


async def serve(resources: RunResources, options: ReceiverOptions, *, json: bool) -> None:
    """Receive until SIGTERM or Ctrl-C. Raises RECEIVER_FAILED, SECRET_UNAVAILABLE, DATABASE_FAILED and others."""
    stop = stop_on_signals()
    accounts = await resources.accounts()
    setup = resources.notifications(options.path_file)
    secret = callback_url.secret_path(setup.path_file)
    reporter = ReceiverOutput(json=json)
    lab = resources.config.lab
    inbox_file = inbox_path(settings.data_dir(), lab=lab)
    async with contextlib.AsyncExitStack() as stack:
        lock = await stack.enter_async_context(_only_receiver(inbox_file))
        listener = receiver.listen(options.host, options.port)
        stack.callback(listener.close)
        inbox = Inbox(inbox_file)
        stack.callback(inbox.close)
        damage = inbox.damaged.error()
        if damage is not None:
            output.print_message(f"{damage} The next fetch finds the data of these, too.")
        store = await asyncio.to_thread(open_store, resources.settings, lab=lab, given=options.database)
        stack.enter_context(store)
        service = ReceiverService(accounts, setup, inbox, reporter, resources.records(), resources.catalogue, lab=lab)
        fetcher = Fetcher(store, accounts, resources.catalogue)
        service.worker = inbox_worker.InboxWorker(inbox, fetcher, service.fetched, service.wake_gateway)
        web = receiver.Receiver(secret, service.store)
        await stack.enter_async_context(web.serve(listener, options.certificate, options.key))
        host, port = listener.getsockname()[:2]
        exposed = exposure(host, options.certificate)
        address = await _address(setup)
        url = callback_url.masked(address) if address else ""
        reporter.ready(ReceiverReady(host=options.host, port=port, url=url, exposed=bool(exposed)))
        if exposed:
            output.print_message(exposed)
        if options.show_url:
            output.print_message(f"Address to register; keep it secret: {address or callback_url.PATH_PLACEHOLDER}")
        if not setup.saved.all() and not json:
            output.print_message("Nothing is subscribed yet: `device-installer notifications subscribe` does that.")
        await run_until(stop, [service.worker.run(), service.renew(), service.poll(options.poll), _keep(lock)])
    if not json:
        output.print_message("The receiver has ended. Its next start continues with the notifications in the inbox.")


async def _address(setup: NotificationSetup) -> str:
    """The address of the settings; empty if there is none."""
    try:
        return (await setup.url(None)).get_secret_value()
    except InstallerError as error:
        if error.code is not ErrorCode.SETTINGS_INVALID:
            raise
        return ""


@contextlib.asynccontextmanager
async def _only_receiver(inbox_file: Path) -> AsyncIterator[HeldLock]:
    """Hold the lock by which only one receiver uses an inbox. Raises RECEIVER_FAILED, FILE_UNWRITABLE."""
    lock = inbox_lock(inbox_file)
    async with contextlib.AsyncExitStack() as stack:
        try:
            lock.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            held = await stack.enter_async_context(file_lock(lock, 0.5))
        except TimeoutError:
            raise InstallerError(
                ErrorCode.RECEIVER_FAILED,
                "The receiver of notifications cannot run: another one runs already for this user.",
                "Stop that one, or give this one its own folder with DEVICE_INSTALLER_HOME.",
            ) from None
        except OSError as error:
            raise unwritable(f"{lock} cannot be written", lock, error) from None
        yield held


async def _keep(lock: HeldLock) -> None:
    """Look again and again whether this is still the only receiver. Raises RECEIVER_FAILED if not."""
    lost = False
    while True:
        # Once may be another receiver that starts, and ends because the port is in use.
        before, lost = lost, not lock.is_kept()
        if before and lost:
            raise InstallerError(
                ErrorCode.RECEIVER_FAILED,
                f"The receiver of notifications ends: somebody deleted {lock.path}, and another receiver has started.",
                "Nothing is lost. Leave that file alone, and let one receiver run.",
            )
        await asyncio.sleep(LOCK_CHECK_SECONDS)
