"""The command `lab`: serve the emulated world, start and stop one in the background, and act in it."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from installer import output
from installer.cli import GROUPS
from installer.cli.run_command import run
from installer.errors import ErrorCode, InstallerError
from installer.text import printable

if TYPE_CHECKING:
    from installer.flow.lab_process import LabState

app = typer.Typer(help=GROUPS["lab"], rich_markup_mode=None)

Scenario = Annotated[Path | None, typer.Option("--scenario", metavar="FILE", help="The world to emulate (TOML).")]
State = Annotated[Path | None, typer.Option("--state", metavar="FILE", help="Where the lab says how it is reached.")]
DeviceArgument = Annotated[str, typer.Argument(metavar="DEVICE", help="Address or name of the lab's device.")]
OneDevice = Annotated[str | None, typer.Argument(metavar="DEVICE", help="One device; without: all.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing.")]


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
    """Start the lab in the background, as `--lab` does by itself."""
    from installer.flow import lab_process

    running = lab_process.read_state(_state_file())
    if running is not None:
        raise InstallerError(
            ErrorCode.LAB_UNAVAILABLE, "A lab is running already.", "`device-installer lab stop` ends it."
        )
    _print_state(run(lab_process.start(_state_file(), scenario)))


@app.command()
def stop(quiet: Quiet = False) -> None:
    """Stop the lab that runs in the background. What it knows is gone."""
    from installer.flow import lab_process

    stopped = run(lab_process.stop(_state_file()))
    if not quiet:
        output.words("The lab has stopped." if stopped else "No lab was running.")


@app.command()
def status(json: Annotated[bool, typer.Option("--json", help="Print all of its state as JSON.")] = False) -> None:
    """Show the lab's devices and networks."""
    from installer.flow import lab_process

    lab = _running()
    world = run(lab_process.call(lab, "GET", "/lab/state"))
    if json:
        output.result(jsonlib.dumps(world, ensure_ascii=False))
        return
    _print_state(lab)
    for device in world["devices"]:
        joined = f"on {device['joined']}" if device.get("joined") else ""
        linked = "linked" if device.get("linked") else ""
        output.result(f"  {device['address']}  {device['name']:<22} {device['state']:<24} {joined} {linked}".rstrip())
    for network in world["networks"]:
        output.result(f"  network {printable(network['ssid'])}")


@app.command()
def press(device: DeviceArgument) -> None:
    """Press the button on a lab device."""
    _act(device, "press")
    output.words("Pressed.")


@app.command()
def measure(
    device: DeviceArgument,
    user: Annotated[
        int | None, typer.Option("--user", min=1, help="Which of its users; without: whose turn it is.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what it measured as JSON.")] = False,
) -> None:
    """Let a lab device take a measurement now, and say what it measured."""
    found = _act(device, "measure", {} if user is None else {"user": user})
    measured = found["last_measurement"]
    if json:
        output.result(
            jsonlib.dumps({"address": found["address"], "name": found["name"], **measured}, ensure_ascii=False)
        )
        return
    where = f"; not taken over Bluetooth yet: {found['kept']}" if found["kept"] else ""
    output.result(f"{printable(found['name'])} measured {measured['text']}{where}.")


@app.command()
def reset(
    device: Annotated[str | None, typer.Argument(metavar="DEVICE", help="One device; without: all.")] = None,
) -> None:
    """Reset one lab device to factory state, or the whole world to its scenario."""
    from installer.flow import lab_process

    if device is not None:
        _act(device, "reset")
        output.words("Reset to factory state.")
        return
    run(lab_process.call(_running(), "POST", "/lab/reset"))


@app.command()
def scenario() -> None:
    """Print the default scenario, as a start for your own."""
    from importlib import resources

    output.result(resources.files("assets").joinpath("default-scenario.toml").read_text("utf-8").rstrip())


def _act(device: str, action: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the device is like after it."""
    from installer.flow import lab_process

    async def acting() -> dict[str, Any]:
        lab = _running()
        world = await lab_process.call(lab, "GET", "/lab/state")
        wanted = device.strip().lower()
        fits = [d for d in world["devices"] if wanted in (d["address"].lower(), d["name"].lower(), d.get("model"))]
        if len(fits) != 1:
            names = ", ".join(f"{d['address']} ({d['name']})" for d in (fits or world["devices"]))
            raise InstallerError(
                ErrorCode.DEVICE_AMBIGUOUS if fits else ErrorCode.DEVICE_NOT_FOUND,
                f"{'Several devices of the lab are called' if fits else 'The lab has no device'} “{device}”.",
                f"Name one of: {names}.",
            )
        return dict(await lab_process.call(lab, "POST", f"/lab/devices/{fits[0]['address']}/{action}", body))

    return run(acting())


def _running() -> LabState:
    from installer.flow import lab_process

    lab = lab_process.read_state(_state_file())
    if lab is None:
        raise InstallerError(
            ErrorCode.LAB_UNAVAILABLE, "No lab is running.", "Start one: `device-installer lab start`."
        )
    return lab


def _state_file() -> Path:
    from installer.flow.assembly import lab_state_file

    return lab_state_file()


def _print_state(lab: LabState) -> None:
    output.result(f"lab       {lab.http} (process {lab.pid})")
    output.result(f"adapter   --adapter {lab.adapter}")
    output.result(f"cloud     --cloud {lab.cloud}")
