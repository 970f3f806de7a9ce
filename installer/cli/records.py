"""The command `records`: lists, shows, exports, prunes and forgets the records of installations."""

from __future__ import annotations

import json as jsonlib
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from installer import output
from installer.cli import COMMAND_GROUPS
from installer.cli.option_groups import expand_options
from installer.cli.options import Json, LedgerUrl, UseLab
from installer.cli.record_filter_options import FilterOptions
from installer.cli.records_forget import forget
from installer.errors import ErrorCode, InstallerError
from installer.storage.atomic_write import write_text_atomically

if TYPE_CHECKING:
    from installer.ledger.archive import Archive
    from installer.ledger.query_types import Filter

app = typer.Typer(help=COMMAND_GROUPS["records"], rich_markup_mode=None)
app.command()(expand_options(forget))

LIST_LIMIT = 50
EXPORT_FORMATS = ("csv", "json", "html")


@app.command(name="list")
@expand_options
def list_records(
    *,
    filter_options: FilterOptions,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Show the newest N.")] = LIST_LIMIT,
    json: Json = False,
    ledger: LedgerUrl = None,
    use_lab: UseLab = False,
) -> None:
    """List records, the newest first."""
    selection = filter_options.filter()
    with open_archive(ledger, use_lab=use_lab) as archive:
        page = archive.page(selection, limit)
        if json:
            for record in page.records:
                output.print_result(jsonlib.dumps(record, ensure_ascii=False))
            return
        if not page.records:
            output.print_message(_no_record(selection))
            return
        from installer.ledger import text_table

        wide = shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else None
        for line in text_table.table_lines(page.records, wide):
            output.print_result(line)
        if page.total > len(page.records):
            output.print_message(
                f"{len(page.records)} of {page.total}; --limit N shows more, and --help lists the filters."
            )


@app.command()
def show(
    record: Annotated[str, typer.Argument(metavar="ID", help="Its id, or the first characters of it.")],
    json: Json = False,
    ledger: LedgerUrl = None,
    use_lab: UseLab = False,
) -> None:
    """Show all of one record: the device, each step with its time, each failure with what to do."""
    with open_archive(ledger, use_lab=use_lab) as archive:
        found = archive.one(record)
        if json:
            output.print_result(jsonlib.dumps(found, ensure_ascii=False))
            return
        from installer.ledger import text_table

        for line in text_table.details(found):
            output.print_result(line)
        options = (" --lab" if use_lab else "") + (f" --ledger {shlex.quote(ledger)}" if ledger else "")
        if found["damaged"]:
            return
        if found["outcome"] == "to_be_linked":
            output.print_message(
                f"Its user links it: `device-installer link {found['id']}{options}`, or with the code on its label."
            )
        elif found["outcome"] in ("failed", "cancelled", "interrupted") and found["address"]:
            output.print_message(f"`device-installer resume {found['id']}{options}` continues it.")


@app.command()
@expand_options
def export(
    *,
    form: Annotated[
        str | None, typer.Option("--format", metavar="F", help="csv, json or html; without: the ending of --out.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write to FILE.")] = None,
    filter_options: FilterOptions,
    ledger: LedgerUrl = None,
    use_lab: UseLab = False,
) -> None:
    """Export records as CSV (for a spreadsheet) or JSON (everything), or statistics as a report in HTML."""
    kind = _format(form, out)
    selection = filter_options.filter()
    with open_archive(ledger, use_lab=use_lab) as archive:
        _write(_document(archive, kind, selection), out, bom=kind == "csv")
        if out is not None:
            output.print_message(f"Written to {out}.")


@app.command()
def prune(
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="AGE", help="Only what ended longer ago: 90d, 12h, 8w.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print how many.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also remove what is still needed, but not what runs.")
    ] = False,
    json: Json = False,
    ledger: LedgerUrl = None,
    use_lab: UseLab = False,
) -> None:
    """Remove old records. Those that run, can be resumed, or list a device for the gateway stay."""
    from datetime import UTC, datetime

    from installer.timing.typed_dates import typed_age

    before = datetime.now(UTC) - typed_age(older_than, "--older-than")
    with open_archive(ledger, use_lab=use_lab) as archive:
        pruned = archive.prune(before, force=force, dry_run=dry_run)
    if json:
        output.print_result(jsonlib.dumps({"removed": pruned.removed, "kept": pruned.kept, "dry_run": dry_run}))
        return
    verb = "would be removed" if dry_run else "removed"
    output.print_result(f"{_records(pruned.removed)} {verb}.")
    for why, count in pruned.kept.items():
        hint = "" if why == "running" else "; --force removes them too"
        output.print_message(f"{_records(count)} of that age {'stays' if count == 1 else 'stay'} ({why}){hint}.")


@contextmanager
def open_archive(ledger: str | None, *, use_lab: bool) -> Iterator[Archive]:
    """The ledger that the options name. Raises DATABASE_FAILED at the end, if damaged records were met."""
    from installer import settings
    from installer.ledger import location
    from installer.ledger.archive import Archive
    from installer.ledger.records import Records

    target = location.target(ledger, settings.load().ledger, lab=use_lab)
    records = Records(target, settings.runtime_dir() / "stations")
    try:
        yield Archive(records)
    finally:
        records.close()
    damage = records.damaged.error()
    if damage is not None:
        raise damage


def _no_record(selection: Filter) -> str:
    from installer.ledger.query_types import Filter

    return "No record fits." if selection != Filter() else "There is no record: nothing was installed yet."


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count} records"


def _format(form: str | None, out: Path | None) -> str:
    kind = (form or (out.suffix[1:] if out is not None else "") or "csv").lower()
    kind = {"htm": "html"}.get(kind, kind)
    if kind not in EXPORT_FORMATS:
        raise InstallerError(
            ErrorCode.USAGE, f"There is no format “{kind}”.", f"Give --format {' or '.join(EXPORT_FORMATS)}."
        )
    return kind


def _document(archive: Archive, kind: str, selection: Filter) -> Iterator[str]:
    """The pieces of the exported document."""
    from installer.ledger import export as exports

    if kind == "html":
        return _report(archive, selection)
    return (exports.as_csv if kind == "csv" else exports.as_json)(archive.every(selection))


def _report(archive: Archive, selection: Filter) -> Iterator[str]:
    from installer.ledger import report
    from installer.provisioning.registry import load_catalogue

    names = {m.id: m.name for m in load_catalogue().models}
    failures = archive.failures(selection, report.LAST_FAILURES)
    yield report.render(archive.statistics(selection), failures, wanted=selection, names=names, station=_station())


def _station() -> str:
    from installer import settings
    from installer.ledger import location
    from installer.ledger.records import Context

    return location.context(Context(), settings.load().ledger).station or ""


def _write(parts: Iterator[str], out: Path | None, *, bom: bool) -> None:
    """Write to standard output, or to a file that appears only when it is complete, and that only this user can read.

    `bom`: begin the file with a byte order mark, by which Excel recognises UTF-8.
    """
    if out is None:
        output.print_parts(parts)
        return
    write_text_atomically(out, chain(["\ufeff"] if bom else [], parts))
