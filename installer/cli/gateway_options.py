"""The options of `gateway run`, `gateway once` and `gateway install-service`, declared once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from installer.cli.options import AdapterName, CatalogueFiles, UseLab


@dataclass(frozen=True)
class GatewayOptions:
    """What the command line says. The rest comes from the settings."""

    device: Annotated[
        list[str] | None,
        typer.Option(
            "--device", metavar="ADDRESS", help="Only this device (repeatable); it may be of another manufacturer."
        ),
    ] = None
    profile: Annotated[
        list[str] | None,
        typer.Option(
            "--profile", metavar="P", help="The device's health profile, if it was not installed here (repeatable)."
        ),
    ] = None
    every: Annotated[
        float | None,
        typer.Option(
            "--every", metavar="S", min=1, max=86_400, help="Visit a device that stays in range every S seconds (300)."
        ),
    ] = None
    quiet: Annotated[
        float,
        typer.Option("--quiet", metavar="S", min=0.1, max=60, help="End a visit when nothing came for S seconds."),
    ] = 3.0
    webhook: Annotated[
        str | None,
        typer.Option("--webhook", metavar="URL", help="Also send each measurement to this https:// address."),
    ] = None
    webhook_key_file: Annotated[
        str | None,
        typer.Option("--webhook-key-file", metavar="F", help="Read the key that signs the webhook from file F."),
    ] = None
    webhook_key_env: Annotated[
        str | None,
        typer.Option("--webhook-key-env", metavar="VAR", help="Take the key that signs the webhook from variable VAR."),
    ] = None
    adapter: AdapterName = None
    use_lab: UseLab = False
    catalogue: CatalogueFiles = None
