"""Which installations can be resumed, and what a resumed one needs around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from installer.errors import ErrorCode, InstallerError
from installer.text import printable

if TYPE_CHECKING:
    from installer.flow.assembly import Place
    from installer.flow.steps.step import Options
    from installer.ledger.records import Records

SHOWN = 9  # how many candidates an error names


@dataclass(frozen=True)
class Resumable:
    """One installation that can be gone on with. `stopped`: when it last did something, in ISO 8601.

    `batch`: the plan that it belongs to, which does its rows by itself when it is started again.
    """

    id: str
    outcome: str
    step: str
    stopped: str
    address: str = ""
    name: str = ""
    model: str = ""
    error: str = ""
    sent: bool = False
    batch: str = ""
    cloud: str = ""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Resumable:
        """Out of a whole record."""
        sent = record.get("sent") or {}
        times = [record.get("started"), record.get("ended"), sent.get("time")]
        times += [s.get("done") for s in record.get("steps", ())] + [f.get("time") for f in record.get("failures", ())]
        found = (record.get("answers") or {}).get("find") or {}
        return cls(
            id=str(record["id"]),
            outcome=str(record.get("outcome") or ""),
            step=str(record.get("step") or "find"),
            stopped=max(t for t in times if t),
            address=record.get("address") or found.get("device") or "",
            name=printable(record.get("name") or "", 32),
            model=record.get("model") or found.get("model") or "",
            error=record.get("error") or "",
            sent=bool(sent),
            batch=record.get("batch") or "",
            cloud=str((record.get("options") or {}).get("cloud") or ""),
        )

    @property
    def device(self) -> str:
        """The device in a few words."""
        return " ".join(p for p in (self.name or self.model or "a device", self.address) if p)

    def ago(self, now: datetime) -> str:
        """How long ago it stopped, in words."""
        minutes = int((now - datetime.fromisoformat(self.stopped)).total_seconds() // 60)
        if minutes < 1:
            return "just now"
        if minutes < 60:
            return f"{minutes} min ago"
        if minutes < 1440:
            return f"{minutes // 60} h ago"
        return "yesterday" if minutes < 2880 else f"{minutes // 1440} days ago"


def resumable(records: Records, limit: int = 50) -> list[Resumable]:
    """What can be gone on with, the newest first."""
    found = (Resumable.of(record) for record in records.unfinished(limit))
    return [r for r in found if r.address or r.model]


async def offers(records: Records, cloud: str | None) -> list[Resumable]:
    """What the wizard offers to go on with: not the rows of a plan, and nothing of another cloud.

    A ledger that cannot be read offers nothing: what is wrong with it is told when it is needed.
    """
    file = records.store.target.file
    if file is not None and not file.exists():
        return []
    try:
        found = await records.store.call(resumable, records)
    except InstallerError:
        return []
    return [r for r in found if r.address and not r.batch and r.cloud == (cloud or "")]


def pick(records: Records, wanted: str | None) -> dict[str, Any]:
    """The whole record that is named by its id (or the beginning of it) or the device's address; or the only one.

    Raises RECORD_UNKNOWN where there is none, USAGE where there are several.
    """
    if wanted:
        exact = records.get(wanted.strip())
        if exact is not None:
            return exact
    open_ones = resumable(records)
    if wanted:
        text = wanted.strip().lower()
        fits = [r for r in open_ones if r.id.startswith(text) or r.address.lower() == text]
        if not fits:
            raise InstallerError(
                ErrorCode.RECORD_UNKNOWN,
                f"There is no installation “{printable(wanted, 64)}” that could be resumed.",
                "`device-installer resume --list` lists those that can.",
                installation=wanted,
            )
    else:
        # The rows of a plan are gone on with by the plan.
        fits = [r for r in open_ones if not r.batch]
    if len(fits) > 1:
        raise _several(fits)
    found = records.get(fits[0].id) if fits else None
    if found is None:
        rows = sum(bool(r.batch) for r in open_ones)
        plans = f" {rows} row{'' if rows == 1 else 's'} of a batch: start its plan again." if rows else ""
        raise InstallerError(
            ErrorCode.RECORD_UNKNOWN,
            "There is no installation to resume." + plans,
            "`device-installer install` and the wizard begin a new one.",
        )
    return found


def place_of(place: Place, record: Mapping[str, Any]) -> Place:
    """`place` with what it leaves open as it was in the earlier attempt; what that one refused is refused still."""
    kept = record.get("options") or {}
    files = place.catalogues or tuple(Path(str(p)) for p in kept.get("catalogues") or ())
    return replace(
        place,
        adapter=place.adapter or (None if place.lab else kept.get("adapter")),
        cloud=place.cloud or (None if place.lab else kept.get("cloud")),
        catalogues=files,
        options=options_of(place.options, record),
    )


def options_of(options: Options, record: Mapping[str, Any]) -> Options:
    """How the earlier attempt behaved, with what is asked now on top."""
    kept = record.get("options") or {}
    return replace(
        options,
        keep_wifi=options.keep_wifi or kept.get("keep_wifi") is True,
        guided=options.guided or kept.get("guided") is True,
        require_encryption=options.require_encryption or kept.get("require_encryption") is True,
    )


def with_hint(error: InstallerError, summary: Mapping[str, Any], *, lab: bool) -> InstallerError:
    """`error` with the command that goes on, where that saves something: from the choice of the sync method on."""
    if "sync" not in summary:
        return error
    command = f"device-installer resume {summary['installation']}{' --lab' if lab else ''}"
    return InstallerError(error.code, error.what, f"{error.todo} Later, `{command}` goes on.".strip(), **error.data)


def _several(fits: Sequence[Resumable]) -> InstallerError:
    listed = "; ".join(f"{r.id} ({r.device}, {r.step} step)" for r in fits[:SHOWN])
    more = f"; and {len(fits) - SHOWN} more" if len(fits) > SHOWN else ""
    return InstallerError(
        ErrorCode.USAGE,
        f"{len(fits)} installations can be resumed: {listed}{more}.",
        "Name one: `device-installer resume ID`. With --list they are printed.",
        candidates=[r.id for r in fits],
    )
