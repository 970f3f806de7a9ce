"""Espressif's own client, unmodified, sets up the lab's device over BlueZ."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.flow.support import PASSPHRASE, PROOF, LabWorld
from tests.guest.inside.bluez import BlueZ

CLIENT = Path(__file__).parents[2] / "espressif_client.py"


def test_espressifs_own_client(bluez: BlueZ, world: LabWorld) -> None:
    command = [sys.executable, CLIENT, "ble:PROV_CE03C0", "2", PROOF, "Home", PASSPHRASE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["state"] == "connected"
    found = next(d for d in world.call("GET", "/lab/state")["devices"] if d["name"] == "PROV_CE03C0")
    assert found["joined"] == "Home"
