"""A station: this computer with its adapters, its ledger and its accounts, made ready to run a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from installer.batch import plan_check, plan_reader
from installer.batch.adapter_slots import AdapterSlot
from installer.batch.labels import Label
from installer.batch.plan import Plan, Unit
from installer.batch.plan_check import Known
from installer.batch.row_claims import RowClaims
from installer.batch.row_state import BatchOptions
from installer.batch.runner import Batch
from installer.bluetooth.shared_radio import SharedRadio
from installer.catalogue.catalogue import SyncMethod
from installer.errors import ErrorCode, InstallerError
from installer.events.stream import Event
from installer.flow.assembly import Assembly, Place
from installer.flow.steps.step import Environment, Options
from installer.ledger.site_and_operator import Context
from installer.wifi import saved_networks

if TYPE_CHECKING:
    from installer.bluetooth.adapter import Adapter
    from installer.storage.secret_references import SecretRef


class Station:
    """Use `prepare` first and `close` last."""

    def __init__(
        self,
        place: Place,
        adapters: Sequence[str] = (),
        options: BatchOptions | None = None,
        assembly: Assembly | None = None,
    ) -> None:
        """`adapters`: as `--adapter` names them; none: the one of the place. `assembly`: one that is there already."""
        if len(set(adapters)) != len(adapters):
            raise InstallerError(ErrorCode.USAGE, "An adapter is named twice.", "Name each once.")
        self.options = options or BatchOptions()
        self._adapters = tuple(adapters)
        self._mine = assembly is None
        self.assembly = assembly or Assembly(place)

    async def prepare(self) -> None:
        """Start the lab, if it is practised in."""
        if self.assembly.place.lab:
            await self.assembly.lab()

    async def check(
        self, file: Path, over: Mapping[str, Any], loose: SecretRef | None = None, name: str | None = None
    ) -> Plan:
        """The plan of this file. Raises PLAN_INVALID with every mistake; the lab signs in to any account by itself."""
        raw = plan_reader.read(file)
        known = Known(
            catalogue=self.assembly.catalogue,
            networks=saved_networks.load(),
            accounts=None if self.assembly.place.lab else [a.name for a in await self._stored()],
            loose=loose,
        )
        plan = plan_check.check(raw, known, over)
        return replace(plan, name=name or plan.name)

    async def rehearse(self, plan: Plan, show: Callable[[Event], None]) -> None:
        """What a dry run tells a machine: the rows, and which are done already."""
        await self.batch(plan, show).rehearse()

    def batch(self, plan: Plan, show: Callable[[Event], None], base: Options | None = None) -> Batch:
        """A run of this plan."""
        lanes = [
            AdapterSlot(SharedRadio(self._opener(spec), self.assembly.catalogue, spec or ""), self.options.parallel)
            for spec in self._adapters or (None,)
        ]
        sign_in = self._one_sign_in()

        def make(lane: AdapterSlot, unit: Unit, options: Options) -> Environment:
            context = replace(
                self.assembly.place.context,
                batch=plan.name,
                row=unit.key,
                site=unit.site or self.assembly.place.context.site,
                label=unit.label or None,
            )
            around = self.assembly.surroundings(context)
            return replace(around, radio=lane.radio, options=options, sign_in=sign_in)

        context = self.assembly.surroundings().context
        history = RowClaims(self.assembly.records(), plan.name, context.station or "station")
        return Batch(plan, lanes, make, history, show, self.options, base or self.assembly.place.options)

    async def labels(self, plan: Plan) -> list[Label]:
        """The labels of all devices of the plan that are installed, or are to be linked; in the plan's order."""
        history = RowClaims(self.assembly.records(), plan.name, "")
        try:
            past = await history.load()
        finally:
            await history.release()
        found = []
        for unit in plan.units:
            before = past.get(unit.key)
            if before is not None and before.done:
                found.append(
                    Label(
                        id=before.id,
                        address=before.address,
                        model=before.model,
                        method=SyncMethod(before.method) if before.method in tuple(SyncMethod) else None,
                        since=_seconds(before.began),
                        name=self._model_name(before.model),
                        site=unit.site,
                        label=unit.label,
                        open=before.outcome == "to_be_linked",
                    )
                )
        return found

    def _model_name(self, model: str) -> str:
        try:
            return self.assembly.catalogue.get(model).name
        except InstallerError:  # of another computer's catalogue
            return ""

    async def write_labels(self, plan: Plan, path: Path) -> None:
        """Write them as one sheet. Raises FILE_UNWRITABLE."""
        from installer.batch.labels import write

        write(await self.labels(plan), path, f"Labels of {plan.name}")

    async def close(self) -> None:
        """Close what was opened here."""
        if self._mine:
            await self.assembly.close()

    async def _stored(self) -> Sequence[Any]:
        return await (await self.assembly.accounts()).stored()

    def _opener(self, spec: str | None) -> Any:
        async def opened() -> Adapter:
            from installer.bluetooth.adapter import open_adapter

            return await (self.assembly.adapter() if spec is None else open_adapter(spec))

        return opened

    def _one_sign_in(self) -> Any:
        import asyncio

        return asyncio.Lock()


def _seconds(stamp: str) -> int:
    try:
        return int(datetime.fromisoformat(stamp).timestamp())
    except ValueError:
        return 0


__all__ = ["Context", "Station"]
