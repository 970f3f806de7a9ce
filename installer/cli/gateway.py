"""The command `gateway`: collects from Bluetooth-only devices once or in the background, and shows its status."""

from __future__ import annotations

import json as jsonlib
import shlex
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from installer import output
from installer.cli import COMMAND_GROUPS
from installer.cli.end_signals import END_SIGNALS
from installer.cli.gateway_options import GatewayOptions
from installer.cli.open_gateway import open_gateway
from installer.cli.option_groups import expand_options, only
from installer.cli.options import Json, UseLab
from installer.cli.run_command import on_signals
from installer.cli.run_command import run as run_command
from installer.errors import ErrorCode, InstallerError
from installer.text import printable
from installer.timing.durations import minutes_and_seconds

if TYPE_CHECKING:
    from installer.gateway.gateway import GatewayEvent, RoundResult
    from installer.gateway.status import GatewayStatus

app = typer.Typer(help=COMMAND_GROUPS["gateway"], rich_markup_mode=None)


@app.command(name="run")
@expand_options
def run_gateway(*, options: GatewayOptions, json: Json = False) -> None:
    """Collect and deliver until it is stopped (Ctrl-C, SIGTERM, SIGHUP)."""
    run_command(_run_until_signal(options, _print_json if json else _print_sentence))
    output.print_message("The gateway has stopped. What was collected is kept.")


@app.command()
@expand_options
def once(
    *,
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="S", min=1, max=86_400, help="How long to look for devices.")
    ] = 30.0,
    options: Annotated[
        GatewayOptions,
        only(
            "device",
            "profile",
            "quiet",
            "webhook",
            "webhook_key_file",
            "webhook_key_env",
            "adapter",
            "use_lab",
            "catalogue",
        ),
    ],
    json: Json = False,
) -> None:
    """Collect from every device within range, deliver, and end; for cron."""

    left_out: list[GatewayEvent] = []

    def report(event: GatewayEvent) -> None:
        from installer.gateway.delivery import DeliveryResult
        from installer.gateway.gateway import GatewayFailure

        if isinstance(event, GatewayFailure) or (isinstance(event, DeliveryResult) and event.failure is not None):
            left_out.append(event)
        _print_sentence(event)

    async def collect() -> RoundResult:
        async with open_gateway(options, report, must_have_devices=True) as gateway:
            return await gateway.run_once(seconds)

    result = run_command(collect())
    if json:
        output.print_result(jsonlib.dumps(_result_data(result), ensure_ascii=False))
    else:
        for line in _result_lines(result):
            output.print_result(line)
    failed = [v for v in result.visited.values() if v.failure is not None]
    if failed or left_out or not result.delivered:
        raise InstallerError(
            ErrorCode.GATEWAY_INCOMPLETE,
            "Not everything was collected and delivered.",
            "What was collected is kept; `device-installer gateway status` shows what failed. Try again.",
        )


@app.command()
def status(
    json: Json = False,
    use_lab: UseLab = False,
    check: Annotated[
        bool, typer.Option("--check", help="End with exit status 75 if there is a problem; for monitoring.")
    ] = False,
) -> None:
    """Show whether the gateway runs, which devices it reaches, and what waits for delivery."""
    from installer.gateway import status as statuses

    found = run_command(_read_status(lab=use_lab))
    now = time.time()
    if json:
        output.print_result(jsonlib.dumps(statuses.status_json(found, now), ensure_ascii=False))
    else:
        for line in statuses.status_lines(found, now):
            output.print_result(line)
    failures = statuses.failures(found, now)
    if check and failures:
        raise InstallerError(
            ErrorCode.GATEWAY_INCOMPLETE,
            f"The gateway has a problem: {printable(failures[0], 500)}",
            "`device-installer gateway status` shows all of them, and since when.",
        )


async def _read_status(*, lab: bool) -> GatewayStatus:
    """What the gateway noted, and the devices of the ledger that no gateway has met yet."""
    import asyncio

    from installer.flow.run_options import RunConfig
    from installer.flow.run_resources import RunResources
    from installer.gateway import status as statuses
    from installer.gateway.files_and_lock import GatewayFiles

    found = await statuses.read_status(GatewayFiles.in_data_dir(lab=lab))
    resources = RunResources(RunConfig(lab=lab))
    try:
        installed, problem = await asyncio.to_thread(lambda: resources.records().installed("bluetooth")), ""
    except InstallerError as error:
        # The gateway's own notes are shown all the same.
        installed, problem = [], f"{error.what} {error.todo}"
    finally:
        await resources.close()
    return statuses.with_installed(found, installed, resources.catalogue, problem, lab=lab)


@app.command()
def accept(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The address of the device.")],
    use_lab: UseLab = False,
) -> None:
    """Take the device that answers next at this address for the right one, whatever its serial number."""
    from installer.gateway.device_identity import DeviceIdentities
    from installer.gateway.files_and_lock import GatewayFiles
    from installer.gateway.outbox import Outbox

    outbox = Outbox.open_existing(GatewayFiles.in_data_dir(lab=use_lab).outbox)
    wanted = address.strip().upper()
    if outbox is not None:
        with outbox:
            if DeviceIdentities(outbox).accept(wanted):
                output.print_message(f"The gateway takes the device that it meets next at {printable(wanted)}.")
                return
    raise InstallerError(
        ErrorCode.USAGE,
        f"The gateway of this computer has not met a device at {printable(wanted)}.",
        "`device-installer gateway status` lists the devices.",
    )


@app.command(name="install-service")
@expand_options
def install_service(
    *,
    options: Annotated[GatewayOptions, only("device", "profile", "every", "adapter")],
    show: Annotated[bool, typer.Option("--print", help="Only show the service's file, and what would be run.")] = False,
) -> None:
    """Install a system service that starts the gateway. The webhook comes from the settings."""
    from installer import settings
    from installer.gateway import system_service
    from installer.gateway.service_environment import setting_problems

    arguments = [argument for address in options.device or () for argument in ("--device", address)]
    arguments += [argument for name in options.profile or () for argument in ("--profile", name)]
    arguments += ["--every", f"{options.every:g}"] if options.every is not None else []
    arguments += ["--adapter", options.adapter] if options.adapter is not None else []
    problems = setting_problems(settings.load())
    service = system_service.make_service(arguments)
    if show:
        output.print_result((service.shown or service.text).rstrip("\n"))
        output.print_message(f"This is for {service.path}; then:")
        for command in service.commands:
            output.print_message("  " + shlex.join(command))
        output.print_message(service.note)
        for what, todo in problems:
            output.print_message(f"As a service, the gateway would not work: {what} {todo}")
        return
    if problems:
        what, todo = problems[0]
        more = [" ".join(problem) for problem in problems[1:]]
        raise InstallerError(
            ErrorCode.SETTINGS_INVALID, f"As a service, the gateway would not work: {what}", " ".join([todo, *more])
        )
    system_service.install_service(service)
    output.print_result(str(service.path))
    output.print_message(f"The system starts the gateway from now on. {service.note}")


async def _run_until_signal(options: GatewayOptions, report: Callable[[GatewayEvent], None]) -> None:
    import asyncio
    import signal

    async with open_gateway(options, report) as gateway:
        running = asyncio.ensure_future(gateway.run())
        on_signals(running.cancel, *END_SIGNALS, signal.SIGINT)
        output.print_message("The gateway runs. Ctrl-C ends it.")
        # `wait` does not raise when the task is cancelled by a signal, and does when this coroutine is cancelled.
        await asyncio.wait({running})
        if not running.cancelled():
            running.result()


def _print_json(report: GatewayEvent) -> None:
    from installer.gateway.json_lines import event_line

    output.print_result(event_line(report).model_dump_json())


def _print_sentence(report: GatewayEvent) -> None:
    from installer.gateway.delivery import DeliveryResult
    from installer.gateway.gateway import BluetoothBack, GatewayNotice
    from installer.gateway.visit_scheduler import VisitResult

    if isinstance(report, VisitResult):
        name = f"{report.device.name} {report.device.address}".strip()
        if report.failure is not None:
            output.print_message(f"{name}: {report.failure.what}")
        elif report.collected:
            output.print_message(f"{name}: {_measurements(report.collected)} collected.")
    elif isinstance(report, DeliveryResult):
        if report.failure is not None:
            again = f" Next try in {report.wait:.0f} s." if report.wait else ""
            output.print_message(f"Not delivered to {report.sink.label}: {report.failure.what}{again}")
        else:
            output.print_message(f"{_measurements(report.count)} delivered to {report.sink.label}.")
    elif isinstance(report, GatewayNotice):
        output.print_message(report.text)
    elif isinstance(report, BluetoothBack):
        output.print_message(f"Bluetooth is back after {minutes_and_seconds(report.away)}. The gateway listens again.")
    else:
        again = f" Next try in {report.wait:.0f} s." if report.wait else ""
        output.print_message(f"{report.error}{again}")


def _result_lines(result: RoundResult) -> list[str]:
    lines = []
    for visited in result.visited.values():
        outcome = "failed" if visited.failure is not None else "visited"
        lines.append(
            f"{outcome}: {visited.device.address} {printable(visited.device.name)}, {_measurements(visited.collected)}"
        )
    lines += [f"not within reach: {t.address} {printable(t.name)}".rstrip() for t in result.unseen]
    return lines


def _result_data(result: RoundResult) -> dict[str, object]:
    return {
        "visited": [
            {
                "address": visited.device.address,
                "model": visited.device.model,
                "collected": visited.collected,
                "code": visited.failure.code.value if visited.failure is not None else None,
                "failure": visited.failure.what if visited.failure is not None else None,
            }
            for visited in result.visited.values()
        ],
        "unseen": [target.address for target in result.unseen],
        "delivered": result.delivered,
    }


def _measurements(count: int) -> str:
    return "1 measurement" if count == 1 else f"{count} measurements"
