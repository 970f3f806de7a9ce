"""The command `records forget`: erases records for good."""

from __future__ import annotations

import json as jsonlib
from typing import TYPE_CHECKING, Annotated

import typer

from installer import output
from installer.cli.erasing_options import SERVER_COPIES, ErasingOptions
from installer.cli.options import LedgerUrl, UseLab
from installer.cli.record_filter_options import FilterOptions
from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from installer.ledger.archive import Archive
    from installer.ledger.forgetting import RecordCounts

# What ends with the record, by the reason for which `prune` would keep it.
_ENDS = {
    "can be resumed": "cannot be resumed any more",
    "to be linked by their users": "cannot be linked by their users any more",
    "needed by the gateway to know its devices": "of a device that the gateway then does not visit any more",
}


def forget(
    *,
    filter_options: FilterOptions,
    ids: Annotated[
        list[str] | None, typer.Option("--id", metavar="ID", help="The record with this id (repeatable).")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All records.")] = False,
    erasing: ErasingOptions,
    ledger: LedgerUrl = None,
    use_lab: UseLab = False,
) -> None:
    """Erase records for good, also new ones. The filters are those of `list`. What is being installed stays."""
    from installer.cli.records import open_archive
    from installer.flow import station_choices
    from installer.flow.forget_data import sweep_own_folders
    from installer.ledger import forgetting
    from installer.ledger.query_types import Filter

    selection = filter_options.filter()
    if everything is not (selection == Filter() and not ids):
        raise InstallerError(
            ErrorCode.USAGE,
            "--all was given together with a filter." if everything else "It was not said which records.",
            "Give words, a filter of `records list`, or --id; or --all alone.",
        )
    with open_archive(ledger, use_lab=use_lab) as archive:
        on_server = not archive.records.store.target.is_file
        if everything and on_server and ledger is None:
            raise InstallerError(
                ErrorCode.USAGE,
                "The ledger is a database on a server, which other stations use too.",
                "If all of its records are to go, name it with --ledger. Else give words or a filter.",
            )
        whole, unknown = _whole_ids(archive, ids or [])
        # An id that is not there selects nothing, never all.
        chosen = whole or (["-"] if ids else [])
        counts = forgetting.forget(archive.records, selection, chosen, dry_run=True)
        if not erasing.dry_run:
            if counts.records:
                if not erasing.yes:
                    _print_words(counts)
                erasing.confirm("Erase them for good?")
            counts = forgetting.forget(archive.records, selection, chosen)
            # What this station chose for an installation names the device and the network.
            if everything and not counts.running:
                station_choices.remove_all()
            for installation in counts.erased:
                station_choices.remove(installation)
            # Also if there is no record: a run that was killed may have left a part of one.
            sweep_own_folders()
    _print_result(counts, unknown, erasing, on_server=on_server)
    if counts.running and not erasing.dry_run:
        raise InstallerError(
            ErrorCode.ERASURE_INCOMPLETE,
            f"{_records(counts.running)} stayed: a station is working on {'it' if counts.running == 1 else 'them'}.",
            "Wait until the installation has ended, then give this command again.",
            running=counts.running,
        )


def _whole_ids(archive: Archive, given: list[str]) -> tuple[list[str], list[str]]:
    """The whole ids of the records that begin with these texts, and the texts with which none begins.

    Raises RECORD_AMBIGUOUS.
    """

    whole, unknown = [], []
    for text in given:
        try:
            whole.append(str(archive.one(text)["id"]))
        except InstallerError as error:
            if error.code is not ErrorCode.RECORD_UNKNOWN:
                raise
            unknown.append(text)
    return whole, unknown


def _print_words(counts: RecordCounts) -> None:
    output.print_message(f"  {_records(counts.records)}")
    for why, number in counts.needed.items():
        output.print_message(f"  {number} of them {_ENDS.get(why, why)}")


def _print_result(counts: RecordCounts, unknown: list[str], erasing: ErasingOptions, *, on_server: bool) -> None:
    if erasing.json:
        fields = {"erased": not erasing.dry_run, "records": counts.records, "running": counts.running}
        output.print_result(jsonlib.dumps({**fields, "needed": counts.needed, "unknown": unknown}, ensure_ascii=False))
        return
    output.print_result(f"{'Would be erased' if erasing.dry_run else 'Erased'}: {_records(counts.records)}.")
    if erasing.dry_run:
        for why, number in counts.needed.items():
            output.print_message(f"{number} of them {_ENDS.get(why, why)}.")
    if unknown:
        output.print_message(f"No record has the id {', '.join(unknown)}.")
    if erasing.dry_run:
        return
    output.print_message("Not erased: exports, reports, labels, backups. Measurements: `device-installer data forget`.")
    if on_server:
        output.print_message(SERVER_COPIES)


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count} records"
