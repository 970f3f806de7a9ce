"""The lab as a process: its state file, its control API, its end."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.installer.lab.hci_client import attached
from tests.installer.lab.improv_client import provision, ready, wifi
from tests.installer.lab.lab_process import LabProcess

EMPTY = "name = 'empty'\n"


def test_the_state_file_says_how_it_is_reached_and_goes_at_the_end(tmp_path: Path) -> None:
    lab = LabProcess(tmp_path, EMPTY)
    with lab:
        state = json.loads(lab.state_file.read_text())
        assert state["version"] == 1
        assert state["pid"] == lab.process.pid if lab.process else False
        assert state["adapter"].startswith("hci:tcp-client:127.0.0.1:")
        assert state["cloud"] == state["http"]
        assert state["scenario"] == "empty"
        assert state["user"]["email"] == "alex@example.org"
        assert lab.state_file.stat().st_mode & 0o777 == 0o600
    assert lab.stop() == 0
    assert not lab.state_file.exists()


def test_stop_by_the_control_api(tmp_path: Path) -> None:
    with LabProcess(tmp_path, EMPTY) as lab:
        lab.call_now("POST", "/lab/stop")
        assert lab.process is not None
        assert lab.process.wait(10) == 0
        assert not lab.state_file.exists()


def test_it_ends_when_nobody_uses_it(tmp_path: Path) -> None:
    with LabProcess(tmp_path, EMPTY, idle=1) as lab:
        assert lab.process is not None
        assert lab.process.wait(20) == 0
        assert "the lab was not used" in lab.log()


async def test_an_attached_host_keeps_it_alive(tmp_path: Path) -> None:
    async with LabProcess(tmp_path, EMPTY, idle=2) as lab:
        assert lab.process is not None
        async with attached(lab.transport):
            with pytest.raises(subprocess.TimeoutExpired):
                await asyncio.to_thread(lab.process.wait, 2.5)
        assert await asyncio.to_thread(lab.process.wait, 20) == 0


def test_the_state_file_of_another_lab_is_left_alone(tmp_path: Path) -> None:
    lab = LabProcess(tmp_path, EMPTY).start()
    other = json.dumps({**lab.info, "pid": os.getpid()})
    lab.state_file.write_text(other)
    lab.stop()
    assert lab.state_file.read_text() == other


def test_a_wrong_scenario_is_one_line_of_json_and_an_exit_status(tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text("[[device]]\nmodel = 'toaster'\n")
    ended = subprocess.run(
        [sys.executable, "-m", "installer.lab", "--scenario", str(tmp_path / "wrong.toml")],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=Path(__file__).parents[3],
    )
    assert ended.returncode == 5
    said = json.loads(ended.stderr.splitlines()[-1])
    assert said["code"] == "scenario_invalid"
    assert "wrong.toml" in said["what"]
    assert "toaster" not in said["what"]


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with LabProcess(tmp_path, EMPTY) as lab:
        port = lab.http.rsplit(":", 1)[1]
        ended = subprocess.run(
            [sys.executable, "-m", "installer.lab", "--port", port],
            capture_output=True,
            text=True,
            timeout=30,
            cwd=Path(__file__).parents[3],
        )
    assert ended.returncode == 80
    assert json.loads(ended.stderr.splitlines()[-1])["code"] == "lab_unavailable"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/lab/devices/00:00:00:00:00:00/press", None, 404),
        ("POST", "/lab/devices/00:24:E4:20:00:3C/paint", None, 404),
        ("POST", "/lab/devices/00:24:E4:20:00:3C/faults", {"faults": {"drop": {"on": "sunday"}}}, 400),
        ("POST", "/lab/devices/00:24:E4:20:00:3C/faults", {}, 400),
        ("POST", "/lab/networks/Nowhere", {"up": True}, 404),
        ("POST", "/lab/networks/Home", {"up": "yes"}, 400),
        ("POST", "/lab/networks/Home", ["up"], 400),
    ],
)
async def test_mistakes_of_requests(lab: LabProcess, method: str, path: str, body: object, status: int) -> None:
    async with httpx.AsyncClient(base_url=lab.http, trust_env=False, headers=lab.control_headers) as client:
        answer = await client.request(method, path, json=body)
    assert answer.status_code == status
    assert answer.json()["error"]


async def test_the_networks_are_shown_without_their_passphrases(lab: LabProcess) -> None:
    state = await lab.state()
    text = json.dumps(state, ensure_ascii=False)
    assert {n["ssid"] for n in state["networks"]} >= {"Home", "Zoë's 🏠 Wi-Fi", "Attic"}
    assert "correct horse" not in text
    assert "lab-password" not in text
    await lab.network("Zoë's 🏠 Wi-Fi", False)
    assert {n["ssid"] for n in (await lab.state())["networks"] if not n["up"]} == {"Zoë's 🏠 Wi-Fi"}


async def test_no_passphrase_gets_into_the_log(tmp_path: Path) -> None:
    secret = "a passphrase that nobody logs"
    scenario = (
        "timing = { join = 0.01 }\n"
        f'network = [{{ ssid = "Home", passphrase = "{secret}" }}]\n'
        'device = [{ model = "body", address = "00:24:E4:00:00:01" }]\n'
    )
    async with LabProcess(tmp_path, scenario) as lab, attached(lab.transport) as client:
        link = await ready(await client.connect("00:24:E4:00:00:01"))
        # The last slice with a wrong checksum, then the right frame in one write.
        whole = wifi("Home", secret)
        await link.write("00467768-6228-2272-4663-277478268003", whole[:-1] + b"\x00")
        await link.next()
        await lab.reset()
        link = await ready(await client.connect("00:24:E4:00:00:01"))
        await provision(link, "Home", secret)
        await link.disconnect()
        await lab.until(lambda d: not d["connected"], "body")
    assert "joined" in lab.log()
    for part in (secret, secret.encode().hex(), secret[:20].encode().hex()):
        assert part not in lab.log()


async def test_a_reset_puts_everything_back(lab: LabProcess) -> None:
    before = await lab.state()
    async with attached(lab.transport) as client:
        link = await ready(await client.connect(lab.address("body")))
        await provision(link, "Home", "correct horse battery staple")
        await lab.measure(lab.address("body"))
        await lab.network("Office", False)
        await lab.reset()
        assert await link.end() == 0x08
        await lab.until(lambda state: all(d["advertising"] for d in state["devices"]))
    after = await lab.until(lambda state: state["hosts"] == 0)
    for state in (before, after):
        for device in state["devices"]:
            device.pop("att_requests")
    assert after["devices"] == before["devices"]
    assert after["networks"] == before["networks"]
