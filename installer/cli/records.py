"""The command `records`: list, show, export and prune what is kept of installations."""

from __future__ import annotations

import json as jsonlib
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from installer import output
from installer.cli import GROUPS
from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from installer.ledger.archive import Archive
    from installer.ledger.query_types import Filter

app = typer.Typer(help=GROUPS["records"], rich_markup_mode=None)

Text = Annotated[list[str] | None, typer.Argument(metavar="WORDS", help="Only where all of these words are found.")]
Outcome = Annotated[
    list[str] | None,
    typer.Option("--outcome", metavar="O", help="installed, to_be_linked, failed, cancelled, interrupted, running."),
]
Model = Annotated[list[str] | None, typer.Option("--model", metavar="NAME", help="Of this model (repeatable).")]
Site = Annotated[list[str] | None, typer.Option("--site", metavar="S", help="At this site (repeatable).")]
Operator = Annotated[list[str] | None, typer.Option("--operator", metavar="O", help="By this person (repeatable).")]
Batch = Annotated[list[str] | None, typer.Option("--batch", metavar="NAME", help="Of this batch (repeatable).")]
Since = Annotated[str | None, typer.Option("--since", metavar="T", help="Begun since 2026-11-25, or an age: 12h, 7d.")]
Until = Annotated[str | None, typer.Option("--until", metavar="T", help="Begun until then; a date with its whole day.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
Ledger = Annotated[
    str | None, typer.Option("--ledger", metavar="URL", help="The ledger, if not that of the settings; or a file.")
]
UseLab = Annotated[bool, typer.Option("--lab", help="The lab's ledger.")]

LIMIT = 50


@app.command(name="list")
def list_records(
    words: Text = None,
    outcome: Outcome = None,
    model: Model = None,
    site: Site = None,
    operator: Operator = None,
    batch: Batch = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many, the newest.")] = LIMIT,
    json: Json = False,
    ledger: Ledger = None,
    use_lab: UseLab = False,
) -> None:
    """List records, the newest first."""
    wanted = _wanted(words, outcome, model, site, operator, batch, since, until)
    with opened(ledger, use_lab=use_lab) as archive:
        page = archive.page(wanted, limit)
    if json:
        for record in page.records:
            output.result(jsonlib.dumps(record, ensure_ascii=False))
        return
    if not page.records:
        output.words(_nothing(wanted))
        return
    from installer.ledger import text_table

    wide = shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else None
    for line in text_table.lines(page.records, wide):
        output.result(line)
    if page.total > len(page.records):
        output.words(f"{len(page.records)} of {page.total}; --limit N shows more, and filters fewer (--help).")


@app.command()
def show(
    record: Annotated[str, typer.Argument(metavar="ID", help="Its id, or as much of it as no other one has.")],
    json: Json = False,
    ledger: Ledger = None,
    use_lab: UseLab = False,
) -> None:
    """Show one record whole: the device, each step with its time, each failure with what to do."""
    with opened(ledger, use_lab=use_lab) as archive:
        found = archive.one(record)
    if json:
        output.result(jsonlib.dumps(found, ensure_ascii=False))
        return
    from installer.ledger import text_table

    for line in text_table.whole(found):
        output.result(line)
    place = (" --lab" if use_lab else "") + (f" --ledger {shlex.quote(ledger)}" if ledger else "")
    if found["outcome"] == "to_be_linked":
        output.words(f"Its user links it: `device-installer link {found['id']}{place}`, or the code on its label.")
    elif found["outcome"] in ("failed", "cancelled", "interrupted") and found["address"]:
        output.words(f"`device-installer resume {found['id']}{place}` goes on with it.")


@app.command()
def export(
    form: Annotated[str | None, typer.Option("--format", metavar="F", help="csv, json, html; else by --out.")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write to FILE.")] = None,
    words: Text = None,
    outcome: Outcome = None,
    model: Model = None,
    site: Site = None,
    operator: Operator = None,
    batch: Batch = None,
    since: Since = None,
    until: Until = None,
    ledger: Ledger = None,
    use_lab: UseLab = False,
) -> None:
    """Export records as CSV (for a spreadsheet) or JSON (whole), or their numbers as a report in HTML."""
    kind = _form(form, out)
    wanted = _wanted(words, outcome, model, site, operator, batch, since, until)
    with opened(ledger, use_lab=use_lab) as archive:
        _write(_parts(archive, kind, wanted), out, mark=kind == "csv")
    if out is not None:
        output.words(f"Written to {out}.")


@app.command()
def prune(
    older_than: Annotated[str, typer.Option("--older-than", metavar="AGE", help="Ended longer ago: 90d, 12h, 8w.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also what is still needed; what runs stays.")] = False,
    json: Json = False,
    ledger: Ledger = None,
    use_lab: UseLab = False,
) -> None:
    """Remove old records. What runs, can be taken up again, or tells the gateway of a device stays."""
    from datetime import UTC, datetime

    from installer.ledger import filter_options as asked

    before = datetime.now(UTC) - asked.age(older_than, "--older-than")
    with opened(ledger, use_lab=use_lab) as archive:
        pruned = archive.prune(before, force=force, dry_run=dry_run)
    if json:
        output.result(jsonlib.dumps({"removed": pruned.removed, "kept": pruned.kept, "dry_run": dry_run}))
        return
    verb = "would be removed" if dry_run else "removed"
    output.result(f"{_many(pruned.removed)} {verb}.")
    for why, count in pruned.kept.items():
        hint = "" if why == "running" else "; --force removes them too"
        output.words(f"{_many(count)} of that age {'stays' if count == 1 else 'stay'} ({why}){hint}.")


@contextmanager
def opened(ledger: str | None, *, use_lab: bool) -> Iterator[Archive]:
    """The ledger that the options name."""
    from installer import settings
    from installer.ledger import location as place
    from installer.ledger.archive import Archive
    from installer.ledger.records import Records

    target = place.target(ledger, settings.load().ledger, lab=use_lab)
    records = Records(target, settings.runtime_dir() / "stations")
    try:
        yield Archive(records)
    finally:
        records.close()


def _wanted(
    words: list[str] | None,
    outcome: list[str] | None,
    model: list[str] | None,
    site: list[str] | None,
    operator: list[str] | None,
    batch: list[str] | None,
    since: str | None,
    until: str | None,
) -> Filter:
    from installer.ledger.filter_options import asked

    return asked(
        outcome=outcome or (),
        model=model or (),
        site=site or (),
        operator=operator or (),
        batch=batch or (),
        since=since,
        until=until,
        text=" ".join(words or ()) or None,
    )


def _nothing(wanted: Filter) -> str:
    from installer.ledger.query_types import Filter

    return "No record fits." if wanted != Filter() else "Nothing was installed yet: there is no record."


def _many(count: int) -> str:
    return "1 record" if count == 1 else f"{count} records"


def _form(form: str | None, out: Path | None) -> str:
    kind = (form or (out.suffix[1:] if out is not None else "") or "csv").lower()
    kind = {"htm": "html"}.get(kind, kind)
    if kind not in FORMS:
        raise InstallerError(ErrorCode.USAGE, f"There is no format “{kind}”.", f"Give --format {' or '.join(FORMS)}.")
    return kind


FORMS = ("csv", "json", "html")


def _parts(archive: Archive, kind: str, wanted: Filter) -> Iterator[str]:
    from installer.ledger import export as forms

    if kind == "html":
        return _report(archive, wanted)
    return (forms.as_csv if kind == "csv" else forms.as_json)(archive.every(wanted))


def _report(archive: Archive, wanted: Filter) -> Iterator[str]:
    from installer.flow.assembly import catalogue
    from installer.ledger import report

    names = {m.id: m.name for m in catalogue().models}
    failures = archive.failures(wanted, report.LAST_FAILURES)
    yield report.render(archive.numbers(wanted), failures, wanted=wanted, names=names, station=_station())


def _station() -> str:
    from installer import settings
    from installer.ledger import location as place
    from installer.ledger.site_and_operator import Context

    return place.context(Context(), settings.load().ledger).station or ""


def _write(parts: Iterator[str], out: Path | None, *, mark: bool) -> None:
    """To standard output, or whole into a file or not at all. `mark`: as Excel wants UTF-8 to begin in a file."""
    if out is None:
        for part in parts:
            sys.stdout.write(part)
        sys.stdout.flush()
        return
    temporary = out.with_name(f".{out.name}.part")
    try:
        with temporary.open("w", encoding="utf-8-sig" if mark else "utf-8", newline="") as file:
            for part in parts:
                file.write(part)
        temporary.replace(out)
    except OSError as error:
        raise InstallerError(
            ErrorCode.FILE_UNWRITABLE,
            f"{out} cannot be written: {error.strerror}.",
            "Choose another folder, or check the permissions.",
            file=str(out),
        ) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
