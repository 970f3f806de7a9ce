"""The command `data forget`: erases a person's health data from the places of this computer."""

from __future__ import annotations

import json as jsonlib
from typing import TYPE_CHECKING, Annotated

import typer

from installer import output
from installer.cli.erasing_options import SERVER_COPIES, ErasingOptions
from installer.cli.options import DatabaseUrl, UseLab
from installer.cli.run_command import run
from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from installer.flow.forget_data import Counts, DataForgetting, Wanted


def forget(
    *,
    account: Annotated[
        str | None, typer.Option("--account", metavar="NAME", help="What belongs to this account, or to its user.")
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", metavar="D", help="What this device measured: its id, address or name.")
    ] = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="AGE", help="Only what was measured longer ago: 90d, 8w.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything, of all accounts and devices.")] = False,
    undelivered: Annotated[
        bool,
        typer.Option("--undelivered", help="Also what the gateway has not delivered yet. It is nowhere else."),
    ] = False,
    erasing: ErasingOptions,
    use_lab: UseLab = False,
    database: DatabaseUrl = None,
) -> None:
    """Erase health data from this computer: measurements, and what the gateway and the receiver keep."""
    from datetime import UTC, datetime

    from installer.flow.forget_data import Wanted
    from installer.timing.typed_dates import typed_age

    before = None if older_than is None else datetime.now(UTC) - typed_age(older_than, "--older-than")
    wanted = Wanted(account, device, before)
    if everything is not wanted.everything:
        raise InstallerError(
            ErrorCode.USAGE,
            "--all was given together with what is to be selected."
            if everything
            else "It was not said what is to be erased.",
            "Give --account, --device or --older-than (all that are given must fit), or --all alone.",
        )
    run(_forget(wanted, erasing, use_lab=use_lab, database=database, undelivered=undelivered))


async def _forget(
    wanted: Wanted, erasing: ErasingOptions, *, use_lab: bool, database: str | None, undelivered: bool
) -> None:
    from installer import settings
    from installer.flow.forget_data import DataForgetting

    forgetting = await DataForgetting.open(settings.load(), wanted, lab=use_lab, database=database)
    try:
        counts = await forgetting.count()
        if not erasing.dry_run:
            _check_undelivered(counts, undelivered=undelivered)
            if counts.total:
                if not erasing.yes:
                    _print_words(counts)
                erasing.confirm("Erase this for good?")
            # Also if there is nothing: an erasure that was interrupted may have left something in the files.
            counts = await forgetting.erase()
        if erasing.json:
            fields = {"erased": not erasing.dry_run, **counts.as_json(), "signed_in": forgetting.still_signed_in}
            output.print_result(jsonlib.dumps(fields, ensure_ascii=False))
            return
        _print_result(forgetting, counts, wanted, dry_run=erasing.dry_run)
    finally:
        forgetting.close()


def _check_undelivered(counts: Counts, *, undelivered: bool) -> None:
    if counts.outbox.undelivered and not undelivered:
        raise InstallerError(
            ErrorCode.ERASURE_INCOMPLETE,
            f"Nothing was erased: the gateway has not delivered {_number(counts.outbox.undelivered, 'measurement')} of "
            "this yet, and they are nowhere else.",
            "Let the gateway deliver first (`device-installer gateway once`), or give --undelivered to lose them.",
            undelivered=counts.outbox.undelivered,
        )


def _print_result(forgetting: DataForgetting, counts: Counts, wanted: Wanted, *, dry_run: bool) -> None:
    if counts.total:
        for line in _lines(counts):
            output.print_result(f"{'Would be erased' if dry_run else 'Erased'}: {line}")
    else:
        known = ", ".join(f"“{name}”" for name in forgetting.known_accounts())
        hint = f" The store has data of the accounts {known}." if known and wanted.account is not None else ""
        output.print_result(f"There is nothing of this to erase.{hint}")
    if forgetting.spares_store:
        output.print_message(
            "The store of measurements is a database on a server, which other computers use too: it stays. With --all, "
            "--database URL has to name it."
        )
    if dry_run:
        return
    names = forgetting.still_signed_in
    if names:
        listed = ", ".join(f"“{name}”" for name in names)
        output.print_message(
            f"The cloud still has its data, and this computer is signed in to {listed}: what is new or changed there "
            "is fetched again. `device-installer account logout NAME` ends that; after it, give this command once more."
        )
    else:
        output.print_message("The vendor's cloud keeps its data; it is deleted in the vendor's app.")
    output.print_message(
        "Not erased: exports, backups, other computers. Records: `device-installer records forget`. Paired devices: "
        "`device-installer bonds list`."
    )
    if forgetting.on_server and not forgetting.spares_store:
        output.print_message(SERVER_COPIES)


def _print_words(counts: Counts) -> None:
    for line in _lines(counts):
        output.print_message(f"  {line}")


def _lines(counts: Counts) -> list[str]:
    stored, outbox, found = counts.stored, counts.outbox, []
    if stored.measurements:
        devices = f" of {_number(stored.devices, 'device')}" if stored.devices else ""
        span = ""
        if stored.first is not None and stored.last is not None:
            span = f", from {stored.first:%Y-%m-%d} to {stored.last:%Y-%m-%d}"
        found.append(f"{_number(stored.measurements, 'measurement')} in the store{devices}{span}")
    if stored.marks:
        found.append(f"how far the data of {_number(stored.marks, 'user')} was fetched, in the store")
    if outbox.collected:
        lost = f", {outbox.undelivered} of them not delivered yet" if outbox.undelivered else ""
        found.append(f"{_number(outbox.collected, 'measurement')} in the gateway's outbox{lost}")
    if outbox.identities:
        found.append(f"{_number(outbox.identities, 'serial number')} of devices in the gateway's outbox")
    if outbox.visits:
        found.append(f"{_number(outbox.visits, 'history', 'histories')} of a device's visits in the gateway's outbox")
    if counts.wake_requests:
        found.append(f"{_number(counts.wake_requests, 'wake request')} for the gateway")
    if counts.notifications:
        found.append(f"{_number(counts.notifications, 'waiting notification')} in the receiver's inbox")
    return found


def _number(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
