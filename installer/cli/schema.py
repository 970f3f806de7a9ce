"""The command `schema`: prints the JSON Schemas of what scripts read and write."""

from __future__ import annotations

import json as jsonlib
from typing import Annotated, Any

import typer

from installer import output
from installer.errors import ErrorCode, InstallerError

SCHEMAS = ("events", "answers", "catalogue", "scenario", "plan", "data", "gateway", "record")


def schema(
    name: Annotated[str, typer.Argument(metavar="NAME", help=", ".join(SCHEMAS) + ".")],
) -> None:
    """Print a JSON Schema: of events, answers, records, or files."""
    output.print_result(jsonlib.dumps(_schema(name), ensure_ascii=False, indent=2))


def _schema(name: str) -> dict[str, Any]:
    if name == "events":
        from installer.events.json_lines import ADAPTER

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
        from installer.catalogue.catalogue_file import CatalogueFile
        from installer.provisioning import registry

        found = CatalogueFile.model_json_schema()
        names = [protocol.name for protocol in registry.protocols()]
        found["$defs"]["Model"]["properties"]["protocols"]["items"] = {"enum": names, "type": "string"}
        return found
    if name == "scenario":
        from installer.lab.scenario import Scenario

        return Scenario.model_json_schema()
    if name == "record":
        from installer.ledger.record_schema import RecordData

        return RecordData.model_json_schema()
    raise InstallerError(ErrorCode.USAGE, f"There is no schema “{name}”.", f"Choose one of: {', '.join(SCHEMAS)}.")
