"""The options that install and wizard have in common, and what they come to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from installer.answers import Answers
    from installer.flow.assembly import Place

SavedNetwork = Annotated[
    str | None, typer.Option("--network", metavar="NAME", help="The saved network of this name (see: networks list).")
]
WifiQr = Annotated[
    str | None,
    typer.Option("--wifi-qr", metavar="TEXT", help="The WIFI: text of a QR code: -, @FILE or env:VAR if secret."),
]
WifiQrImage = Annotated[
    Path | None, typer.Option("--wifi-qr-image", metavar="FILE", help="A picture of the network's QR code.")
]
DeviceQr = Annotated[
    str | None,
    typer.Option("--qr", metavar="TEXT", help="The text of the device's QR code: -, @FILE or env:VAR if secret."),
]
DeviceQrImage = Annotated[
    Path | None, typer.Option("--qr-image", metavar="FILE", help="A picture of the device's QR code.")
]
AnswersFile = Annotated[Path | None, typer.Option("--answers", metavar="FILE", help="Choices from a TOML file.")]
Ask = Annotated[str, typer.Option("--ask", metavar="STEPS", help="Ask a person for these steps, e.g. network,link.")]
AdapterSpec = Annotated[
    str | None, typer.Option("--adapter", metavar="A", help="Bluetooth adapter: hci0, or hci:TRANSPORT for a raw one.")
]
CloudUrl = Annotated[str | None, typer.Option("--cloud", metavar="URL", help="Base URL of the cloud.")]
UseLab = Annotated[bool, typer.Option("--lab", help="Practise in the lab: no hardware, no Internet.")]
Catalogues = Annotated[
    list[Path] | None, typer.Option("--catalogue", metavar="FILE", help="Add models from FILE (repeatable).")
]
Encryption = Annotated[
    bool, typer.Option("--require-encryption", help="Refuse to send a passphrase unencrypted over Bluetooth.")
]
Guided = Annotated[
    bool, typer.Option("--guided", help="Somebody sets the device up with the vendor's app; wait and go on from there.")
]
GuideTimeout = Annotated[
    float | None,
    typer.Option("--guide-timeout", metavar="S", min=1, help="Wait S seconds for the vendor's app (900)."),
]
Ledger = Annotated[str | None, typer.Option("--ledger", metavar="URL", help="The ledger, shared by several stations.")]
Site = Annotated[str | None, typer.Option("--site", metavar="S", help="Where: it stands in the record.")]
Operator = Annotated[str | None, typer.Option("--operator", metavar="O", help="Who: it stands in the record.")]


def place_of(
    adapter: str | None = None,
    cloud: str | None = None,
    use_lab: bool = False,
    catalogue: list[Path] | None = None,
    options: Any = None,
) -> Place:
    """Where an installation takes place, as the command line says."""
    from installer.flow.assembly import Place
    from installer.flow.steps.step import Options

    return Place(
        adapter=adapter, cloud=cloud, lab=use_lab, catalogues=tuple(catalogue or ()), options=options or Options()
    )


def answers_of(path: Path | None) -> Answers | None:
    """The answers of this file, if one is given."""
    if path is None:
        return None
    from installer.answers import load

    return load(path)
