"""The command `lab`: runs the lab in the foreground or background, and acts on its devices."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from installer import output
from installer.cli import COMMAND_GROUPS
from installer.cli.options import Json
from installer.cli.run_command import run
from installer.errors import ErrorCode, InstallerError
from installer.text import in_quotes, printable

if TYPE_CHECKING:
    from installer.flow.lab_process import LabState

app = typer.Typer(help=COMMAND_GROUPS["lab"], rich_markup_mode=None)

Scenario = Annotated[
    Path | None, typer.Option("--scenario", metavar="FILE", help="The world to emulate (TOML); - is standard input.")
]
State = Annotated[Path | None, typer.Option("--state", metavar="FILE", help="Where the lab writes how to reach it.")]
DeviceArgument = Annotated[str, typer.Argument(metavar="DEVICE", help="Address or name of the lab's device.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing.")]


@app.command()
def serve(
    scenario: Scenario = None,
    state: State = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="HTTP port; 0 takes a free one.")] = 0,
    idle: Annotated[int, typer.Option("--idle", min=0, help="End after S seconds without use; 0: never.")] = 0,
) -> None:
    """Run the lab in the foreground until Ctrl-C."""
    from installer.lab.server import run as run_lab

    run_lab(scenario=scenario, state=state or _state_file(), port=port, idle=idle)


@app.command()
def start(scenario: Scenario = None) -> None:
    """Start the lab in the background, as `--lab` does."""
    from installer.flow import lab_process

    running = lab_process.read_state(_state_file())
    if running is not None:
        raise InstallerError(
            ErrorCode.LAB_UNAVAILABLE, "A lab is running already.", "`device-installer lab stop` stops it."
        )
    _print_state(run(lab_process.start(_state_file(), scenario)))


@app.command()
def stop(quiet: Quiet = False) -> None:
    """Stop the lab that runs in the background. Its state is lost."""
    from installer.flow import lab_process

    stopped = run(lab_process.stop(_state_file()))
    if not quiet:
        output.print_message("The lab has stopped." if stopped else "No lab was running.")


@app.command()
def status(json: Json = False) -> None:
    """Show the lab's devices and networks; with --json its whole state."""
    from installer.flow import lab_process

    lab = _running()
    world = run(lab_process.call(lab, "GET", "/lab/state"))
    if json:
        output.print_result(jsonlib.dumps(world, ensure_ascii=False))
        return
    _print_state(lab)
    for device in world["devices"]:
        joined = f"on {device['joined']}" if device.get("joined") else ""
        linked = "linked" if device.get("linked") else ""
        shows = f"shows {device['shows']}" if device.get("shows") else ""
        asks = "asks for six digits" if device.get("asks_digits") else ""
        words = " ".join(word for word in (joined, linked, shows, asks) if word)
        output.print_result(f"  {device['address']}  {device['name']:<22} {device['state']:<24} {words}".rstrip())
    for network in world["networks"]:
        output.print_result(f"  network {in_quotes(network['ssid'])}")


@app.command()
def press(device: DeviceArgument) -> None:
    """Press the button on a lab device."""
    _act(device, "press")
    output.print_message("Pressed.")


@app.command()
def measure(
    device: DeviceArgument,
    user: Annotated[
        int | None, typer.Option("--user", min=1, help="Which of its users; without: the next one.")
    ] = None,
    json: Json = False,
) -> None:
    """Let a lab device take a measurement now, and print it."""
    found = _act(device, "measure", {} if user is None else {"user": user})
    measured = found["last_measurement"]
    if json:
        output.print_result(
            jsonlib.dumps({"address": found["address"], "name": found["name"], **measured}, ensure_ascii=False)
        )
        return
    kept = f"; not read over Bluetooth yet: {found['kept']}" if found["kept"] else ""
    output.print_result(f"{printable(found['name'])} measured {measured['text']}{kept}.")


@app.command()
def enter(
    device: DeviceArgument,
    digits: Annotated[str, typer.Argument(metavar="DIGITS", help="The six digits that the installer shows.")],
) -> None:
    """Type digits on a lab device that asks for them to be paired."""
    _act(device, "enter", {"digits": digits})
    output.print_message("Typed.")


@app.command(name="forget-bonds")
def forget_bonds(device: DeviceArgument) -> None:
    """Let a lab device lose its keys of the computers that it is paired with."""
    _act(device, "forget_bonds")
    output.print_message("The device has forgotten whom it was paired with.")


@app.command()
def reset(
    device: Annotated[str | None, typer.Argument(metavar="DEVICE", help="One device; without: all.")] = None,
) -> None:
    """Reset one lab device to factory state, or the whole world to its scenario."""
    from installer.flow import lab_process

    if device is not None:
        _act(device, "reset")
        output.print_message("Reset to factory state.")
        return
    run(lab_process.call(_running(), "POST", "/lab/reset"))


@app.command()
def scenario() -> None:
    """Print the default scenario, to begin your own with."""
    from importlib import resources

    output.print_result(resources.files("assets").joinpath("default-scenario.toml").read_text("utf-8").rstrip())


def _act(device: str, action: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Let one device of the lab act; its state afterwards. Raises DEVICE_NOT_FOUND, DEVICE_AMBIGUOUS."""
    from installer.flow import lab_process

    async def act() -> dict[str, Any]:
        lab = _running()
        world = await lab_process.call(lab, "GET", "/lab/state")
        wanted = device.strip().lower()
        matches = [d for d in world["devices"] if wanted in (d["address"].lower(), d["name"].lower(), d.get("model"))]
        if len(matches) != 1:
            names = ", ".join(f"{d['address']} ({d['name']})" for d in (matches or world["devices"]))
            raise InstallerError(
                ErrorCode.DEVICE_AMBIGUOUS if matches else ErrorCode.DEVICE_NOT_FOUND,
                f"{'Several devices of the lab are called' if matches else 'The lab has no device'} “{device}”.",
                f"Name one of: {names}.",
            )
        return dict(await lab_process.call(lab, "POST", f"/lab/devices/{matches[0]['address']}/{action}", body))

    return run(act())


def _running() -> LabState:
    from installer.flow import lab_process

    lab = lab_process.read_state(_state_file())
    if lab is None:
        raise InstallerError(
            ErrorCode.LAB_UNAVAILABLE, "No lab is running.", "Start one: `device-installer lab start`."
        )
    return lab


def _state_file() -> Path:
    from installer.flow.run_resources import lab_state_file

    return lab_state_file()


def _print_state(lab: LabState) -> None:
    output.print_result(f"lab       {lab.http} (process {lab.pid})")
    output.print_result(f"adapter   --adapter {lab.adapter}")
    output.print_result(f"cloud     --cloud {lab.cloud}")
