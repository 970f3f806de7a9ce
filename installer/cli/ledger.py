"""The command `ledger`: shows the database of the records, and migrates its tables to this version."""

from __future__ import annotations

import json as jsonlib
from typing import TYPE_CHECKING, Any

import typer

from installer import output
from installer.cli import COMMAND_GROUPS
from installer.cli.options import Json, LedgerUrl, UseLab
from installer.text import printable

if TYPE_CHECKING:
    from installer.ledger.database import Target

app = typer.Typer(help=COMMAND_GROUPS["ledger"], rich_markup_mode=None)


@app.command()
def migrate(ledger: LedgerUrl = None, use_lab: UseLab = False, json: Json = False) -> None:
    """Migrate the tables to this version. Nothing in them is lost. Tables of this version are left alone."""
    from installer.ledger import schema_migration

    target = _target(ledger, use_lab=use_lab)
    before, after = schema_migration.migrate(target)
    if json:
        output.print_result(
            jsonlib.dumps({"ledger": schema_migration.display_name(target), "before": before, "after": after})
        )
    elif before == after:
        output.print_result(f"The ledger is up to date ({after}): {schema_migration.display_name(target)}")
    else:
        output.print_result(
            f"The ledger was migrated from {before or 'nothing'} to {after}: {schema_migration.display_name(target)}"
        )


@app.command()
def status(ledger: LedgerUrl = None, use_lab: UseLab = False, json: Json = False) -> None:
    """Show where the ledger is, its version, and how many records it has."""
    from installer.ledger import schema_migration

    target = _target(ledger, use_lab=use_lab)
    found = schema_migration.status(target)
    if json:
        output.print_result(jsonlib.dumps(found))
        return
    for line in _lines(found):
        output.print_result(line)
    if found["state"] in ("older", "empty") and found["there"]:
        output.print_message(f"`{target.migrate_command}` migrates it to this version; nothing in it is lost.")


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
    version = (
        f"{printable(found['version'], 32)}, {states[found['state']]}" if found["version"] else states[found["state"]]
    )
    pairs = [
        ("Ledger", found["ledger"]),
        ("Version", version if found["there"] else "will be made with the first record"),
        ("Size", _size(found["bytes"])),
        ("Way", found.get("connection", {}).get("words", "")),
    ]
    if "records" in found:
        counts = ", ".join(
            f"{n} {printable(outcome.replace('_', ' '), 32)}" for outcome, n in found["outcomes"].items()
        )
        pairs.append(("Records", f"{found['records']}" + (f": {counts}" if counts else "")))
        pairs.append(("In work", f"{found['leases']} devices" if found["leases"] != 1 else "1 device"))
    return [f"{name:<9}{value}" for name, value in pairs if value]


def _size(count: int | None) -> str:
    if count is None:
        return ""
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.0f} kB"
