"""The ledger as the wizard looks into it: nothing waits in the event loop, and a database is met when it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from installer.ledger.query_types import Filter, Page

if TYPE_CHECKING:
    from installer.answers import Answers
    from installer.ledger.records import Records


class WizardLedger:
    """Pages, single records, and the state of the database. Raises what `Records` raises."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def page(self, wanted: Filter, limit: int, after: tuple[str, str] | None = None) -> Page:
        """Some records without their steps, the newest first."""
        return await self._records.store.call(self._records.find, wanted, limit, after)

    async def one(self, installation: str) -> dict[str, Any]:
        """The whole record. Raises RECORD_UNKNOWN where somebody removed it meanwhile."""
        from installer.ledger.archive import Archive

        return await self._records.store.call(Archive(self._records).one, installation)

    async def outdated(self) -> bool:
        """Whether the tables must be brought up to date before anything can be kept. Makes nothing."""
        from installer.ledger import maintenance

        target = self._records.store.target
        if target.practice:
            return False
        found = await self._records.store.call(maintenance.status, target)
        return bool(found["there"]) and found["state"] in ("older", "empty")

    async def migrate(self) -> None:
        """Bring the tables up to date; nothing in them is lost."""
        from installer.ledger import maintenance

        await self._records.store.call(maintenance.migrate, self._records.store.target)


def answers_of(record: dict[str, Any]) -> Answers:
    """The choices of a record, to be made once more for the same device.

    Without consent to send and without any secret or its place: both are asked for anew. Raises ANSWERS_INVALID for a
    record of another version that cannot be read as answers.
    """
    from installer.answers import validate

    data = {key: dict(value) for key, value in (record.get("answers") or {}).items() if isinstance(value, dict)}
    data.pop("provision", None)
    find = data.setdefault("find", {})
    if record.get("address"):
        find.pop("name", None)
        find["device"] = record["address"]
    find.pop("proof", None)
    if not (find.get("device") or find.get("name") or find.get("model")):
        del data["find"]
    data.get("network", {}).pop("passphrase", None)
    if data.get("link", {}).get("later"):
        del data["link"]
    return validate(data, f"record {record['id']}")
