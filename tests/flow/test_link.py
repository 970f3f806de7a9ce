"""Linking later: by the id in this ledger, by the label's code on another computer, and after a failure."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import qrcode

from installer.batch.labels import Label
from installer.catalogue.model import SyncMethod
from installer.cli.main import _main
from installer.errors import ErrorCode
from installer.flow import lab_process
from installer.storage.secret_references import on_command_line
from installer.wifi import saved_networks
from installer.wifi.saved_networks import SavedNetwork
from tests.flow.support import PASSPHRASE, LabWorld, lines, use
from tests.installer.lab.lab_process import LabProcess

PROGRAM = str(Path(sys.executable).with_name("device-installer"))

# The ward's network is not in reach of the workshop; Shelly's protocol can store its credentials anyway.
WORKSHOP = f"""
name = "workshop"
bystanders = 0
[radio]
advertising_interval = 0.02
[timing]
join = 0.05
scan = 0.02
first_measurement_after = 0.05
[[network]]
ssid = "Home"
passphrase = "{PASSPHRASE}"
[[network]]
ssid = "Ward"
passphrase = "{PASSPHRASE}"
up = false
[[device]]
model = "body-plus"
address = "00:24:E4:00:00:01"
shelly = {{}}
improv = false
[[device]]
model = "body"
address = "00:24:E4:00:00:02"
[[device]]
model = "bpm-connect"
address = "00:24:E4:00:00:03"
improv = false
espressif = {{ security = 1, proof = "" }}
[[device]]
model = "thermo"
address = "00:24:E4:00:00:04"
improv = false
nordic = {{}}
"""
REFUSING = ("body", "bpm-connect", "thermo")  # by Improv, Espressif's and Nordic's protocol


@pytest.fixture
def networks(home: Path) -> None:
    secret = on_command_line(env="TEST_PASSPHRASE")
    saved_networks.save(
        {"home": SavedNetwork(ssid="Home", passphrase=secret), "ward": SavedNetwork(ssid="Ward", passphrase=secret)}
    )


def set_up(capsys: pytest.CaptureFixture[str], folder: Path, *rows: str) -> list[dict[str, Any]]:
    """Run a batch of these rows, all to be linked later; returns its events."""
    plan = folder / "plan.csv"
    plan.write_text("\n".join(("device,model,sync,network,account", *rows)) + "\n", "utf-8")
    _main(["batch", "--lab", "--json", "--wait", "2", "--allow-references", str(plan)])
    return lines(capsys.readouterr().out)


def ids(events: list[dict[str, Any]]) -> list[str]:
    return [e["installation"] for e in events if e["event"] == "batch_row" and e["state"] == "to_be_linked"]


def link(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    status = _main(["link", "--lab", "--json", *arguments])
    said = capsys.readouterr()
    return status, lines(said.out), said.err


def elsewhere(monkeypatch: pytest.MonkeyPatch, world: LabWorld, state: Path, folder: Path) -> None:
    """Continue on another computer, which has only the label."""
    monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(folder))
    use(world, state)


def test_by_the_id_once_and_again(
    world: LabWorld, networks: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (number,) = ids(set_up(capsys, tmp_path, ",thermo,wifi,home,later"))
    assert not world.device("thermo")["linked"]
    requests = world.device("thermo")["att_requests"]
    status, events, _ = link(capsys, number, "--dry-run")
    assert status == 0
    assert not world.device("thermo")["linked"]
    status, events, _ = link(capsys, number)
    assert status == 0, events
    assert world.device("thermo")["linked"]
    # Nothing uses Bluetooth.
    assert world.device("thermo")["att_requests"] == requests
    assert {e["installation"] for e in events} == {number}
    assert [e["event"] for e in events if e["event"] in ("linked", "first_measurement")] == [
        "linked",
        "first_measurement",
    ]
    assert events[-1]["outcome"] == "installed"
    # The plan and the command both report that nothing is left to do.
    assert set_up(capsys, tmp_path, ",thermo,wifi,home,later")[0]["rows"][0]["state"] == "done_before"
    status, events, _ = link(capsys, number)
    assert (status, [e["code"] for e in events]) == (0, ["linked_before"])


def test_on_another_computer_by_the_text_and_by_a_picture(
    world: LabWorld,
    lab: LabProcess,
    networks: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = (",thermo,wifi,home,later", ",move,bluetooth,,later")
    events = set_up(capsys, tmp_path, *rows)
    sheet = tmp_path / "labels.txt"
    assert _main(["batch", "--lab", "--allow-references", str(tmp_path / "plan.csv"), "--labels", str(sheet)]) == 0
    texts = {
        model: Label(number, world.address(model), model, method, open=True).code
        for number, model, method in zip(
            sorted(ids(events), key=lambda i: next(e["row"] for e in events if e["installation"] == i)),
            ("thermo", "move"),
            (SyncMethod.WIFI, SyncMethod.BLUETOOTH),
            strict=True,
        )
    }
    capsys.readouterr()
    elsewhere(monkeypatch, world, lab.state_file, tmp_path / "other")

    status, events, _ = link(capsys, texts["thermo"])
    assert status == 0, events
    assert world.device("thermo")["linked"]

    picture = tmp_path / "label.png"
    with picture.open("wb") as out:
        qrcode.make(texts["move"]).save(out)
    status, events, _ = link(capsys, "--qr-image", str(picture))
    assert status == 0, events
    assert world.device("move")["linked"]
    # Its data comes through the gateway near it, which may be elsewhere.
    skipped = next(e for e in events if e["event"] == "step_skipped" and e["step"] == "verify")
    assert "gateway" in skipped["reason"]
    # Now this ledger has its id too.
    status, events, _ = link(capsys, next(iter({e["installation"] for e in events})))
    assert (status, [e["code"] for e in events]) == (0, ["linked_before"])


def test_a_device_for_a_network_that_is_not_in_range(
    lab_factory: Callable[[str], LabProcess],
    networks: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    process = lab_factory(WORKSHOP)
    state = lab_process.read_state(process.state_file)
    assert state is not None
    world = LabWorld(state)
    use(world, process.state_file)
    rows = (f"{world.address(model)},{model},wifi,ward,later" for model in REFUSING)
    events = set_up(capsys, tmp_path, "00:24:E4:00:00:01,body-plus,wifi,ward,later", *rows)
    # The other protocols take only a network that the device can join at once; the error says so, nothing was sent.
    assert events[-1]["counts"] == {"to_be_linked": 1, "failed": 3}
    assert events[-1]["failures"] == {"network_not_found": ["2", "3", "4"]}
    assert {world.device(model)["credentials_received"] for model in REFUSING} == {0}
    assert (world.device("body-plus")["joined"], world.device("body-plus")["linked"]) == (None, False)
    (number,) = ids(events)

    # At the ward: the device joins when its network is in reach, and its user links it.
    world.call("POST", "/lab/networks/Ward", {"up": True})
    status, events, _ = link(capsys, number)
    assert status == 0, events
    assert (world.device("body-plus")["joined"], world.device("body-plus")["linked"]) == ("Ward", True)
    assert next(e for e in events if e["event"] == "first_measurement")["source"] == "cloud"


def test_a_failure_leaves_it_waiting(
    world: LabWorld, networks: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (number,) = ids(set_up(capsys, tmp_path, ",thermo,wifi,home,later"))
    world.cloud(down=True)
    status, events, _err = link(capsys, number, "--timeout", "1")
    assert status in (ErrorCode.CLOUD_UNREACHABLE.exit_status, ErrorCode.TIMEOUT.exit_status)
    assert events[-1]["outcome"] == "failed"
    assert set_up(capsys, tmp_path, ",thermo,wifi,home,later")[0]["rows"][0]["state"] == "to_be_linked"
    world.cloud(down=False)
    status, events, _ = link(capsys, number)
    assert status == 0, events


def test_killed_while_linking(
    world: LabWorld, networks: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (number,) = ids(set_up(capsys, tmp_path, ",thermo,wifi,home,later"))
    command = [PROGRAM, "link", "--lab", "--json", number]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "linking":
            break
    process.send_signal(signal.SIGKILL)
    process.wait(20)
    process.stdout.close()
    status, events, _ = link(capsys, number)
    assert status == 0, events
    assert world.device("thermo")["linked"]


def test_without_a_partner_contract_the_account_is_watched(
    world: LabWorld, networks: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.cloud(mode="public")
    (number,) = ids(set_up(capsys, tmp_path, ",thermo,wifi,home,later"))
    status, events, _ = link(capsys, number)
    assert status == 0, events
    assert next(e for e in events if e["event"] == "linked")["way"] == "watch"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nobody", ErrorCode.LABEL_UNKNOWN),
        ("device-installer:link/abcd", ErrorCode.LABEL_UNKNOWN),
        ("device-installer:link/abcdef?a=0024E4123456&m=sleep&s=bluetooth", ErrorCode.SYNC_WIFI_ONLY),
        ("device-installer:link/abcdef?a=0024E4123456&m=shelly-device&s=wifi", ErrorCode.LINK_REFUSED),
        ("device-installer:link/abcdef?a=0024E4123456&m=other&s=wifi", ErrorCode.ANSWERS_INVALID),
        ("device-installer:link/abcdef?a=0024E4123456&m=body&s=wifi", ErrorCode.LINK_REFUSED),
        ("", ErrorCode.USAGE),
    ],
)
def test_what_cannot_be_linked_is_said_in_words(
    world: LabWorld, capsys: pytest.CaptureFixture[str], text: str, code: ErrorCode
) -> None:
    status, events, err = link(capsys, text, "--no-wait")
    assert status == code.exit_status, err
    assert [e["code"] for e in events if e["event"] == "failed"] == [code.value]
    assert "Traceback" not in err


def test_an_installation_that_did_not_get_so_far(
    world: LabWorld, networks: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.faults("thermo", {"network_vanishes": {"times": 0}})
    events = set_up(capsys, tmp_path, ",thermo,wifi,home,later")
    number = next(e["installation"] for e in events if e["event"] == "installation_done")
    status, events, err = link(capsys, number)
    assert status == ErrorCode.LABEL_UNKNOWN.exit_status
    assert "failed" in err
