"""The command `batch`: installs the devices of a plan, checks a plan, prints a template, writes labels."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from installer import output
from installer.cli.end_signals import END_SIGNALS, unwind_on_signals
from installer.cli.option_groups import only
from installer.cli.options import BehaviourOptions, Exact, Json, PlaceOptions, SiteAndOperator
from installer.cli.run_command import on_signals, run
from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from installer.batch.options_and_result import BatchOptions, BatchResult
    from installer.batch.plan import Plan
    from installer.batch.plan_secrets import Ask
    from installer.batch.progress_table import JsonView, PlainView, TableView
    from installer.batch.runner import Batch
    from installer.flow.questions import ConfirmForeign
    from installer.flow.run_options import RunConfig

    View = TableView | PlainView | JsonView


def batch(
    *,
    plan: Annotated[Path | None, typer.Argument(metavar="PLAN", help="The plan: a CSV file, or a .toml file.")] = None,
    template: Annotated[
        str | None, typer.Option("--template", metavar="KIND", help="Print a plan to begin with: csv or toml.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the whole plan, list every mistake, touch no device.")
    ] = False,
    network: Annotated[
        str | None, typer.Option("--network", metavar="NAME", help="The saved network for rows that name none.")
    ] = None,
    account: Annotated[
        str | None, typer.Option("--account", metavar="NAME", help="The account, or “later”, for rows that name none.")
    ] = None,
    exact: Exact = False,
    record: SiteAndOperator,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Store the progress under this name; a new name starts again."),
    ] = None,
    passphrase_file: Annotated[
        str | None,
        typer.Option("--passphrase-file", metavar="F", help="The passphrase of the plan's SSID, if it is not saved."),
    ] = None,
    passphrase_env: Annotated[
        str | None, typer.Option("--passphrase-env", metavar="VAR", help="The same, from variable VAR.")
    ] = None,
    parallel: Annotated[int, typer.Option("--parallel", min=1, max=20, help="Installations at once per adapter.")] = 3,
    adapter: Annotated[
        list[str] | None, typer.Option("--adapter", metavar="A", help="Bluetooth adapter (repeatable).")
    ] = None,
    tries: Annotated[
        int, typer.Option("--tries", min=1, max=10, help="How often a row is tried if its failure may be temporary.")
    ] = 3,
    wait: Annotated[
        float, typer.Option("--wait", metavar="S", min=1, help="How long to wait for devices that are not in range.")
    ] = 30.0,
    verify: Annotated[
        bool, typer.Option("--verify", help="Wait for the first data of each device, as `install` does.")
    ] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="S", min=1, help="End each try of a row after S seconds.")
    ] = 300.0,
    continue_from_ledger: Annotated[
        bool,
        typer.Option(
            "--continue-from-ledger", help="Continue with devices that only a ledger names which others can write."
        ),
    ] = False,
    labels: Annotated[
        Path | None, typer.Option("--labels", metavar="FILE", help="Write labels of all devices: .html or .txt.")
    ] = None,
    json: Json = False,
    place_options: Annotated[PlaceOptions, only("ledger", "cloud", "use_lab", "catalogue")],
    behaviour: Annotated[
        BehaviourOptions,
        only(
            "non_interactive",
            "require_encryption",
            "allow_unproved",
            "allow_references",
            "passkey_file",
            "passkey_env",
        ),
    ],
) -> None:
    """Install the devices of a plan, or those that are left.

    --network, --account and --site are for rows that name none.
    """
    if template is not None:
        _print_template(template)
        return
    if plan is None:
        raise InstallerError(
            ErrorCode.USAGE, "No plan was given.", "Name one, or print one to begin with: batch --template csv."
        )
    from installer.batch.options_and_result import BatchOptions
    from installer.cli.scripted_front_end import failure_as_event
    from installer.storage.secret_references import on_command_line

    if passphrase_file is not None and passphrase_env is not None:
        raise InstallerError(
            ErrorCode.USAGE, "The passphrase is named in two places.", "Give --passphrase-file or --passphrase-env."
        )
    passphrase = None
    if passphrase_file is not None or passphrase_env is not None:
        passphrase = on_command_line(file=passphrase_file, env=passphrase_env)
    if labels is not None:
        from installer.batch.labels import check_file

        check_file(labels)
    ask = _asker(dry_run=dry_run) if sys.stdin.isatty() and not (json or behaviour.non_interactive) else None
    run_options = replace(behaviour, non_interactive=True, timeout=timeout).run_options()
    config = place_options.run_config(run_options, record.context())
    options = BatchOptions(
        parallel=parallel,
        tries=tries,
        device_timeout=wait,
        verify=120.0 if verify else None,
        dry_run=dry_run,
        continue_from_ledger=continue_from_ledger,
    )
    row_defaults = {"network": network, "exact": exact or None, "account": account, "site": record.site}
    with failure_as_event(json=json):
        status = run(
            _batch(config, plan, name, row_defaults, passphrase, ask, tuple(adapter or ()), options, labels, json=json)
        )
    raise typer.Exit(status)


async def _batch(
    config: RunConfig,
    file: Path,
    name: str | None,
    row_defaults: Mapping[str, str | bool | None],
    passphrase: Any,
    ask: Ask | None,
    adapters: tuple[str, ...],
    options: BatchOptions,
    labels: Path | None,
    *,
    json: bool,
) -> int:
    from installer.batch.progress_table import view
    from installer.batch.station import Station

    station = Station(config, adapters, options)
    display = view(json=json)
    try:
        await station.prepare()
        try:
            plan = await station.check(file, row_defaults, passphrase, name, ask)
        except InstallerError as error:
            _print_mistakes(error, str(file), json=json)
            raise
        if options.dry_run:
            await station.dry_run(plan, display.show)
            if not json:
                _print_plan(plan)
            return 0
        run_of_plan = station.batch(plan, display.show)
        with _stop_on_signals(run_of_plan) as ended_by, display.running():
            result = await run_of_plan.run()
        if labels is not None:
            await station.write_labels(plan, labels)
            output.print_message(f"The labels are in {labels}.")
    finally:
        await station.close()
    status = _print_summary(result, display, json=json)
    return 128 + ended_by[0] if result.stopped and ended_by else status


def _asker(*, dry_run: bool) -> Ask:
    """Asks the person at the terminal. A dry run sends nothing, so there the answer is yes without a question."""

    async def ask(question: ConfirmForeign) -> bool:
        from installer.cli.prompts import prompt
        from installer.flow.front_end import Cancelled

        try:
            return dry_run or bool(await prompt(question))
        except Cancelled:
            return False

    return ask


def _print_summary(result: BatchResult, display: View, *, json: bool) -> int:
    """Print the result of each row; the exit status."""
    from installer.batch.progress_table import summary

    if not json:
        for line in summary(display.progress):
            output.print_result(line)
    if result.complete:
        return 0
    if result.stopped:
        return ErrorCode.INTERRUPTED.exit_status
    return ErrorCode.BATCH_INCOMPLETE.exit_status


@contextlib.contextmanager
def _stop_on_signals(batch: Batch) -> Iterator[list[int]]:
    """The first Ctrl-C (or SIGTERM, SIGHUP) starts no more installations, the second one stops at once.

    It gives the signals that came.
    """
    import asyncio

    came: list[int] = []

    def stop(number: int) -> None:
        came.append(number)
        if len(came) > 1:
            batch.stop_now()
            return
        batch.stop()
        with contextlib.suppress(OSError):  # a terminal that was closed
            output.print_message(
                "Stopping. No installation is started; those that have sent credentials are finished. "
                "Ctrl-C again: stop at once."
            )

    registered = [
        done for number in (signal.SIGINT, *END_SIGNALS) for done in on_signals(partial(stop, number), number)
    ]
    try:
        yield came
    finally:
        for number in registered:
            asyncio.get_running_loop().remove_signal_handler(number)
        unwind_on_signals()


def _print_template(kind: str) -> None:
    from installer.batch.plan_format import template

    name = kind.strip().lower()
    if name not in ("csv", "toml"):
        raise InstallerError(ErrorCode.USAGE, "A template is csv or toml.", "Give --template csv or --template toml.")
    output.print_result(template("csv" if name == "csv" else "toml"))


def _print_mistakes(error: InstallerError, source: str, *, json: bool) -> None:
    from installer.events.batch import PlanMistake

    for mistake in error.data.get("mistakes", ()):
        if json:
            output.print_result(PlanMistake(**mistake).model_dump_json())
            continue
        position = ":".join(str(n) for n in (source, mistake["line"], mistake["column"]) if n)
        name = f"{mistake['name']}: " if mistake["name"] else ""
        output.print_result(f"{position}: {name}{mistake['what']} {mistake['todo']}".rstrip())


def _print_plan(plan: Plan) -> None:
    from installer.text import printable

    for remark in plan.remarks:
        output.print_message(remark)
    for unit in plan.units:
        device = unit.device or f"any {unit.model}"
        network = unit.network.ssid if unit.network is not None else ""
        account = "to be linked later" if unit.link_later else f"account {unit.account or 'default'}"
        sync = unit.sync.value if unit.sync is not None else "as the model requires"
        parts = [f"{unit.name:<6} {device:<18} {sync:<10}", printable(network, 32), account, unit.site, unit.label]
        output.print_result("  ".join(p for p in parts if p))
    output.print_message(f"The plan is correct: {len(plan.units)} devices. No device was touched.")
