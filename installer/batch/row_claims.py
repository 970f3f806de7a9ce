"""Claims on the rows of a batch: the ledger's records of each row, and the leases of the row and its device.

A row is found by its batch and its key. A station holds a lease on a row while it works on it, and on the device that
it chose for the row. So two stations with the same plan share the work and do nothing twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

from installer.errors import ErrorCode, InstallerError
from installer.flow import station_choices
from installer.flow.resume import AttemptSummary
from installer.ledger.leases import Lease, renewal_interval
from installer.ledger.query_types import Filter, damaged_record

if TYPE_CHECKING:
    from installer.batch.plan import Plan
    from installer.ledger.records import Records

T = TypeVar("T")

DONE = ("installed", "to_be_linked")
OPEN = ("running", "interrupted", "failed", "cancelled")


@dataclass(frozen=True)
class RowRecord(AttemptSummary):
    """What the ledger says of one row: the newest attempt, or the one that installed the device.

    `damaged`: what cannot be read in it. Then nobody knows whether the device is installed, so the row is not tried.
    `own_device`: this station vouches for its device; any other device was named by whoever can write the ledger.
    """

    damaged: tuple[str, ...] = ()
    own_device: bool = True

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """Read a record of the ledger."""
        return replace(super().of(record), damaged=tuple(record.get("damaged", ())))

    @property
    def damage(self) -> InstallerError | None:
        """The error of a damaged record."""
        return damaged_record(self.id, self.damaged) if self.damaged else None

    @property
    def done(self) -> bool:
        """Whether nothing is left to do for this row."""
        return self.outcome in DONE and not self.damaged

    @property
    def state(self) -> str:
        """What a row that is done is called in a later run: what is still to be linked stays so."""
        return "to_be_linked" if self.outcome == "to_be_linked" else "done_before"

    @property
    def open(self) -> bool:
        """Whether the record can be gone on with."""
        return self.outcome in OPEN and not self.damaged

    @property
    def joined(self) -> bool:
        """Whether the device was on the network: what is left needs no Bluetooth."""
        return bool(self.sent_ssid) and self.open and self.step in ("link", "verify")

    @property
    def error(self) -> InstallerError:
        """Why it failed, as another station tells it."""
        known = {code.value: code for code in ErrorCode}
        return InstallerError(
            known.get(self.error_code, ErrorCode.INTERNAL),
            f"Station “{self.station or 'another'}” could not install it ({self.error_code or 'no reason told'}).",
            f"`device-installer records show {self.id}` tells more.",
        )


class RowClaims:
    """The rows of one batch in the ledger, for one run. Start with `open`, end with `close`."""

    def __init__(self, records: Records, batch: str, station: str, *, trust_devices: bool = False) -> None:
        """`trust_devices`: the devices that the ledger names count, whoever can write it."""
        self._records = records
        self._trust_devices = trust_devices or records.private
        self._batch = batch
        self._station = station
        self._leases: dict[str, Lease] = {}
        self._renewing: asyncio.Task[None] | None = None

    @property
    def private(self) -> bool:
        """Whether nobody else can write the ledger."""
        return self._records.private

    async def open(self) -> dict[str, RowRecord]:
        """Start to renew the leases. Returns `records`."""
        found = await self.records()
        self._renewing = asyncio.create_task(self._renew_leases())
        return found

    async def records(self) -> dict[str, RowRecord]:
        """The current record of each row that the ledger has, by key."""
        return await self._call(self._load)

    async def record(self, key: str) -> RowRecord | None:
        """The current record of this row."""
        return (await self._call(lambda: self._load(key))).get(key)

    async def complete_record(self, record: RowRecord) -> dict[str, Any] | None:
        """The complete record, with its steps."""
        return await self._call(lambda: self._records.get(record.id))

    async def claim_row(self, key: str) -> bool:
        """Take the lease of this row; False if another station works on it."""
        return await self._acquire(f"row {self._batch}/{key}")

    async def is_row_free(self, key: str) -> bool:
        """Whether no station works on this row now."""
        name = f"row {self._batch}/{key}"
        if not await self._acquire(name):
            return False
        await self._release(name)
        return True

    async def claim_device(self, address: str) -> bool:
        """Take the lease of this chosen device; False if another station has chosen it."""
        return await self._acquire(f"pick {address}")

    async def was_installed(self, address: str) -> bool:
        """Whether the newest record of this device says that it was installed."""

        def newest() -> bool:
            found = self._records.find(Filter(address=(address,)), limit=1).records
            # Of a damaged one nobody knows.
            return bool(found) and (found[0]["outcome"] in DONE or bool(found[0]["damaged"]))

        return await self._call(newest)

    async def release(self, key: str, address: str | None) -> None:
        """Release the leases of the row and of the device."""
        await self._release(f"row {self._batch}/{key}")
        if address is not None:
            await self._release(f"pick {address}")

    async def close(self) -> None:
        """Release all leases."""
        renewing, self._renewing = self._renewing, None
        if renewing is not None:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
        for name in tuple(self._leases):
            await self._release(name)

    @staticmethod
    def differences(plan: Plan, past: Mapping[str, RowRecord]) -> list[str]:
        """How the plan differs from what was installed by it before, as sentences."""
        found = []
        keys = {unit.key for unit in plan.units}
        removed = [p for key, p in past.items() if key not in keys and p.done]
        if removed:
            count, verb = ("1 device", "is") if len(removed) == 1 else (f"{len(removed)} devices", "are")
            found.append(
                f"{count} installed in earlier runs of “{plan.name}” {verb} no longer in the plan. Nothing is undone."
            )
        for unit in plan.units:
            record = past.get(unit.key)
            if record is None or not record.done:
                continue
            sync = unit.sync.value if unit.sync is not None else ""
            ssid = unit.network.ssid if unit.network is not None else ""
            changes = [
                f"{what} “{old}”, the plan says “{new}”"
                for what, old, new in (
                    ("sync method", record.method, sync if unit.sync_required else ""),
                    ("network", record.ssid, ssid),
                    ("account", record.account, unit.account or ""),
                )
                if old and new and old != new
            ]
            if changes:
                found.append(f"Row {unit.name} was installed before with {'; '.join(changes)}. It is not changed.")
        return found

    def _load(self, key: str | None = None) -> dict[str, RowRecord]:
        past: dict[str, RowRecord] = {}
        for record in self._records.of_batch(self._batch, key):
            row = str(record["row"] or "")
            found = RowRecord.of(record)
            if found.sent_ssid and not self._trust_devices:
                found = replace(found, own_device=_chose(found))
            # The newest record comes first. A row that was done once stays done.
            if row and (row not in past or (found.done and not past[row].done)):
                past[row] = found
        return past

    async def _call(self, function: Callable[[], T]) -> T:
        return await self._records.store.call(function)

    async def _acquire(self, name: str) -> bool:
        lease = self._leases.get(name)
        try:
            if lease is None:
                lease = await self._call(
                    lambda: self._records.lease(
                        name, self._station, self._records.lease_seconds, f"{self._records.holder()} {name}"
                    )
                )
                self._leases[name] = lease
        except InstallerError as error:
            if error.code is not ErrorCode.DEVICE_TAKEN:
                raise
            return False
        return True

    async def _release(self, name: str) -> None:
        lease = self._leases.pop(name, None)
        if lease is not None:
            # Without the ledger it is not released; it expires.
            with contextlib.suppress(InstallerError):
                await self._call(lease.release)

    async def _renew_leases(self) -> None:
        """Renew the leases. The installation itself notices a lost lease or an unreachable ledger."""
        while True:
            await asyncio.sleep(renewal_interval(self._records.lease_seconds))
            for lease in tuple(self._leases.values()):
                with contextlib.suppress(InstallerError):
                    await self._call(lease.renew)


def _chose(record: RowRecord) -> bool:
    """Whether this station itself chose the device of the record."""
    choices = station_choices.load(record.id)
    return choices is not None and choices.address.upper() == record.address.upper()
