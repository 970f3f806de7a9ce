"""The command `ledger`: where the database of the records is, what is in it, and bringing it up to date."""

from __future__ import annotations

import json as jsonlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from installer import output
from installer.cli import GROUPS

if TYPE_CHECKING:
    from installer.ledger.database import Target

app = typer.Typer(help=GROUPS["ledger"], rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="Print a JSON object.")]
Ledger = Annotated[
    str | None, typer.Option("--ledger", metavar="URL", help="The ledger, if not that of the settings; or a file.")
]
UseLab = Annotated[bool, typer.Option("--lab", help="The lab's ledger.")]


@app.command()
def migrate(ledger: Ledger = None, use_lab: UseLab = False, json: Json = False) -> None:
    """Bring the tables to this version; nothing in them is lost. Once more does nothing."""
    from installer.ledger import maintenance

    target = _target(ledger, use_lab=use_lab)
    before, after = maintenance.migrate(target)
    if json:
        output.result(jsonlib.dumps({"ledger": maintenance.name(target), "before": before, "after": after}))
    elif before == after:
        output.result(f"The ledger is up to date ({after}): {maintenance.name(target)}")
    else:
        output.result(f"The ledger was brought from {before or 'nothing'} to {after}: {maintenance.name(target)}")


@app.command()
def status(ledger: Ledger = None, use_lab: UseLab = False, json: Json = False) -> None:
    """Say where the ledger is, its version, and how many records it holds."""
    from installer.ledger import maintenance

    target = _target(ledger, use_lab=use_lab)
    found = maintenance.status(target)
    if json:
        output.result(jsonlib.dumps(found))
        return
    for line in _lines(found):
        output.result(line)
    if found["state"] in ("older", "empty") and found["there"]:
        output.words(f"`{target.migrate}` brings it up to date; nothing in it is lost.")


def _target(ledger: str | None, *, use_lab: bool) -> Target:
    from installer import settings
    from installer.ledger import location

    return location.target(ledger, settings.load().ledger, lab=use_lab)


def _lines(found: dict[str, Any]) -> list[str]:
    states = {
        "current": "up to date",
        "older": "of an older version of this program",
        "newer": "of a newer version of this program",
        "foreign": "not of this program",
        "empty": "without tables yet",
    }
    version = f"{found['version']}, {states[found['state']]}" if found["version"] else states[found["state"]]
    pairs = [
        ("Ledger", found["ledger"]),
        ("Version", version if found["there"] else "made with the first record"),
        ("Size", _size(found["bytes"])),
    ]
    if "records" in found:
        counts = ", ".join(f"{n} {outcome.replace('_', ' ')}" for outcome, n in found["outcomes"].items())
        pairs.append(("Records", f"{found['records']}" + (f": {counts}" if counts else "")))
        pairs.append(("In work", f"{found['leases']} devices" if found["leases"] != 1 else "1 device"))
    return [f"{name:<9}{value}" for name, value in pairs if value]


def _size(count: int | None) -> str:
    if count is None:
        return ""
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.0f} kB"
