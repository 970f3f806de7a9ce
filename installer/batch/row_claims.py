"""What the ledger knows of a batch: which rows are done, which device a row has begun with, and who works on it now.

A row of the plan is found by its batch and its key. While a station works on a row, or has picked a device for one,
it holds a lease on it, so that two stations with the same plan share the work and do nothing twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from installer.errors import ErrorCode, InstallerError
from installer.ledger.query_types import Filter

if TYPE_CHECKING:
    from installer.batch.plan import Plan
    from installer.ledger.records import Lease, Records

T = TypeVar("T")

DONE = ("installed", "to_be_linked")
OPEN = ("running", "interrupted", "failed", "cancelled")
RENEWALS = 4  # within the time after which a silent station is taken for dead


@dataclass(frozen=True)
class RowRecord:
    """What the ledger says of one row. `sent`: for which network credentials went to `address`, or empty.

    `began`: when, in ISO 8601; `step`: the one that was reached.
    """

    id: str
    outcome: str
    address: str = ""
    model: str = ""
    method: str = ""
    ssid: str = ""
    account: str = ""
    sent: str = ""
    began: str = ""
    station: str = ""
    code: str = ""
    step: str = ""

    @property
    def done(self) -> bool:
        """Whether nothing is left to do for this row."""
        return self.outcome in DONE

    @property
    def state(self) -> str:
        """What a row that is done is called in a later run: what is still to be linked stays so."""
        return "to_be_linked" if self.outcome == "to_be_linked" else "done_before"

    @property
    def open(self) -> bool:
        """Whether the record can be gone on with."""
        return self.outcome in OPEN

    @property
    def joined(self) -> bool:
        """Whether the device was on the network: what is left needs no Bluetooth."""
        return bool(self.sent) and self.open and self.step in ("link", "verify")

    @property
    def error(self) -> InstallerError:
        """Why it failed, as another station tells it."""
        known = {code.value: code for code in ErrorCode}
        return InstallerError(
            known.get(self.code, ErrorCode.INTERNAL),
            f"Station “{self.station or 'another'}” could not install it ({self.code or 'no reason told'}).",
            f"`device-installer records show {self.id}` tells more.",
        )


class RowClaims:
    """The ledger as one run of a batch uses it. Close it with `release`."""

    def __init__(self, records: Records, batch: str, station: str) -> None:
        self._records = records
        self._batch = batch
        self._station = station
        self._leases: dict[str, Lease] = {}
        self._keeping: asyncio.Task[None] | None = None
        self._began = ""

    async def load(self) -> dict[str, RowRecord]:
        """All rows of the batch that the ledger knows, by key."""
        past = await self._call(self._load)
        self._keeping = asyncio.create_task(self._keep())
        return past

    async def now(self) -> dict[str, RowRecord]:
        """All rows of the batch as they are now, by key."""
        return await self._call(self._load)

    async def look(self, key: str) -> RowRecord | None:
        """This row, now."""
        return (await self._call(lambda: self._load(key))).get(key)

    async def record(self, past: RowRecord) -> dict[str, Any] | None:
        """The whole record behind it."""
        return await self._call(lambda: self._records.get(past.id))

    async def take_row(self, key: str) -> bool:
        """Keep this row for this station; False if another one works on it."""
        return await self._take(f"row {self._batch}/{key}")

    async def is_free(self, key: str) -> bool:
        """Whether no station works on this row now."""
        name = f"row {self._batch}/{key}"
        if not await self._take(name):
            return False
        await self._release(name)
        return True

    async def take_device(self, address: str) -> bool:
        """Keep this picked device for this station; False if another one has picked it."""
        return await self._take(f"pick {address}")

    async def was_installed(self, address: str) -> bool:
        """Whether the newest that is known of this device is that it was installed."""

        def newest() -> bool:
            found = self._records.find(Filter(address=(address,)), limit=1).records
            return bool(found) and found[0].get("outcome") in DONE

        return await self._call(newest)

    async def give_back(self, key: str, address: str | None) -> None:
        """Others may have the row and the device."""
        await self._release(f"row {self._batch}/{key}")
        if address is not None:
            await self._release(f"pick {address}")

    async def release(self) -> None:
        """Give back all."""
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
        for name in tuple(self._leases):
            await self._release(name)

    @staticmethod
    def differences(plan: Plan, past: Mapping[str, RowRecord]) -> list[str]:
        """What is said of a plan that was changed since it was begun."""
        found = []
        keys = {unit.key for unit in plan.units}
        gone = [p for key, p in past.items() if key not in keys and p.done]
        if gone:
            count = "1 device" if len(gone) == 1 else f"{len(gone)} devices"
            found.append(
                f"{count} installed in earlier runs of “{plan.name}” are no longer in the plan; nothing is undone."
            )
        for unit in plan.units:
            before = past.get(unit.key)
            if before is None or not before.done:
                continue
            now = unit.sync.value if unit.sync is not None else ""
            ssid = unit.network.ssid if unit.network is not None else ""
            changes = [
                f"{what} “{then}”, the plan says “{new}”"
                for what, then, new in (
                    ("sync method", before.method, now if unit.firm else ""),
                    ("network", before.ssid, ssid),
                    ("account", before.account, unit.account or ""),
                )
                if then and new and then != new
            ]
            if changes:
                found.append(f"Row {unit.name} was installed before with {'; '.join(changes)}. It is left as it is.")
        return found

    # In the thread of the ledger.

    def _load(self, key: str | None = None) -> dict[str, RowRecord]:
        past: dict[str, RowRecord] = {}
        for record in self._records.of_batch(self._batch, key):
            row = str(record["row"] or "")
            found = _row_record(record)
            # The newest first; a row that was done once stays done.
            if row and (row not in past or (found.done and not past[row].done)):
                past[row] = found
        return past

    async def _call(self, function: Callable[[], T]) -> T:
        return await self._records.store.call(function)

    async def _take(self, name: str) -> bool:
        lease = self._leases.get(name)
        try:
            if lease is None:
                lease = await self._call(
                    lambda: self._records.lease(
                        name, self._station, self._records.seconds, f"{self._records.holder()} {name}"
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
            # It expires by itself where the ledger is away.
            with contextlib.suppress(InstallerError):
                await self._call(lease.release)

    async def _keep(self) -> None:
        """Renew the leases; one that was lost, or a ledger that is away, shows at the installation itself."""
        while True:
            await asyncio.sleep(self._records.seconds / RENEWALS)
            for lease in tuple(self._leases.values()):
                with contextlib.suppress(InstallerError):
                    await self._call(lease.renew)


def _row_record(record: Mapping[str, Any]) -> RowRecord:
    def text(name: str) -> str:
        return str(record.get(name) or "")

    return RowRecord(
        id=text("id"),
        outcome=text("outcome"),
        address=text("address"),
        model=text("model"),
        method=text("method"),
        ssid=text("ssid"),
        account=text("account"),
        sent=text("sent_ssid") if record.get("sent_address") == record.get("address") else "",
        began=text("started"),
        station=text("station"),
        code=text("error"),
        step=text("step"),
    )
