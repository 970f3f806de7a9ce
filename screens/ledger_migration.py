"""A ledger that is not ready for this version: said as soon as the wizard opens, and mended if the person likes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.errors import InstallerError
from screens.dialogs import ConfirmDialog, MessageDialog
from screens.widgets import later

if TYPE_CHECKING:
    from screens.app import WizardApp
    from screens.engine_interface import RecordsDesk


async def offer_migration(app: WizardApp, desk: RecordsDesk) -> None:
    """A ledger of an older version can keep nothing: ask whether to bring it up to date."""
    try:
        if not await desk.outdated() or app.installing:
            return
    except InstallerError:
        return  # said by whoever needs it

    def decide(yes: bool | None) -> None:
        if yes:
            app.run_worker(later(_migrate, app, desk))

    app.push_screen(
        ConfirmDialog(
            "The ledger is not ready for this version",
            "Its tables are missing or of an older version. No installation is begun before it is brought up to "
            "date. Nothing in it is lost. Older versions of this program, at other stations, cannot use it then.",
            yes="Bring it up to date",
            no="Not now",
        ),
        decide,
    )


async def _migrate(app: WizardApp, desk: RecordsDesk) -> None:
    try:
        await desk.migrate()
    except InstallerError as error:
        app.push_screen(MessageDialog("The ledger is as it was", str(error)))
    else:
        app.notify("It is up to date now.", title="The ledger", markup=False)
