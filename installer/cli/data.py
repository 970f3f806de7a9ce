"""The command `data`: fetch measurements from the cloud into the store, watch for new ones, show and export them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from installer import output
from installer.cli import GROUPS
from installer.cli.run_command import run
from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from datetime import datetime

    from installer.cli.data_output import Printer
    from installer.flow.assembly import Assembly
    from installer.measurements.fetch import Fetched, Fetcher
    from installer.measurements.row import Row
    from installer.measurements.store import Store

app = typer.Typer(help=GROUPS["data"], rich_markup_mode=None)

AccountNames = Annotated[
    list[str] | None, typer.Option("--account", metavar="NAME", help="Only this account (repeatable).")
]
AccountName = Annotated[str | None, typer.Option("--account", metavar="NAME", help="Only this account.")]
DeviceName = Annotated[
    str | None, typer.Option("--device", metavar="D", help="Only this device: its id, address or name.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a line (see: schema data).")]
UseLab = Annotated[bool, typer.Option("--lab", help="The lab's cloud, and a store of its own.")]
CloudUrl = Annotated[str | None, typer.Option("--cloud", metavar="URL", help="Base URL of the cloud.")]
DatabaseUrl = Annotated[
    str | None,
    typer.Option("--database", metavar="URL", help="sqlite:///PATH or postgresql://USER@HOST/NAME, without password."),
]
Since = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="From then on: 2026-11-24, 2026-11-24T08:30, 12h, 7d.")
]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before then; a day counts to its end.")]


@app.command()
def fetch(
    account: AccountNames = None,
    since: Since = None,
    json: Json = False,
    cloud: CloudUrl = None,
    use_lab: UseLab = False,
    database: DatabaseUrl = None,
) -> None:
    """Get what is new in the cloud, of all accounts or some, and store it."""
    from installer.measurements import moments

    begin = moments.parse(since, "--since")
    assembly = _assembly(cloud, use_lab)
    with _open(use_lab, database) as store:
        ended = run(_fetch(assembly, store, account or [], begin, json=json))
    for one in ended:
        if one.error is not None:
            raise one.error


@app.command()
def watch(
    every: Annotated[
        float | None, typer.Option("--every", metavar="S", min=0.2, help="Look every S seconds (60; in the lab 3).")
    ] = None,
    account: AccountNames = None,
    json: Json = False,
    cloud: CloudUrl = None,
    use_lab: UseLab = False,
    database: DatabaseUrl = None,
) -> None:
    """Look for new measurements again and again, store and print each, until Ctrl-C."""
    from installer.measurements.watch import EVERY, SHORTEST

    if every is not None and every < SHORTEST and not use_lab:
        raise InstallerError(
            ErrorCode.USAGE,
            f"--every {every:g} is too often for a real cloud, whose limit all users of the application share.",
            f"Give {SHORTEST:g} seconds or more.",
        )
    wait = every if every is not None else (3.0 if use_lab else EVERY)
    assembly = _assembly(cloud, use_lab)
    with _open(use_lab, database) as store:
        run(_watch(assembly, store, account or [], wait, json=json))


@app.command()
def show(
    device: DeviceName = None,
    account: AccountName = None,
    last: Annotated[int, typer.Option("--last", metavar="N", min=1, max=200, help="Draw the last N values.")] = 16,
    json: Json = False,
    use_lab: UseLab = False,
    database: DatabaseUrl = None,
) -> None:
    """Show the last measurements of each device, and how they went."""
    from installer.measurements import charts as pictures
    from installer.measurements import selection

    with _open(use_lab, database) as store:
        rows = store.latest(last, account)
        devices = selection.named(rows, store.devices(), _models())
    if device is not None:
        wanted = selection.device_ids(device, rows, devices)
        rows = [row for row in rows if row.device in wanted]
    if json:
        from installer.measurements import json_lines as messages

        for row in rows:
            output.result(messages.value(row, "known", pictures.name(row, devices)).model_dump_json())
    elif rows:
        blocks = pictures.BLOCKS if _can_print(pictures.BLOCKS) else pictures.PLAIN
        for line in pictures.table(pictures.sections(rows, devices), _width(), blocks):
            output.result(line)
    else:
        _tell_empty(use_lab, account)


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

    from installer.measurements import export as documents
    from installer.measurements import moments, selection

    begin, end = moments.parse(since, "--since"), moments.parse(until, "--until", end=True)
    with _open(use_lab, database) as store:
        known, number = store.latest(), 0
        devices = selection.named(known, store.devices(), _models())
        ids: set[str] | set[None] = {None} if device is None else selection.device_ids(device, known, devices)
        if kind is not None:
            selection.check_kind(kind, known)

        def rows() -> Iterator[Row]:
            nonlocal number
            found = [store.rows(device=i, kind=kind, account=account, since=begin, until=end) for i in ids]
            for row in merge(*found, key=lambda r: r.taken):
                number += 1
                yield row

        lines = documents.lines(rows(), {key: d.name for key, d in devices.items()}, form)
        if out is not None and str(out) != "-":
            documents.to_file(out, lines)
            output.words(f"{number} values were written to {out}.")
        else:
            for chunk in documents.chunks(lines):
                output.result(chunk)
    if number == 0:
        _tell_empty(use_lab, account, fitting=True)


async def _fetch(
    assembly: Assembly, store: Store, names: list[str], since: datetime | None, *, json: bool
) -> list[Fetched]:
    from installer.cli.data_output import Printer

    printer = Printer(store, json=json)
    try:
        fetcher = await _fetcher(assembly, store, printer)
        ended = await fetcher.all(names, since)
        ended = await _signed_in_again(assembly, fetcher, ended, names, since)
    finally:
        await assembly.close()
    printer.round_ended(ended, always=True)
    return ended


async def _watch(assembly: Assembly, store: Store, names: list[str], every: float, *, json: bool) -> None:
    from installer.cli.data_output import Printer
    from installer.measurements.watch import Watch, shortest_wait

    printer = Printer(store, json=json)
    try:
        fetcher = await _fetcher(assembly, store, printer)
        accounts = await assembly.accounts()
        number = len(names or await accounts.stored())
        floor = shortest_wait(number, accounts.cloud.requests_per_minute)
        if floor > every and number > 1:
            output.words(f"{number} accounts are looked at every {floor:.0f} s, so that the cloud's limit is kept.")
        output.words("Waiting for new measurements; Ctrl-C ends it.")
        await _until_told(Watch(fetcher, printer, every=max(every, floor), names=names).run())
    finally:
        await assembly.close()
        output.words(f"{printer.total} new values were stored.")


async def _until_told(work: Coroutine[Any, Any, None]) -> None:
    """Run until SIGTERM, which is how a system ends what it has started; that is no failure."""
    import asyncio
    import signal

    from installer.cli.signals import on_signals

    told = asyncio.Event()
    on_signals(told.set, signal.SIGTERM)
    tasks = [asyncio.ensure_future(work), asyncio.ensure_future(told.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks[0].done():
            tasks[0].result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _fetcher(assembly: Assembly, store: Store, printer: Printer) -> Fetcher:
    from installer.measurements.fetch import Fetcher

    accounts = await assembly.accounts()
    if assembly.place.lab and not await accounts.stored():
        await _robot(assembly, "default")
    return Fetcher(store, accounts, assembly.catalogue, printer.got)


async def _signed_in_again(
    assembly: Assembly, fetcher: Fetcher, ended: list[Fetched], names: list[str], since: datetime | None
) -> list[Fetched]:
    """In a lab that was started anew nobody is signed in any more; its user comes by himself."""
    dead = [e.account for e in ended if e.error is not None and e.error.code is ErrorCode.TOKEN_REJECTED]
    if not (assembly.place.lab and dead):
        return ended
    for name in dead:
        await _robot(assembly, name)
    return await fetcher.all(names, since)


async def _robot(assembly: Assembly, name: str) -> None:
    robot = assembly.surroundings().sign_in_robot
    assert robot is not None
    async with (await assembly.accounts()).sign_in(name, seconds=30) as session:
        await robot(session.authorize_url)
        await session.result()


def _tell_empty(use_lab: bool, account: str | None, *, fitting: bool = False) -> None:
    lab = " --lab" if use_lab else ""
    words = "No stored measurement fits." if fitting else "No measurement is stored yet."
    if account is not None:
        words = f"No measurement of account “{account}” is stored."
    output.words(f"{words} `device-installer data fetch{lab}` gets what the cloud has.")


def _assembly(cloud: str | None, use_lab: bool) -> Assembly:
    from installer.flow.assembly import Assembly, Place

    return Assembly(Place(cloud=cloud, lab=use_lab))


def _open(use_lab: bool, database: str | None) -> Store:
    from installer import settings
    from installer.measurements.open_store import open_store

    return open_store(settings.load(), lab=use_lab, given=database)


def _models() -> dict[str, str]:
    from installer.flow.assembly import catalogue

    return {model.id: model.name for model in catalogue().models}


def _width() -> int:
    return min(max(shutil.get_terminal_size((80, 24)).columns, 60), 120)


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
