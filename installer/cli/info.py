"""The commands that only look: scan, models, doctor, schema, exits."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from installer import output
from installer.cli.run_command import run
from installer.errors import ErrorCode, InstallerError
from installer.text import printable, sentence

if TYPE_CHECKING:
    from installer.bluetooth.sighting import Sighting
    from installer.catalogue.catalogue import SyncMethod
    from installer.flow.assembly import Place

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
UseLab = Annotated[bool, typer.Option("--lab", help="In the lab.")]
AdapterSpec = Annotated[str | None, typer.Option("--adapter", metavar="A", help="Bluetooth adapter.")]
CloudUrl = Annotated[str | None, typer.Option("--cloud", metavar="URL", help="Base URL of the cloud.")]
Catalogues = Annotated[list[Path] | None, typer.Option("--catalogue", metavar="FILE", help="Add models from FILE.")]

SCHEMAS = ("events", "answers", "catalogue", "scenario", "plan", "data", "gateway", "record")


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program's."""
    app.command()(scan)
    app.command()(models)
    app.command()(doctor)
    app.command()(schema)
    app.command()(exits)


def scan(
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, max=3600, help="How long to look.")] = 5.0,
    everything: Annotated[bool, typer.Option("--all", help="Also devices of no known model.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Say why each model was recognised.")] = False,
    json: Json = False,
    adapter: AdapterSpec = None,
    use_lab: UseLab = False,
    catalogue: Catalogues = None,
) -> None:
    """List the devices within reach."""
    from installer.flow.assembly import Place

    place = Place(adapter=adapter, lab=use_lab, catalogues=tuple(catalogue or ()))
    found = run(_scan(place, seconds))
    shown = [s for s in found if everything or s.detection.model_id]
    if json:
        from installer.events.stream import sighted

        for sighting in shown:
            output.result(sighted(sighting).model_dump_json())
    elif shown:
        for line in output.table(
            ("ADDRESS", "SIGNAL", "MODEL", "SURE", "STATE", "NAME"), [_row(s, explain=explain) for s in shown]
        ):
            output.result(line)
    if not shown and not json:
        hidden = len(found) - len(shown)
        output.words(
            "No device that can be set up is within reach."
            + (f" {hidden} other Bluetooth devices are (--all shows them)." if hidden else "")
        )


def _row(sighting: Sighting, *, explain: bool) -> output.Row:
    detection = sighting.detection
    certainty = detection.certainty.value if detection.model_id else "-"
    cells = (sighting.address, f"{sighting.rssi} dBm", detection.model_id or "-", certainty, sighting.state.value)
    notes = (*detection.reasons, detection.note) if explain else ()
    return output.Row((*cells, sighting.name), tuple(sentence(note) for note in notes if note))


async def _scan(place: Place, seconds: float) -> list[Sighting]:
    from installer.bluetooth.scan import Scan
    from installer.flow.assembly import Assembly

    assembly = Assembly(place)
    adapter = await assembly.adapter()
    try:
        async with Scan(adapter, assembly.catalogue, forget_after=max(seconds, 10.0)) as scanning:
            await scanning.wait_until(lambda _: None, seconds)
            if scanning.failure is not None:
                raise scanning.failure
            return sorted(scanning.current(), key=lambda s: (s.detection.model_id is None, -s.rssi, s.address))
    finally:
        await adapter.close()


def models(json: Json = False, catalogue: Catalogues = None) -> None:
    """List the models, how each can sync, and why not otherwise."""
    from installer.flow.assembly import catalogue as load_catalogue

    found = load_catalogue(tuple(catalogue or ())).models
    if json:
        for model in found:
            output.result(model.model_dump_json(exclude_defaults=True))
        return
    rows = [
        output.Row(
            (model.id, printable(model.name, 30), model.type.value, _sync(model.sync)),
            tuple(sentence(printable(reason, 500)) for reason in model.missing.values()),
        )
        for model in found
    ]
    for line in output.table(("MODEL", "NAME", "TYPE", "SYNC"), rows):
        output.result(line)


def _sync(methods: tuple[SyncMethod, ...]) -> str:
    return methods[0].label if len(methods) == 1 else "Wi-Fi or Bluetooth"


def doctor(json: Json = False, adapter: AdapterSpec = None, cloud: CloudUrl = None, use_lab: UseLab = False) -> None:
    """Check this computer: Bluetooth, keyring, cloud.

    Also permissions, whether another program owns the name `installer`, and what the terminal can show.
    """
    from installer.cli import diagnosis
    from installer.flow.assembly import Place

    findings = run(diagnosis.diagnose(Place(adapter=adapter, cloud=cloud, lab=use_lab)), timeout=60.0)
    for finding in findings:
        if json:
            output.result(finding.model_dump_json())
        else:
            mark = {"ok": "ok   ", "warning": "check", "error": "FAIL "}[finding.state]
            output.result(f"{mark}  {finding.subject:<12} {finding.text}")
            if finding.todo:
                output.result(f"{'':<20}{finding.todo}")
    bad = [f.subject for f in findings if f.state == "error"]
    if bad:
        raise InstallerError(
            ErrorCode.DOCTOR_FOUND, f"These prevent an installation: {', '.join(bad)}.", "See the lines above."
        )


def schema(
    name: Annotated[str, typer.Argument(metavar="NAME", help=", ".join(SCHEMAS) + ".")],
) -> None:
    """Print a JSON Schema: of events, answers, records, or files."""
    output.result(jsonlib.dumps(_schema(name), ensure_ascii=False, indent=2))


def _schema(name: str) -> dict[str, Any]:
    if name == "events":
        from installer.events.stream import ADAPTER

        return ADAPTER.json_schema(mode="serialization")
    if name == "answers":
        from installer.answers import Answers

        return Answers.model_json_schema()
    if name == "data":
        from installer.measurements.json_lines import ADAPTER as DATA

        return DATA.json_schema(mode="serialization")
    if name == "gateway":
        from installer.gateway.json_lines import ADAPTER as GATEWAY

        return GATEWAY.json_schema(mode="serialization")
    if name == "plan":
        from installer.batch.plan_format import PlanFile

        return PlanFile.model_json_schema()
    if name == "catalogue":
        from installer.catalogue.catalogue import CatalogueFile

        return CatalogueFile.model_json_schema()
    if name == "scenario":
        from installer.lab.scenario import Scenario

        return Scenario.model_json_schema()
    if name == "record":
        from installer.ledger.json_record import RecordData

        return RecordData.model_json_schema()
    raise InstallerError(ErrorCode.USAGE, f"There is no schema “{name}”.", f"There are these: {', '.join(SCHEMAS)}.")


def exits(json: Json = False) -> None:
    """List the exit statuses: number, code, meaning."""
    if json:
        for code in ErrorCode:
            output.result(jsonlib.dumps({"exit_status": code.exit_status, "code": code.value, "meaning": code.meaning}))
        return
    output.result("  0  ok                      done")
    for code in ErrorCode:
        output.result(f"{code.exit_status:>3}  {code.value:<22}  {code.meaning}")
