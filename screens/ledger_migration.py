"""Offers to migrate a ledger of another version, as soon as the wizard opens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.app import App

from installer.errors import InstallerError
from screens.dialogs import ConfirmDialog, MessageDialog
from screens.engine_interface import Ledger
from screens.widgets import deferred_call


async def offer_ledger_migration(app: App[Any], ledger: Ledger, is_installing: Callable[[], bool]) -> None:
    """If the ledger's tables are missing or old, no record can be written: ask whether to migrate it."""
    try:
        if not await ledger.outdated() or is_installing():
            return
    except InstallerError:
        return  # whoever needs the ledger shows the error

    def decide(yes: bool | None) -> None:
        if yes:
            app.run_worker(deferred_call(_migrate, app, ledger))

    app.push_screen(
        ConfirmDialog(
            "The ledger is not ready for this version",
            "Its tables are missing or of an older version. No installation can start before it is brought up to "
            "date. Nothing in it is lost. Older versions of this program, at other stations, cannot use it then.",
            yes="Bring it up to date",
            no="Not now",
        ),
        decide,
    )


async def _migrate(app: App[Any], ledger: Ledger) -> None:
    try:
        await ledger.migrate()
    except InstallerError as error:
        app.push_screen(MessageDialog("The ledger was not changed", str(error)))
    else:
        app.notify("It is up to date now.", title="The ledger", markup=False)
