"""A real access point (hostapd), an Improv device that joins it by wpa_supplicant, and NetworkManager."""

from __future__ import annotations

import sys

from tests.flow.support import LabWorld
from tests.guest.inside.access_point import PASSPHRASE, SSID, AccessPoint
from tests.guest.inside.bluez import BlueZ
from tests.guest.inside.program import Program

SCRIPT = (
    "--adapter",
    "system",
    "--non-interactive",
    "--json",
    "--model",
    "improv-device",
    "--sync",
    "wifi",
    "--no-wait",
)
DEVICE = [sys.executable, "-m", "tests.guest.inside.improv_peripheral"]
READY = "the Improv device is ready"
JOIN_FAILED = 50


def test_a_wrong_passphrase_is_refused_and_the_right_one_joins(
    bare_bluez: BlueZ, access_point: AccessPoint, world: LabWorld, program: Program
) -> None:
    adapter = bare_bluez.plug_program(DEVICE, READY)
    wrong = program.run(
        "install", "--lab", *SCRIPT, "--ssid", SSID, "--passphrase-env", "WRONG", WRONG="not the secret"
    )
    assert wrong.status == JOIN_FAILED, wrong
    assert "not joined" in bare_bluez.radio_log(adapter)
    assert not access_point.joined
    right = program.run("install", "--lab", *SCRIPT, "--ssid", SSID, "--passphrase-env", "RIGHT", RIGHT=PASSPHRASE)
    assert access_point.joined, right
    assert right.status == 0, right
    assert PASSPHRASE not in right.output + right.errors


def test_the_passphrase_that_this_computer_uses(
    bare_bluez: BlueZ, access_point: AccessPoint, world: LabWorld, program: Program
) -> None:
    bare_bluez.plug_program(DEVICE, READY)
    access_point.network_manager()
    done = program.run("install", "--lab", *SCRIPT, "--ssid", SSID, "--passphrase-host")
    assert done.status == 0, done
    assert access_point.joined
    assert PASSPHRASE not in done.output + done.errors
