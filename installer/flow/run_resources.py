"""Opens what a run needs when it is first needed: the lab, the adapter, the cloud accounts, the ledger.

The command line and the settings of this computer say which ones.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING

from installer import output, settings
from installer.errors import ErrorCode, InstallerError
from installer.flow.environment import Environment
from installer.flow.run_options import RunConfig
from installer.gateway.files_and_lock import GatewayFiles
from installer.ledger import location as ledger_location
from installer.ledger.records import Context, Records
from installer.provisioning.registry import load_catalogue

if TYPE_CHECKING:
    from installer.bluetooth.adapter import Adapter
    from installer.catalogue.catalogue_file import Catalogue
    from installer.cloud.accounts import Accounts
    from installer.flow.lab_process import LabState
    from installer.gateway.radio_room import RadioRoom
    from installer.notifications.callback_setup import NotificationSetup
    from installer.settings import Settings


def lab_state_file() -> Path:
    """The state file of this user's lab."""
    return settings.runtime_dir() / "lab.json"


class RunResources:
    """Opens the lab, the adapter, the accounts and the ledger when they are first needed; `close` closes them."""

    def __init__(self, config: RunConfig) -> None:
        if config.lab and config.cloud is not None:
            raise InstallerError(
                ErrorCode.USAGE,
                "--lab and --cloud were given together, and the lab has its own cloud.",
                "Leave one of them out; `device-installer lab status` prints the lab's --adapter and --cloud.",
            )
        self.config = config
        self.settings: Settings = settings.load()
        self._lab: LabState | None = None
        self._accounts: Accounts | None = None
        self._records: Records | None = None

    @functools.cached_property
    def catalogue(self) -> Catalogue:
        """The built-in catalogue and the files of the settings and the command line. Raises CATALOGUE_INVALID."""
        return load_catalogue(self.config.catalogues)

    def environment(self, context: Context | None = None) -> Environment:
        """The environment of one installation. Several installations may share these resources.

        `context`: of this installation; by default the command line's.
        """
        return Environment(
            catalogue=self.catalogue,
            open_adapter=self.adapter,
            open_accounts=self.accounts,
            records=self.records(),
            context=self._context(context or self.config.context),
            cloud_name="the lab's cloud" if self.config.lab else self.cloud_settings().name,
            sign_in_lab_user=self._sign_in_robot if self.config.lab else None,
            gateway=GatewayFiles.in_data_dir(lab=self.config.lab),
            consents=self.settings.gateway.consent,
            options=self.config.options,
            open_notifications=self.notifications,
        )

    async def lab(self) -> LabState:
        """The lab that `--lab` uses; it is started if none runs."""
        from installer.flow import lab_process

        if self._lab is None:
            self._lab = await lab_process.ensure_running(lab_state_file())
        return self._lab

    async def adapter(self, spec: str | None = None) -> Adapter:
        """The adapter `spec`, or that of `--adapter`, the lab's, or the system's. Raises the BLUETOOTH_* errors.

        This user's gateway makes room for it.
        """
        opened = await self.gateway_adapter(spec)
        if opened.shared_by_programs:
            opened.room = await self.radio_room().ask()
        return opened

    async def gateway_adapter(self, spec: str | None = None) -> Adapter:
        """The same for the gateway, for which nobody makes room."""
        from installer.bluetooth.own_links import OwnLinks
        from installer.flow.bluetooth_keys import open_adapter
        from installer.storage.process_marks import ProcessMarks

        spec = spec or self.config.adapter
        if spec is None and self.config.lab:
            spec = (await self.lab()).adapter
        links = OwnLinks(ProcessMarks(settings.state_dir() / "bluetooth" / "links"))
        return await open_adapter(spec, lab=self.config.lab, links=links)

    def radio_room(self) -> RadioRoom:
        """The agreement of this user's programs on the system's Bluetooth."""
        from installer.gateway.radio_room import RadioRoom

        return RadioRoom(settings.state_dir() / "bluetooth")

    async def accounts(self) -> Accounts:
        """The accounts at the cloud of `--cloud`, or the lab's, or the one of the settings."""
        from installer.cloud.accounts import Accounts
        from installer.cloud.token_store import TokenStore

        if self._accounts is None:
            if self.config.lab:
                await self.lab()
            cloud = self.cloud_settings()
            # The lab's tokens are not kept in the keyring.
            folder = settings.data_dir() / ("lab-accounts" if self.config.lab else "accounts")
            backend = "file" if self.config.lab else self.settings.accounts.backend
            self._accounts = Accounts(cloud, TokenStore(folder, backend=backend))
        return self._accounts

    def cloud_settings(self) -> settings.CloudSettings:
        """The cloud's addresses and this application's client id and secret."""
        cloud = self.settings.cloud
        if self._lab is not None and self.config.lab:
            return cloud.at_lab(self._lab.cloud, self._lab.client_id, self._lab.client_secret)
        return cloud.at(self.config.cloud) if self.config.cloud else cloud

    def notifications(self, path_file: Path | None = None) -> NotificationSetup:
        """The notification settings and subscriptions of this computer. `path_file`: the file of the secret path."""
        from installer.notifications.callback_setup import NotificationSetup

        lab = self.config.lab
        return NotificationSetup(
            self.settings.notifications, self.cloud_settings, settings.data_dir(), lab=lab, path_file=path_file
        )

    def records(self) -> Records:
        """The ledger of `--ledger`, or the lab's, or the one of the settings; opened when first used."""
        if self._records is None:
            target = ledger_location.target(self.config.ledger, self.settings.ledger, lab=self.config.lab)
            self._records = Records(target, settings.runtime_dir() / "stations")
        return self._records

    def _context(self, given: Context) -> Context:
        config, options = self.config, self.config.options
        recorded = {
            "keep_wifi": options.keep_wifi,
            "guided": options.guided,
            "require_encryption": options.require_encryption,
            "allow_unproved": options.allow_unproved,
            "adapter": config.adapter,
            "cloud": config.cloud,
            "catalogues": [str(p.absolute()) for p in config.catalogues],
        }
        return dataclasses.replace(
            ledger_location.context(given, self.settings.ledger), options={**recorded, **given.options}
        )

    async def close(self) -> None:
        """Close the ledger and the accounts, if they were opened."""
        records, self._records = self._records, None
        if records is not None:
            await asyncio.to_thread(records.close)
            damage = records.damaged.error()
            if damage is not None:
                # They were left out; nothing else failed.
                output.print_message(str(damage))
        accounts, self._accounts = self._accounts, None
        if accounts is not None:
            await accounts.close()

    async def _sign_in_robot(self, url: str) -> None:
        from installer.cloud.lab_sign_in import sign_in_by_form

        user = (await self.lab()).user
        await sign_in_by_form(url, user.email, user.password)
