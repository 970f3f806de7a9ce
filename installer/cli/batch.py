"""The command `batch`: many installations by a plan; and the labels for them."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from installer import output
from installer.cli.run_command import run
from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from installer.batch.plan import Plan
    from installer.batch.progress_table import JsonView, PlainView, TableView
    from installer.batch.row_state import BatchOptions, Result
    from installer.batch.runner import Batch
    from installer.flow.assembly import Place

    View = TableView | PlainView | JsonView


def batch(
    plan: Annotated[Path | None, typer.Argument(metavar="PLAN", help="The plan: CSV, or TOML by its ending.")] = None,
    template: Annotated[
        str | None, typer.Option("--template", metavar="KIND", help="Print a plan to begin with: csv or toml.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the whole plan, say every mistake, touch no device.")
    ] = False,
    network: Annotated[
        str | None, typer.Option("--network", metavar="NAME", help="The saved network, where a row names none.")
    ] = None,
    account: Annotated[
        str | None, typer.Option("--account", metavar="NAME", help="The account, or “later”, where a row names none.")
    ] = None,
    site: Annotated[str | None, typer.Option("--site", metavar="S", help="The site, where a row names none.")] = None,
    operator: Annotated[str | None, typer.Option("--operator", metavar="O", help="Who installs.")] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Keep its runs under this name; a new one begins anew.")
    ] = None,
    passphrase_file: Annotated[
        str | None,
        typer.Option("--passphrase-file", metavar="F", help="Passphrase of an ssid of the plan that is not saved."),
    ] = None,
    passphrase_env: Annotated[
        str | None, typer.Option("--passphrase-env", metavar="VAR", help="The same, from variable VAR.")
    ] = None,
    parallel: Annotated[int, typer.Option("--parallel", min=1, max=20, help="Installations at once per adapter.")] = 3,
    adapter: Annotated[
        list[str] | None, typer.Option("--adapter", metavar="A", help="Bluetooth adapter (repeatable).")
    ] = None,
    tries: Annotated[int, typer.Option("--tries", min=1, max=10, help="Of a row whose failure may pass.")] = 3,
    wait: Annotated[
        float, typer.Option("--wait", metavar="S", min=1, help="How long to wait for devices that are not in reach.")
    ] = 30.0,
    verify: Annotated[
        bool, typer.Option("--verify", help="Wait for the first data of each device, as `install` does.")
    ] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="S", min=1, help="Give up one try of a row after S seconds.")
    ] = 300.0,
    labels: Annotated[
        Path | None, typer.Option("--labels", metavar="FILE", help="Write labels of all devices: .html or .txt.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON event a line.")] = False,
    ledger: Annotated[
        str | None, typer.Option("--ledger", metavar="URL", help="The ledger, shared by several stations.")
    ] = None,
    cloud: Annotated[str | None, typer.Option("--cloud", metavar="URL", help="Base URL of the cloud.")] = None,
    use_lab: Annotated[bool, typer.Option("--lab", help="Practise in the lab: no hardware, no Internet.")] = False,
    catalogue: Annotated[
        list[Path] | None, typer.Option("--catalogue", metavar="FILE", help="Add models from FILE (repeatable).")
    ] = None,
    require_encryption: Annotated[
        bool, typer.Option("--require-encryption", help="Refuse to send a passphrase unencrypted over Bluetooth.")
    ] = False,
) -> None:
    """Install many devices by a plan, or what is left of it."""
    if template is not None:
        _print_template(template)
        return
    if plan is None:
        raise InstallerError(
            ErrorCode.USAGE, "No plan was given.", "Name one, or print one to begin with: batch --template csv."
        )
    from installer.batch.row_state import BatchOptions
    from installer.cli.scripted_front_end import fail_early
    from installer.flow.assembly import Place
    from installer.flow.steps.step import Options
    from installer.ledger.site_and_operator import Context
    from installer.storage.secret_references import SecretRef

    if passphrase_file is not None and passphrase_env is not None:
        raise InstallerError(
            ErrorCode.USAGE, "The passphrase is named in two places.", "Give --passphrase-file or --passphrase-env."
        )
    loose = None
    if passphrase_file is not None or passphrase_env is not None:
        loose = SecretRef(file=passphrase_file) if passphrase_file is not None else SecretRef(env=passphrase_env)
    if labels is not None:
        from installer.batch.labels import check_file

        check_file(labels)
    place = Place(
        cloud=cloud,
        lab=use_lab,
        catalogues=tuple(catalogue or ()),
        options=Options(non_interactive=True, require_encryption=require_encryption, timeout=timeout),
        ledger=ledger,
        context=Context(site=site, operator=operator),
    )
    options = BatchOptions(
        parallel=parallel, tries=tries, patience=wait, verify=120.0 if verify else None, dry_run=dry_run
    )
    over = {"network": network, "account": account, "site": site}
    with fail_early(json=json):
        status = run(_batch(place, plan, name, over, loose, tuple(adapter or ()), options, labels, json=json))
    raise typer.Exit(status)


async def _batch(
    place: Place,
    file: Path,
    name: str | None,
    over: dict[str, str | None],
    loose: Any,
    adapters: tuple[str, ...],
    options: BatchOptions,
    labels: Path | None,
    *,
    json: bool,
) -> int:
    from installer.batch.progress_table import view
    from installer.batch.station import Station

    station = Station(place, adapters, options)
    shown = view(json=json)
    try:
        await station.prepare()
        try:
            plan = await station.check(file, over, loose, name)
        except InstallerError as error:
            _tell_mistakes(error, str(file), json=json)
            raise
        if options.dry_run:
            await station.rehearse(plan, shown.show)
            if not json:
                _tell_plan(plan)
            return 0
        made = station.batch(plan, shown.show)
        with _signals(made), shown.running():
            result = await made.run()
        if labels is not None:
            await station.write_labels(plan, labels)
            output.words(f"Labels are in {labels}.")
    finally:
        await station.close()
    return _end(result, shown, json=json)


def _end(result: Result, shown: View, *, json: bool) -> int:
    from installer.batch.progress_table import summary

    if not json:
        for line in summary(shown.board):
            output.result(line)
    if result.complete:
        return 0
    if result.stopped:
        return ErrorCode.INTERRUPTED.exit_status
    return ErrorCode.BATCH_INCOMPLETE.exit_status


@contextlib.contextmanager
def _signals(batch: Batch) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) begins nothing more, the second one stops at once."""
    import asyncio

    from installer.cli.signals import on_signals

    seen = 0

    def stop() -> None:
        nonlocal seen
        seen += 1
        if seen > 1:
            batch.stop_now()
            return
        output.words("Stopping: what has sent credentials is finished, nothing more is begun. Again: stop at once.")
        batch.stop()

    handled = on_signals(stop, signal.SIGINT, signal.SIGTERM)
    try:
        yield
    finally:
        for number in handled:
            asyncio.get_running_loop().remove_signal_handler(number)


def _print_template(kind: str) -> None:
    from installer.batch.plan_template import template

    wanted = kind.strip().lower()
    if wanted not in ("csv", "toml"):
        raise InstallerError(ErrorCode.USAGE, "A template is csv or toml.", "Give --template csv or --template toml.")
    output.result(template("csv" if wanted == "csv" else "toml"))


def _tell_mistakes(error: InstallerError, source: str, *, json: bool) -> None:
    from installer.events.batch import PlanMistake

    for mistake in error.data.get("mistakes", ()):
        if json:
            output.result(PlanMistake(**mistake).model_dump_json())
            continue
        where = ":".join(str(n) for n in (source, mistake["line"], mistake["column"]) if n)
        name = f"{mistake['name']}: " if mistake["name"] else ""
        output.result(f"{where}: {name}{mistake['what']} {mistake['todo']}".rstrip())


def _tell_plan(plan: Plan) -> None:
    from installer.text import printable

    for remark in plan.remarks:
        output.words(remark)
    for unit in plan.units:
        what = unit.device or f"any {unit.model}"
        network = unit.network.ssid if unit.network is not None else ""
        account = "to be linked later" if unit.later else f"account {unit.account or 'default'}"
        sync = unit.sync.value if unit.sync is not None else "as the model has it"
        parts = [f"{unit.name:<6} {what:<18} {sync:<10}", printable(network, 32), account, unit.site, unit.label]
        output.result("  ".join(p for p in parts if p))
    output.words(f"Nothing is wrong with this plan: {len(plan.units)} devices. No device was touched.")
