"""Puts the surroundings of an installation together from the options and the settings of this computer."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from installer import settings
from installer.catalogue import catalogue as catalog
from installer.catalogue.catalogue import Catalogue
from installer.errors import ErrorCode, InstallerError
from installer.flow.steps.step import Environment, Options
from installer.gateway.files_and_lock import GatewayFiles
from installer.ledger import location as ledger_place
from installer.ledger.records import Records
from installer.ledger.site_and_operator import Context

if TYPE_CHECKING:
    from installer.bluetooth.adapter import Adapter
    from installer.cloud.accounts import Accounts
    from installer.flow.lab_process import LabState
    from installer.notifications.setup import NotificationSetup
    from installer.settings import Settings


@dataclass(frozen=True)
class Place:
    """Where to work: which adapter, cloud, catalogues and ledger; all as given on the command line.

    `context`: who installs where; what it leaves open comes from the settings.
    """

    adapter: str | None = None
    cloud: str | None = None
    lab: bool = False
    catalogues: Sequence[Path] = field(default_factory=tuple)
    options: Options = field(default_factory=Options)
    ledger: str | None = None
    context: Context = field(default_factory=Context)


def lab_state_file() -> Path:
    """The state file of this user's lab."""
    return settings.runtime_dir() / "lab.json"


def catalogue(extra: Sequence[Path] = ()) -> Catalogue:
    """The built-in catalogue, the files in the `catalogue` folder of the settings, and `extra`."""
    own = sorted(settings.config_dir().joinpath("catalogue").glob("*.toml"))
    return catalog.load([*own, *extra])


class Assembly:
    """Makes the costly parts when they are first needed: the lab, the adapter, the cloud's client."""

    def __init__(self, place: Place) -> None:
        if place.lab and place.cloud is not None:
            raise InstallerError(
                ErrorCode.USAGE,
                "--lab and --cloud were given together, and the lab has a cloud of its own.",
                "Leave one of them out; `device-installer lab status` prints the lab's --adapter and --cloud.",
            )
        self.place = place
        self.settings: Settings = settings.load()
        self.catalogue = catalogue(place.catalogues)
        self._lab: LabState | None = None
        self._accounts: Accounts | None = None
        self._records: Records | None = None

    def surroundings(self, context: Context | None = None) -> Environment:
        """The surroundings of one installation. Several installations may share this assembly.

        `context`: for this installation, in place of the command line's.
        """
        return Environment(
            catalogue=self.catalogue,
            open_adapter=self.adapter,
            open_accounts=self.accounts,
            records=self.records(),
            context=self._context(context or self.place.context),
            cloud_name="the lab's cloud" if self.place.lab else self.cloud_settings().name,
            sign_in_robot=self._robot if self.place.lab else None,
            gateway=GatewayFiles.here(lab=self.place.lab),
            options=self.place.options,
            open_notifications=self.notifications,
        )

    async def lab(self) -> LabState:
        """The lab that `--lab` uses: the running one, or a new one."""
        from installer.flow import lab_process

        if self._lab is None:
            self._lab = await lab_process.ensure(lab_state_file())
        return self._lab

    async def adapter(self) -> Adapter:
        """The adapter of `--adapter`, or the lab's, or the system's. Raises the BLUETOOTH_* errors."""
        from installer.bluetooth.adapter import open_adapter

        spec = self.place.adapter
        if spec is None and self.place.lab:
            spec = (await self.lab()).adapter
        return await open_adapter(spec)

    async def accounts(self) -> Accounts:
        """The accounts at the cloud of `--cloud`, or the lab's, or the one of the settings."""
        from installer.cloud.accounts import Accounts
        from installer.cloud.token_store import TokenStore

        if self._accounts is None:
            if self.place.lab:
                await self.lab()
            cloud = self.cloud_settings()
            # Practice tokens stay out of the keyring.
            folder = settings.data_dir() / ("lab-accounts" if self.place.lab else "accounts")
            backend = "file" if self.place.lab else self.settings.accounts.backend
            self._accounts = Accounts(cloud, TokenStore(folder, backend=backend))
        return self._accounts

    def cloud_settings(self) -> settings.CloudSettings:
        """The cloud's addresses and this application's identity there."""
        cloud = self.settings.cloud
        if self._lab is not None and self.place.lab:
            return cloud.at_lab(self._lab.cloud, self._lab.client_id, self._lab.client_secret)
        return cloud.at(self.place.cloud) if self.place.cloud else cloud

    def notifications(self, path_file: Path | None = None) -> NotificationSetup:
        """Where this computer is told of new data, and what it has subscribed. `path_file`: of the secret path."""
        from installer.notifications.setup import NotificationSetup

        own, lab = self.settings.notifications, self.place.lab
        return NotificationSetup(own, self.cloud_settings, settings.data_dir(), lab=lab, path_file=path_file)

    def records(self) -> Records:
        """The ledger of `--ledger`, or the lab's, or the one of the settings; opened when first used."""
        if self._records is None:
            target = ledger_place.target(self.place.ledger, self.settings.ledger, lab=self.place.lab)
            self._records = Records(target, settings.runtime_dir() / "stations")
        return self._records

    def _context(self, given: Context) -> Context:
        place, options = self.place, self.place.options
        kept = {
            "keep_wifi": options.keep_wifi,
            "guided": options.guided,
            "require_encryption": options.require_encryption,
            "adapter": place.adapter,
            "cloud": place.cloud,
            "catalogues": [str(p.absolute()) for p in place.catalogues],
        }
        return dataclasses.replace(ledger_place.context(given, self.settings.ledger), options={**kept, **given.options})

    async def close(self) -> None:
        """Close what was opened."""
        records, self._records = self._records, None
        if records is not None:
            await asyncio.to_thread(records.close)
        accounts, self._accounts = self._accounts, None
        if accounts is not None:
            await accounts.close()

    async def _robot(self, url: str) -> None:
        from installer.cloud.lab_sign_in import sign_in_by_form

        user = (await self.lab()).user
        await sign_in_by_form(url, user.email, user.password)
