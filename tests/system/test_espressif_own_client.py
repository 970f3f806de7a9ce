"""Espressif's own client against the lab's Espressif devices: every security, networks, right and wrong credentials.

It runs in a process of its own, because its protocol buffers have the names of ours. In the guest it uses BlueZ itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from installer.bluetooth.connection import Connection
from installer.errors import InstallerError
from tests.installer.provisioning.espressif.bench import NETWORKS, PROOF, bench

JUDGES = Path(__file__).parents[2] / ".venv/judges/python"
CLIENT = Path(__file__).parents[1] / "espressif_client.py"
SCHEMES = [
    pytest.param({"security": 0}, id="security 0"),
    pytest.param({"security": 1, "proof": PROOF}, id="security 1"),
    pytest.param({"security": 2, "proof": PROOF}, id="security 2"),
]


async def provision(connection: Connection, service: str, security: int, proof: str, passphrase: str) -> dict[str, Any]:
    """What their client makes of the device at the other end of this connection."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    words = [sys.executable, str(CLIENT), f"fd:{theirs.fileno()}", str(security), proof, "Home", passphrase]
    child = await asyncio.create_subprocess_exec(
        *words,
        pass_fds=[theirs.fileno()],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(JUDGES)},
    )
    theirs.close()
    table = {}
    for uuid in connection.characteristics_of(service):
        table[(await connection.read_user_description(uuid) or b"").decode()] = uuid
    try:
        while line := await reader.readline():
            endpoint, data = json.loads(line)
            await connection.write(table[endpoint], bytes.fromhex(data))
            answer = await connection.read(table[endpoint])
            writer.write(json.dumps([endpoint, answer.hex()]).encode() + b"\n")
    finally:
        writer.close()
        output, errors = await child.communicate()
    assert child.returncode == 0, errors.decode()
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


@pytest.mark.parametrize("settings", SCHEMES)
async def test_it_sets_the_device_up(settings: dict[str, Any]) -> None:
    async with bench(settings) as lab:
        connection, service = await lab.connect(), lab.device.espressif.scenario.service
        done = await provision(connection, service, settings["security"], PROOF, "correct horse")
        assert done["networks"].keys() == {network["ssid"].encode().decode("latin-1") for network in NETWORKS}
        assert (done["session"], done["sent"], done["applied"], done["state"]) == (True, True, True, "connected")
        assert lab.device.joined == "Home"


@pytest.mark.parametrize("settings", SCHEMES)
async def test_it_learns_that_the_passphrase_is_wrong(settings: dict[str, Any]) -> None:
    async with bench(settings) as lab:
        connection, service = await lab.connect(), lab.device.espressif.scenario.service
        done = await provision(connection, service, settings["security"], PROOF, "incorrect horse")
        assert done["state"] == "failed"
        assert lab.device.joined is None


@pytest.mark.parametrize("security", [1, 2])
async def test_it_gets_no_session_with_a_wrong_proof(security: int) -> None:
    async with bench({"security": security, "proof": PROOF}) as lab:
        connection, service = await lab.connect(), lab.device.espressif.scenario.service
        with pytest.raises(InstallerError) as refused:
            await provision(connection, service, security, "wrong", "correct horse")
        # As the firmware does, in the words of ATT: it says no to the message that holds the proof.
        assert refused.value.data["gatt_error"] == 0x04
        assert lab.device.joined is None
