"""The command `gateway`: collect from Bluetooth-only devices once, or in the background; say how that goes."""

from __future__ import annotations

import json as jsonlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from installer import output
from installer.cli import GROUPS
from installer.cli.gateway_options import GatewayOptions, WebhookOptions, opened
from installer.cli.run_command import run as run_command
from installer.errors import ErrorCode, InstallerError
from installer.text import printable

if TYPE_CHECKING:
    from installer.gateway.gateway import Once, Told

app = typer.Typer(help=GROUPS["gateway"], rich_markup_mode=None)

Devices = Annotated[
    list[str] | None,
    typer.Option("--device", metavar="ADDRESS", help="Only this device (repeatable); one of another maker, too."),
]
Profiles = Annotated[
    list[str] | None,
    typer.Option("--profile", metavar="P", help="Its health profile, if it was not installed here (repeatable)."),
]
AdapterSpec = Annotated[str | None, typer.Option("--adapter", metavar="A", help="Bluetooth adapter.")]
UseLab = Annotated[bool, typer.Option("--lab", help="In the lab.")]
Quiet = Annotated[
    float,
    typer.Option("--quiet", metavar="S", min=0.1, max=60, help="A visit is over when nothing came for S seconds."),
]
Every = Annotated[
    float | None,
    typer.Option(
        "--every", metavar="S", min=1, max=86_400, help="Visit a device that stays in range every S seconds (300)."
    ),
]
WebhookUrl = Annotated[
    str | None, typer.Option("--webhook", metavar="URL", help="Send each measurement to this https:// address, too.")
]
KeyFile = Annotated[
    str | None, typer.Option("--webhook-key-file", metavar="F", help="The key of its signatures is in file F.")
]
KeyEnv = Annotated[
    str | None, typer.Option("--webhook-key-env", metavar="VAR", help="The key of its signatures is in variable VAR.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Catalogues = Annotated[list[Path] | None, typer.Option("--catalogue", metavar="FILE", help="Add models from FILE.")]


@app.command(name="run")
def rungateway(
    device: Devices = None,
    profile: Profiles = None,
    every: Every = None,
    quiet: Quiet = 3.0,
    webhook: WebhookUrl = None,
    webhook_key_file: KeyFile = None,
    webhook_key_env: KeyEnv = None,
    json: Json = False,
    adapter: AdapterSpec = None,
    use_lab: UseLab = False,
    catalogue: Catalogues = None,
) -> None:
    """Collect and deliver until it is stopped (Ctrl-C, SIGTERM)."""
    options = GatewayOptions(
        tuple(device or ()),
        tuple(profile or ()),
        every,
        quiet,
        WebhookOptions(webhook, webhook_key_file, webhook_key_env),
        adapter,
        use_lab,
        tuple(catalogue or ()),
    )
    run_command(_work(options, _line if json else _say))
    output.words("The gateway has stopped. What was collected is kept.")


@app.command()
def once(
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="S", min=1, max=86_400, help="How long to look for devices.")
    ] = 30.0,
    device: Devices = None,
    profile: Profiles = None,
    quiet: Quiet = 3.0,
    webhook: WebhookUrl = None,
    webhook_key_file: KeyFile = None,
    webhook_key_env: KeyEnv = None,
    json: Json = False,
    adapter: AdapterSpec = None,
    use_lab: UseLab = False,
    catalogue: Catalogues = None,
) -> None:
    """Collect from every device that shows up, deliver, and end; for cron."""
    options = GatewayOptions(
        tuple(device or ()),
        tuple(profile or ()),
        None,
        quiet,
        WebhookOptions(webhook, webhook_key_file, webhook_key_env),
        adapter,
        use_lab,
        tuple(catalogue or ()),
    )

    async def collecting() -> Once:
        async with opened(options, _say, must_have_devices=True) as gateway:
            return await gateway.once(seconds)

    came = run_command(collecting())
    if json:
        output.result(jsonlib.dumps(_plain(came), ensure_ascii=False))
    else:
        for line in _summary(came):
            output.result(line)
    failed = [v for v in came.visited.values() if v.failure is not None]
    if failed or not came.delivered:
        raise InstallerError(
            ErrorCode.GATEWAY_INCOMPLETE,
            "Not everything was collected and delivered.",
            "What was collected is kept; `device-installer gateway status` tells what failed. Try again.",
        )


@app.command()
def status(
    json: Json = False,
    use_lab: UseLab = False,
    check: Annotated[
        bool, typer.Option("--check", help="End with exit status 75 if there is a problem; for monitoring.")
    ] = False,
) -> None:
    """Say whether the gateway runs, what it reaches, and what waits to be delivered."""
    from installer.gateway import status as statuses
    from installer.gateway.files_and_lock import GatewayFiles

    found = run_command(statuses.look(GatewayFiles.here(lab=use_lab)))
    now = time.time()
    if json:
        output.result(jsonlib.dumps(statuses.plain(found, now), ensure_ascii=False))
    else:
        for line in statuses.lines(found, now):
            output.result(line)
    if check and statuses.problems(found, now):
        raise InstallerError(
            ErrorCode.GATEWAY_INCOMPLETE, "The gateway has a problem.", "The lines above say which, and since when."
        )


@app.command(name="install-service")
def install_service(
    device: Devices = None,
    profile: Profiles = None,
    every: Every = None,
    adapter: AdapterSpec = None,
    show: Annotated[bool, typer.Option("--print", help="Only show the service's file, and what would be run.")] = False,
) -> None:
    """Let the system start the gateway by itself; a webhook is taken from the settings."""
    from installer.gateway import system_service as services

    arguments = [part for address in device or () for part in ("--device", address)]
    arguments += [part for name in profile or () for part in ("--profile", name)]
    arguments += ["--every", f"{every:g}"] if every is not None else []
    arguments += ["--adapter", adapter] if adapter is not None else []
    service = services.make(arguments)
    if show:
        output.result(service.text.rstrip("\n"))
        output.words(f"This is for {service.path}; then:")
        for command in service.commands:
            output.words("  " + " ".join(command))
        return
    services.install(service)
    output.result(str(service.path))
    output.words(f"The gateway starts by itself now. {service.note}")


async def _work(options: GatewayOptions, told: Callable[[Told], None]) -> None:
    """Run the gateway until a signal ends it."""
    import asyncio
    import signal

    from installer.cli.signals import on_signals

    async with opened(options, told) as gateway:
        working = asyncio.ensure_future(gateway.run())
        on_signals(working.cancel, signal.SIGTERM, signal.SIGINT)
        output.words("The gateway runs. Ctrl-C ends it.")
        # The task is only waited for, so that an end from outside is told from its own.
        await asyncio.wait({working})
        if not working.cancelled():
            working.result()


def _line(told: Told) -> None:
    """One line of JSON."""
    from installer.gateway.json_lines import line

    output.result(line(told).model_dump_json())


def _say(told: Told) -> None:
    """One sentence for the person."""
    from installer.gateway.delivery import Delivered
    from installer.gateway.visit_scheduler import Visited

    if isinstance(told, Visited):
        name = f"{told.target.name} {told.target.address}".strip()
        if told.failure is not None:
            output.words(f"{name}: {told.failure.what}")
        elif told.taken:
            output.words(f"{name}: {_many(told.taken)} collected.")
    elif isinstance(told, Delivered):
        if told.failure is not None:
            output.words(f"Not delivered to {told.sink.label}: {told.failure.what} Again in {told.wait:.0f} s.")
        else:
            output.words(f"{_many(told.count)} delivered to {told.sink.label}.")
    else:
        output.words(f"{told.error} Again in {told.wait:.0f} s.")


def _summary(came: Once) -> list[str]:
    rows = []
    for visited in came.visited.values():
        what = "failed" if visited.failure is not None else "visited"
        rows.append(f"{what}: {visited.target.address} {printable(visited.target.name)}, {_many(visited.taken)}")
    rows += [f"not within reach: {t.address} {printable(t.name)}".rstrip() for t in came.unseen]
    return rows


def _plain(came: Once) -> dict[str, object]:
    return {
        "visited": [
            {
                "address": visited.target.address,
                "model": visited.target.model,
                "collected": visited.taken,
                "code": visited.failure.code.value if visited.failure is not None else None,
                "failure": visited.failure.what if visited.failure is not None else None,
            }
            for visited in came.visited.values()
        ],
        "unseen": [target.address for target in came.unseen],
        "delivered": came.delivered,
    }


def _many(count: int) -> str:
    return "1 measurement" if count == 1 else f"{count} measurements"
