"""A measurement from device to store through separate processes: device, gateway, cloud, receiver."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from installer.cli.main import _main
from tests.flow.support import LabWorld
from tests.flow.test_receiver import Serving, wait_for

# What the lab's device says that it measured: the kind in the store, and the unit.
KINDS = {
    "weight": ("weight", "kg"),
    "fat_ratio": ("fat ratio", "%"),
    "systolic": ("systolic pressure", "mmHg"),
    "diastolic": ("diastolic pressure", "mmHg"),
    "pulse": ("pulse", "1/min"),
    "temperature": ("temperature", "°C"),
    "asleep": ("time asleep", "s"),
    "steps": ("steps", "steps"),
    "distance": ("distance", "m"),
}
BY_WIFI = ("body", "body-plus", "bpm-connect", "sleep", "thermo")
BY_BLUETOOTH = ("move", "pulse-hr", "bpm-connect")


@contextmanager
def serving(home: Path) -> Iterator[Serving]:
    """The receiver of notifications, as a process of its own."""
    one = Serving(home)
    try:
        yield one
    finally:
        if one.process.poll() is None:
            one.end()


def install(world: LabWorld, model: str, method: str) -> None:
    wifi = ["--ssid", "Home", "--passphrase-env", "TEST_PASSPHRASE"] if method == "wifi" else []
    proof = ["--proof-env", "TEST_PROOF"] if model == "bpm-connect" else []
    arguments = ["--device", world.address(model), "--sync", method, *wifi, *proof]
    assert _main(["install", "--lab", "--non-interactive", *arguments]) == 0


def exported(home: Path) -> list[dict[str, Any]]:
    """What is stored, as another program gets it."""
    file = home / "export.json"
    assert _main(["data", "export", "--lab", "--format", "json", "--out", str(file)]) == 0
    found: list[dict[str, Any]] = json.loads(file.read_text("utf-8"))
    return found


def measured(world: LabWorld, model: str) -> dict[str, tuple[str, str]]:
    """What the device says: by kind, value and unit as the store writes them."""
    last = world.device(model)["last_measurement"]
    kinds = KINDS | ({"pulse": ("pulse asleep", "1/min")} if model == "sleep" else {})
    # The cloud has no single heart beats of a watch, only its days.
    left_out = {"pulse"} if model == "pulse-hr" else set()
    return {kinds[n][0]: (f"{v:g}", kinds[n][1]) for n, v in last.items() if n in kinds and n not in left_out}


def stored(home: Path, model: str, source: str) -> set[tuple[str, tuple[str, str]]]:
    rows = [r for r in exported(home) if r["model"] == model and r["source"] == source]
    return {(r["kind"], (r["value"], r["unit"])) for r in rows}


@pytest.mark.parametrize(("model", "method"), [(m, "wifi") for m in BY_WIFI] + [(m, "bluetooth") for m in BY_BLUETOOTH])
def test_what_a_device_measured_is_what_is_stored(
    world: LabWorld, home: Path, monkeypatch: pytest.MonkeyPatch, model: str, method: str
) -> None:
    # It looks by itself only when it starts, and then there is no account yet.
    with serving(home) as receiver:
        install(world, model, method)
        monkeypatch.setenv("RECEIVER", receiver.url)
        assert _main(["notifications", "subscribe", "--lab", "--url", "env:RECEIVER"]) == 0
        world.act(model, "measure")
        if method == "bluetooth":
            assert _main(["gateway", "once", "--lab", "--seconds", "10", "--quiet", "0.3"]) == 0
        expected = set(measured(world, model).items())
        assert expected
        wait_for(lambda: expected <= stored(home, model, "cloud"))
        assert any(event["event"] == "notification_arrived" for event in receiver.events())
    if method == "bluetooth":
        # The gateway keeps it here too, whatever the cloud does.
        assert stored(home, model, "cloud") <= stored(home, model, "bluetooth")
