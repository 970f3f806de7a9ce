"""The command `models`: lists the models of the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer import output
from installer.cli.options import CatalogueFiles, Json
from installer.text import capitalized, printable

if TYPE_CHECKING:
    from installer.catalogue.model import SyncMethod


def models(json: Json = False, catalogue: CatalogueFiles = None) -> None:
    """List the models, and how each can sync and why."""
    from installer.provisioning.registry import load_catalogue

    found = load_catalogue(tuple(catalogue or ())).models
    if json:
        for model in found:
            output.print_result(model.model_dump_json(exclude_defaults=True))
        return
    rows = [
        output.Row(
            (model.id, printable(model.name, 30), model.type.value, _sync(model.sync)),
            tuple(capitalized(printable(reason, 500)) for reason in model.missing.values()),
        )
        for model in found
    ]
    for line in output.table_lines(("MODEL", "NAME", "TYPE", "SYNC"), rows):
        output.print_result(line)


def _sync(methods: tuple[SyncMethod, ...]) -> str:
    return methods[0].label if len(methods) == 1 else "Wi-Fi or Bluetooth"
