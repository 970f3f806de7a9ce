"""The command `scan`: lists the devices within Bluetooth range."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from installer import output
from installer.cli.option_groups import only
from installer.cli.options import Json, PlaceOptions
from installer.cli.run_command import run
from installer.text import capitalized

if TYPE_CHECKING:
    from installer.bluetooth.sighting import Sighting
    from installer.flow.run_options import RunConfig


def scan(
    *,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, max=3600, help="How long to scan.")] = 5.0,
    everything: Annotated[bool, typer.Option("--all", help="Also show devices of unknown models.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Say why each model was recognised.")] = False,
    json: Json = False,
    place_options: Annotated[PlaceOptions, only("adapter", "use_lab", "catalogue")],
) -> None:
    """List the devices within range."""
    found, taken = run(_scan(place_options.run_config(), seconds))
    shown = [s for s in found if everything or s.detection.model_id]
    if json:
        from installer.events.json_lines import device_sighted

        for sighting in shown:
            output.print_result(device_sighted(sighting).model_dump_json())
    elif shown:
        for line in output.table_lines(
            ("ADDRESS", "SIGNAL", "MODEL", "SURE", "STATE", "NAME"), [_row(s, explain=explain) for s in shown]
        ):
            output.print_result(line)
    if taken and not json:
        from installer.bluetooth.connected_elsewhere import connected_elsewhere_words

        output.print_message(" ".join(connected_elsewhere_words(taken)))
    if not shown and not json:
        hidden = len(found) - len(shown)
        output.print_message(
            "No device that can be set up is within range."
            + (f" {hidden} other Bluetooth devices are (--all shows them)." if hidden else "")
        )


def _row(sighting: Sighting, *, explain: bool) -> output.Row:
    detection = sighting.detection
    certainty = detection.certainty.value if detection.model_id else "-"
    cells = (sighting.address, f"{sighting.rssi} dBm", detection.model_id or "-", certainty, sighting.state.value)
    notes = (*detection.reasons, detection.note) if explain else ()
    return output.Row((*cells, sighting.name), tuple(capitalized(note) for note in notes if note))


async def _scan(config: RunConfig, seconds: float) -> tuple[list[Sighting], list[Sighting]]:
    """The devices that were heard, and those of known models that another program has connected."""
    from installer.bluetooth.connected_elsewhere import connected_elsewhere
    from installer.bluetooth.own_links import left_link_words
    from installer.bluetooth.scan import Scan
    from installer.flow.run_resources import RunResources
    from installer.provisioning import registry

    resources = RunResources(config)
    adapter = await resources.adapter()
    adapter.on_left_link = lambda address: output.print_message(left_link_words(address))
    detector = registry.detector(resources.catalogue)
    try:
        async with Scan(adapter, detector, forget_after=max(seconds, 10.0)) as scanning:
            await scanning.wait_until(lambda _: None, seconds)
            if scanning.failure is not None:
                raise scanning.failure
            heard = sorted(scanning.current(), key=lambda s: (s.detection.model_id is None, -s.rssi, s.address))
        taken = await connected_elsewhere(adapter, detector)
        return heard, [sighting for sighting in taken if sighting.detection.model_id is not None]
    finally:
        await adapter.close()
