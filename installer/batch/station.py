"""A station runs a plan: this computer with its adapters, its ledger and its accounts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from installer.batch import plan_check, plan_reader, plan_secrets
from installer.batch.device_assignment import BatchAdapter
from installer.batch.labels import Label
from installer.batch.options_and_result import BatchOptions
from installer.batch.plan import Plan, Unit
from installer.batch.plan_check import PlanResources
from installer.batch.plan_secrets import Ask
from installer.batch.row_claims import RowClaims
from installer.batch.runner import Batch
from installer.bluetooth.shared_radio import SharedRadio
from installer.catalogue.model import SyncMethod
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import left_link_notice
from installer.events.json_lines import Event
from installer.flow.environment import Environment
from installer.flow.run_options import Options, RunConfig
from installer.flow.run_resources import RunResources
from installer.ledger.timestamps import unix_seconds
from installer.provisioning import registry
from installer.wifi import saved_networks

if TYPE_CHECKING:
    from installer.bluetooth.adapter import Adapter
    from installer.storage.secret_references import SecretRef


class Station:
    """Call `prepare` first and `close` last."""

    def __init__(
        self,
        config: RunConfig,
        adapters: Sequence[str] = (),
        options: BatchOptions | None = None,
        resources: RunResources | None = None,
    ) -> None:
        """`adapters`: as in `--adapter`; none: the one of the config. `resources`: an open one to share."""
        if len(set(adapters)) != len(adapters):
            raise InstallerError(ErrorCode.USAGE, "An adapter is given twice.", "Give each adapter once.")
        self.options = options or BatchOptions()
        self._adapters = tuple(adapters)
        self._owns_resources = resources is None
        self.resources = resources or RunResources(config)

    async def prepare(self) -> None:
        """Start the lab if it is used."""
        if self.resources.config.lab:
            await self.resources.lab()

    async def check(
        self,
        file: Path,
        overrides: Mapping[str, Any],
        passphrase: SecretRef | None = None,
        name: str | None = None,
        ask: Ask | None = None,
    ) -> Plan:
        """Read and check the plan. Raises PLAN_INVALID with every mistake, REFERENCE_REFUSED.

        `overrides`: the defaults of the command line. `passphrase`: for networks that are not saved. `name`: that of
        the batch in the ledger. `ask`: asks a person for leave; None: nobody can be asked. The lab signs in to any
        account, so its accounts are not checked.
        """
        raw = plan_reader.read(file)
        accounts = [] if self.resources.config.lab else await self._stored_accounts()
        resources = PlanResources(
            catalogue=self.resources.catalogue,
            networks=saved_networks.load(),
            accounts=None if self.resources.config.lab else [a.name for a in accounts],
            passphrase=passphrase,
            damaged_accounts={a.name: a.damage for a in accounts if a.damage is not None},
        )
        plan = plan_check.check(raw, resources, overrides)
        allowed = self.resources.config.options.allow_references
        plan = await plan_secrets.settle(plan, allowed=allowed, ask=ask, remarks=self.resources.catalogue.remarks)
        return replace(plan, name=name or plan.name)

    async def dry_run(self, plan: Plan, show: Callable[[Event], None]) -> None:
        """Emit the events of a dry run: the rows, and which are done already."""
        await self.batch(plan, show).dry_run()

    def batch(self, plan: Plan, show: Callable[[Event], None], options: Options | None = None) -> Batch:
        """A run of this plan."""
        adapters = [
            BatchAdapter(
                SharedRadio(self._opener(spec, show), registry.detector(self.resources.catalogue), spec or ""),
                self.options.parallel,
            )
            for spec in self._adapters or (None,)
        ]
        sign_in = asyncio.Lock()

        def make_environment(adapter: BatchAdapter, unit: Unit, options: Options) -> Environment:
            context = replace(
                self.resources.config.context,
                batch=plan.name,
                row=unit.key,
                site=unit.site or self.resources.config.context.site,
                label=unit.label or None,
            )
            environment = self.resources.environment(context)
            catalogue = environment.catalogue.without_remarks()  # the batch has said them
            return replace(environment, catalogue=catalogue, radio=adapter.radio, options=options, sign_in=sign_in)

        plan = replace(plan, remarks=(*self.resources.catalogue.remarks, *plan.remarks))
        context = self.resources.environment().context
        row_claims = RowClaims(
            self.resources.records(),
            plan.name,
            context.station or "station",
            trust_devices=self.options.continue_from_ledger,
        )
        installation_options = options or self.resources.config.options
        return Batch(plan, adapters, make_environment, row_claims, show, self.options, installation_options)

    async def labels(self, plan: Plan) -> list[Label]:
        """The labels of all devices that are installed or to be linked, in the order of the plan."""
        records = await RowClaims(self.resources.records(), plan.name, "").records()
        found = []
        for unit in plan.units:
            record = records.get(unit.key)
            if record is not None and record.done:
                found.append(
                    Label(
                        id=record.id,
                        address=record.address,
                        model=record.model,
                        method=SyncMethod(record.method) if record.method in tuple(SyncMethod) else None,
                        since=int(unix_seconds(record.started) or 0),
                        name=self._model_name(record.model),
                        site=unit.site,
                        label=unit.label,
                        open=record.outcome == "to_be_linked",
                    )
                )
        return found

    def _model_name(self, model: str) -> str:
        try:
            return self.resources.catalogue.get(model).name
        except InstallerError:  # of another computer's catalogue
            return ""

    async def write_labels(self, plan: Plan, path: Path) -> None:
        """Write the labels as one sheet. Raises FILE_UNWRITABLE."""
        from installer.batch.labels import write

        write(await self.labels(plan), path, f"Labels of {plan.name}")

    async def close(self) -> None:
        """Close the resources if this object opened it."""
        if self._owns_resources:
            await self.resources.close()

    async def _stored_accounts(self) -> Sequence[Any]:
        return await (await self.resources.accounts()).stored()

    def _opener(self, spec: str | None, show: Callable[[Event], None]) -> Any:
        async def open_it() -> Adapter:
            adapter = await self.resources.adapter(spec)
            adapter.on_left_link = lambda address: show(left_link_notice(address))
            return adapter

        return open_it
