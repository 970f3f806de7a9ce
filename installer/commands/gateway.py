"""The command `gateway`: collect from Bluetooth-only devices once, or in the background; say how that goes."""

from __future__ import annotations

import json as jsonlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from installer import output
from installer.commands import GROUPS
from installer.commands.run import run as run_command
from installer.errors import ErrorCode, InstallerError
from installer.text import printable

if TYPE_CHECKING:
    from installer.assembly import Assembly
    from installer.gateway.agent import Pace
    from installer.gateway.gateway import Once, Parts, Told
    from installer.gateway.place import GatewayPlace
    from installer.gateway.targets import Target

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
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Catalogues = Annotated[list[Path] | None, typer.Option("--catalogue", metavar="FILE", help="Add models from FILE.")]


@app.command()
def once(
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="S", min=1, max=86_400, help="How long to look for devices.")
    ] = 30.0,
    device: Devices = None,
    profile: Profiles = None,
    quiet: Quiet = 3.0,
    json: Json = False,
    adapter: AdapterSpec = None,
    use_lab: UseLab = False,
    catalogue: Catalogues = None,
) -> None:
    """Collect from every device that shows up, deliver, and end; for cron."""

    async def collecting() -> Once:
        from installer.gateway.agent import Pace
        from installer.gateway.gateway import Gateway
        from installer.gateway.outbox import Outbox
        from installer.gateway.place import GatewayPlace, alone
        from installer.gateway.visit import Waits

        place = GatewayPlace.here(lab=use_lab)
        assembly = _assembly(adapter, catalogue, use_lab=use_lab)
        try:
            async with alone(place):
                if use_lab:
                    await assembly.lab()
                pace = Pace(waits=Waits(quiet=quiet))
                parts = _parts(assembly, place, device or (), profile or (), _say, pace)
                if not await parts.targets():
                    raise _nothing_to_do()
                with Outbox.open(place.outbox) as outbox:
                    return await Gateway(parts, outbox).once(seconds)
        finally:
            await assembly.close()

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
    from installer.gateway.place import GatewayPlace

    found = run_command(statuses.look(GatewayPlace.here(lab=use_lab)))
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


def _assembly(adapter: str | None, catalogue: list[Path] | None, *, use_lab: bool) -> Assembly:
    from installer.assembly import Assembly, Place

    return Assembly(Place(adapter=adapter, lab=use_lab, catalogues=tuple(catalogue or ())))


def _parts(
    assembly: Assembly,
    place: GatewayPlace,
    devices: Sequence[str],
    profiles: Sequence[str],
    told: Callable[[Told], None],
    pace: Pace,
) -> Parts:
    import asyncio

    from installer.data.place import open_store
    from installer.gateway import targets
    from installer.gateway.gateway import Parts
    from installer.gateway.sinks import LocalStore

    async def wanted() -> Sequence[Target]:
        installed = await asyncio.to_thread(assembly.records().installed, "bluetooth")
        known = targets.of_ledger(installed, assembly.catalogue)
        return targets.named(devices, profiles, known) if devices else known

    lab = assembly.place.lab
    store = LocalStore(lambda: open_store(assembly.settings, lab=lab))
    return Parts(
        place=place,
        catalogue=assembly.catalogue,
        open_adapter=assembly.adapter,
        targets=wanted,
        sinks=[store],
        told=told,
        pace=pace,
    )


def _say(told: Told) -> None:
    """One sentence for the person."""
    from installer.gateway.agent import Visited
    from installer.gateway.delivery import Delivered

    if isinstance(told, Visited):
        name = f"{told.target.name} {told.target.address}".strip()
        if told.failure is not None:
            output.words(f"{name}: {told.failure.what}")
        elif told.taken:
            output.words(f"{name}: {_many(told.taken)} collected.")
        else:
            output.words(f"{name}: nothing new.")
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


def _nothing_to_do() -> InstallerError:
    return InstallerError(
        ErrorCode.GATEWAY_EMPTY,
        "No device was installed here for Bluetooth-only sync.",
        "Install one, or name one of another maker with --device ADDRESS --profile PROFILE.",
    )


def _many(count: int) -> str:
    return "1 measurement" if count == 1 else f"{count} measurements"
