"""The command `data`: fetches measurements from the cloud into the store, watches, shows and exports them."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from installer import output
from installer.cli import COMMAND_GROUPS
from installer.cli.data_forget import forget
from installer.cli.failures import Failures
from installer.cli.option_groups import expand_options
from installer.cli.options import CloudOptions, DatabaseUrl, Json, PlaceOptions, Since, Until, UseLab
from installer.cli.run_command import run, run_until, stop_on_signals
from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from datetime import datetime

    from installer.cli.measurement_printer import MeasurementPrinter
    from installer.flow.run_resources import RunResources
    from installer.measurements.fetch import Fetched, Fetcher
    from installer.measurements.store import Store
    from installer.measurements.stored_value import Row

app = typer.Typer(help=COMMAND_GROUPS["data"], rich_markup_mode=None)
app.command()(expand_options(forget))

# How much earlier than here a date can begin elsewhere.
ZONES_APART = timedelta(hours=27)

AccountNames = Annotated[
    list[str] | None, typer.Option("--account", metavar="NAME", help="Only this account (repeatable).")
]
AccountName = Annotated[str | None, typer.Option("--account", metavar="NAME", help="Only this account.")]
DeviceName = Annotated[
    str | None, typer.Option("--device", metavar="D", help="Only this device: its id, address or name.")
]


@app.command()
@expand_options
def fetch(
    *,
    account: AccountNames = None,
    since: Since = None,
    json: Json = False,
    place_options: CloudOptions,
    database: DatabaseUrl = None,
) -> None:
    """Fetch new measurements from the cloud, for all accounts or some, and store them."""
    from installer.timing.typed_dates import typed_day, typed_time

    begin = None if since is None else typed_time(since, "--since")
    if since is not None and begin is not None and typed_day(since) is not None:
        # The date is one of the person, who may be in a zone where it began earlier.
        begin -= ZONES_APART
    resources = _resources(place_options)
    with _open_store(place_options.use_lab, database) as store:
        ended = run(_fetch(resources, store, account or [], begin, json=json))
    failures = Failures()
    for account_result in ended:
        failures.add(account_result.error)
    failures.raise_first()


@app.command()
@expand_options
def watch(
    *,
    every: Annotated[
        float | None, typer.Option("--every", metavar="S", min=0.2, help="Fetch every S seconds (60; in the lab 3).")
    ] = None,
    account: AccountNames = None,
    json: Json = False,
    place_options: CloudOptions,
    database: DatabaseUrl = None,
) -> None:
    """Fetch new measurements regularly, store and print each, until Ctrl-C."""
    from installer.measurements.watch import DEFAULT_INTERVAL_SECONDS, MIN_INTERVAL_SECONDS

    use_lab = place_options.use_lab
    if every is not None and every < MIN_INTERVAL_SECONDS and not use_lab:
        raise InstallerError(
            ErrorCode.USAGE,
            f"--every {every:g} is too often for a real cloud, whose rate limit all users of the application share.",
            f"Give {MIN_INTERVAL_SECONDS:g} seconds or more.",
        )
    wait = every if every is not None else (3.0 if use_lab else DEFAULT_INTERVAL_SECONDS)
    resources = _resources(place_options)
    with _open_store(use_lab, database) as store:
        run(_watch(resources, store, account or [], wait, json=json))


@app.command()
def show(
    device: DeviceName = None,
    account: AccountName = None,
    last: Annotated[int, typer.Option("--last", metavar="N", min=1, max=200, help="Draw the last N values.")] = 16,
    json: Json = False,
    use_lab: UseLab = False,
    database: DatabaseUrl = None,
) -> None:
    """Show the last measurements of each device, with a chart."""
    from installer.measurements import charts, selection

    with _open_store(use_lab, database) as store:
        _print_unknown_zones(store)
        rows = store.latest(last, account)
        known_devices = store.devices()
        damage = store.damaged.error()
        devices = selection.with_names(rows, known_devices, _model_names())
    if device is not None:
        wanted = selection.matching_device_ids(device, rows, devices)
        rows = [row for row in rows if row.device in wanted]
    if json:
        from installer.measurements import json_lines

        for row in rows:
            output.print_result(json_lines.value_line(row, "known", charts.device_name(row, devices)).model_dump_json())
        if damage is not None:
            trouble = json_lines.Trouble(account=None, error=json_lines.failure_of(damage))
            output.print_result(trouble.model_dump_json())
    elif rows:
        blocks = charts.BLOCKS if _can_print(charts.BLOCKS) else charts.ASCII_BLOCKS
        for line in charts.table_lines(charts.sections(rows, devices), _terminal_width(), blocks):
            output.print_result(line)
    elif damage is None:
        _print_empty(use_lab, account)
    if damage is not None:
        raise damage


@app.command()
def export(
    form: Annotated[Literal["csv", "json"], typer.Option("--format", help="csv or json.")] = "csv",
    device: DeviceName = None,
    kind: Annotated[str | None, typer.Option("--kind", metavar="K", help="Only this kind, e.g. weight.")] = None,
    account: AccountName = None,
    since: Since = None,
    until: Until = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write to FILE instead of standard output.")
    ] = None,
    use_lab: UseLab = False,
    database: DatabaseUrl = None,
) -> None:
    """Write the stored measurements as CSV or JSON, oldest first."""
    from heapq import merge

    from installer.measurements import export as measurement_export
    from installer.measurements import selection
    from installer.timing.typed_dates import typed_day, typed_time

    begin = None if since is None else typed_time(since, "--since")
    first_day, last_day = (None if text is None else typed_day(text) for text in (since, until))
    end = None if until is None else typed_time(until, "--until", end=True)
    with _open_store(use_lab, database) as store:
        _print_unknown_zones(store)
        known, count = store.latest(), 0
        devices = selection.with_names(known, store.devices(), _model_names())
        ids: set[str] | set[None] = {None} if device is None else selection.matching_device_ids(device, known, devices)
        if kind is not None:
            selection.check_kind(kind, known)

        def rows() -> Iterator[Row]:
            nonlocal count
            found = [
                store.rows(
                    device=i,
                    kind=kind,
                    account=account,
                    since=begin,
                    until=end,
                    first_day=first_day,
                    last_day=last_day,
                )
                for i in ids
            ]
            for row in merge(*found, key=lambda r: r.taken):
                count += 1
                yield row

        lines = measurement_export.document_lines(rows(), {key: d.name for key, d in devices.items()}, form)
        if out is not None and str(out) != "-":
            measurement_export.write_file(out, lines)
            output.print_message(f"{count} values were written to {out}.")
        else:
            for chunk in measurement_export.chunks(lines):
                output.print_result(chunk)
        damage = store.damaged.error()
    if damage is not None:
        raise damage
    if count == 0:
        _print_empty(use_lab, account, filtered=True)


async def _fetch(
    resources: RunResources, store: Store, names: list[str], since: datetime | None, *, json: bool
) -> list[Fetched]:
    from installer.cli.measurement_printer import MeasurementPrinter

    printer = MeasurementPrinter(store, json=json)
    try:
        fetcher = await _fetcher(resources, store, printer)
        ended = await fetcher.fetch_all(names, since)
        ended = await _sign_in_again(resources, fetcher, ended, names, since)
    finally:
        await resources.close()
    printer.round_ended(ended, always=True)
    return ended


async def _watch(resources: RunResources, store: Store, names: list[str], every: float, *, json: bool) -> None:
    from installer.cli.measurement_printer import MeasurementPrinter
    from installer.measurements.watch import Watch, min_interval

    printer = MeasurementPrinter(store, json=json)
    try:
        fetcher = await _fetcher(resources, store, printer)
        accounts = await resources.accounts()
        count = len(names or await accounts.stored())
        shortest = min_interval(count, accounts.cloud.requests_per_minute)
        if shortest > every and count > 1:
            output.print_message(
                f"{count} accounts are fetched every {shortest:.0f} s, to stay within the cloud's rate limit."
            )
        output.print_message("Waiting for new measurements; Ctrl-C ends it.")
        # SIGTERM is how a system ends a service, so it is no failure.
        stop = stop_on_signals(signal.SIGTERM)
        watching = Watch(fetcher, printer, every=max(every, shortest), names=names)
        await run_until(stop, [watching.run()])
    finally:
        await resources.close()
        output.print_message(f"{printer.total} new values were stored.")
    damage = watching.damage()
    if damage is not None:
        raise damage


async def _fetcher(resources: RunResources, store: Store, printer: MeasurementPrinter) -> Fetcher:
    from installer.measurements.fetch import Fetcher

    accounts = await resources.accounts()
    if resources.config.lab and not await accounts.stored():
        await _sign_in_lab_user(resources, "default")
    return Fetcher(store, accounts, resources.catalogue, printer.got)


async def _sign_in_again(
    resources: RunResources, fetcher: Fetcher, ended: list[Fetched], names: list[str], since: datetime | None
) -> list[Fetched]:
    """Sign in again if the lab was restarted, which ends all sign-ins, then fetch again."""
    rejected = [e.account for e in ended if e.error is not None and e.error.code is ErrorCode.TOKEN_REJECTED]
    if not (resources.config.lab and rejected):
        return ended
    for name in rejected:
        await _sign_in_lab_user(resources, name)
    return await fetcher.fetch_all(names, since)


async def _sign_in_lab_user(resources: RunResources, name: str) -> None:
    robot = resources.environment().sign_in_lab_user
    assert robot is not None
    async with (await resources.accounts()).sign_in(name, seconds=30) as session:
        await robot(session.short_url)
        await session.result()


def _print_unknown_zones(store: Store) -> None:
    from installer.measurements.zone_notes import ZoneNotes

    for note in ZoneNotes().about(store.unknown_zones()):
        output.print_message(note)


def _print_empty(use_lab: bool, account: str | None, *, filtered: bool = False) -> None:
    lab = " --lab" if use_lab else ""
    text = "No stored measurement matches." if filtered else "No measurement is stored yet."
    if account is not None:
        text = f"No measurement of account “{account}” is stored."
    output.print_message(f"{text} `device-installer data fetch{lab}` gets what the cloud has.")


def _resources(place_options: PlaceOptions) -> RunResources:
    from installer.flow.run_resources import RunResources

    return RunResources(place_options.run_config())


def _open_store(use_lab: bool, database: str | None) -> Store:
    from installer import settings
    from installer.measurements.open_store import open_store

    return open_store(settings.load(), lab=use_lab, given=database)


def _model_names() -> dict[str, str]:
    from installer.provisioning.registry import load_catalogue

    return {model.id: model.name for model in load_catalogue().models}


def _terminal_width() -> int:
    return min(max(shutil.get_terminal_size((80, 24)).columns, 60), 120)


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
