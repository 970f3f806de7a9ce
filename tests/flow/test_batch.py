"""A batch in the lab: a plan in, linked devices out; what fails, what is left, and what a plan gets wrong."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from installer.batch.options_and_result import BatchOptions
from installer.batch.station import Station
from installer.cli.main import _main
from installer.errors import ErrorCode
from installer.events.installation import Provisioning
from installer.events.json_lines import Event
from installer.flow import lab_process
from installer.flow.run_options import Options, RunConfig
from installer.flow.steps import join_outcome
from installer.provisioning.provisioner import Stage
from installer.storage.secret_references import on_command_line
from installer.wifi import saved_networks
from installer.wifi.saved_networks import SavedNetwork
from tests.flow.support import OURS, PASSPHRASE, SILENT, LabWorld, lines, use
from tests.installer.lab.lab_process import LabProcess


@pytest.fixture
def networks(home: Path) -> None:
    secret = on_command_line(env="TEST_PASSPHRASE")
    saved_networks.save(
        {"home": SavedNetwork(ssid="Home", passphrase=secret), "away": SavedNetwork(ssid="Away", passphrase=secret)}
    )


def planned(folder: Path, *rows: str, head: str = "device,model,sync,network,account,site,label,proof") -> str:
    file = folder / "ward.csv"
    file.write_text("\n".join((head, *rows)) + "\n", "utf-8")
    return str(file)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    status = _main(["batch", "--lab", "--json", "--wait", "2", "--allow-references", *arguments])
    return status, lines(capsys.readouterr().out)


def of(events: list[dict[str, Any]], kind: str, **wanted: Any) -> list[dict[str, Any]]:
    return [e for e in events if e["event"] == kind and all(e.get(k) == v for k, v in wanted.items())]


FOUR = (
    ",body-plus,wifi,home,,Berlin,Room 1,",
    ",bpm-connect,wifi,home,,Berlin,Room 2,env:TEST_PROOF",
    ",move,bluetooth,,,Berlin,Room 3,",
    ",body,wifi,home,,Berlin,Room 4,",
)


def test_four_devices_one_of_which_fails_at_first(
    world: LabWorld, networks: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.faults("body-plus", {"drop": {"on": "credentials", "times": 1}})
    world.faults("body", {"network_vanishes": {"times": 0}})
    status, events = run(capsys, planned(tmp_path, *FOUR))
    assert status == ErrorCode.BATCH_INCOMPLETE.exit_status
    done = events[-1]
    assert (done["event"], done["counts"], done["exit_status"]) == ("batch_done", {"installed": 3, "failed": 1}, 92)
    assert done["failures"] == {"join_failed": ["4"]}
    assert of(events, "batch_row", row="1", state="retrying")[0]["code"] == "connection_lost"
    # Every event of an installation says which one, and for which row.
    assert {e["row"] for e in of(events, "step_started")} == {"1", "2", "3", "4"}
    assert all(e["installation"] for e in events if e.get("row") and e["event"] != "batch_row")
    assert Counter(e["event"] for e in events)["signed_in"] == 1
    linked = {d["model"] for d in world.call("GET", "/lab/state")["devices"] if d["linked"]}
    assert linked == {"body-plus", "bpm-connect", "move"}
    assert PASSPHRASE not in json.dumps(events)

    # Once more: only what is left, now that its fault is gone.
    world.faults("body", {})
    received = world.device("body-plus")["credentials_received"]
    status, events = run(capsys, planned(tmp_path, *FOUR))
    assert status == 0
    assert events[0]["left"] == 1
    assert {e["row"] for e in of(events, "step_started")} == {"4"}
    assert world.device("body-plus")["credentials_received"] == received
    status, events = run(capsys, planned(tmp_path, *FOUR))
    assert (status, events[0]["left"]) == (0, 0)


def test_a_changed_plan_does_what_is_new_and_says_what_differs(
    world: LabWorld, networks: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _ = run(capsys, planned(tmp_path, ",move,,,,Berlin,,", f"{world.address('body')},,wifi,home,,,,"))
    assert status == 0
    status, events = run(capsys, planned(tmp_path, f"{world.address('body')},,bluetooth,,,,,", ",pulse-hr,,,,,,"))
    assert status == 0
    assert events[0]["left"] == 1
    told = " ".join(n["text"] for n in of(events, "notice", code="plan"))
    assert "1 device installed in earlier runs" in told
    assert "Row 1 was installed before with sync method “wifi”, the plan says “bluetooth”" in told


def test_mistakes_are_lines_for_machines_and_people(
    world: LabWorld, networks: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = planned(tmp_path, ",sleep,bluetooth,,,,,", ",bodi,wifi,hom,,,,")
    status, events = run(capsys, plan, "--dry-run")
    assert status == ErrorCode.PLAN_INVALID.exit_status
    assert [(e["line"], e["column"], e["name"]) for e in of(events, "plan_mistake")] == [
        (2, 3, "sync"),
        (3, 2, "model"),
        (3, 4, "network"),
    ]
    assert _main(["batch", "--lab", plan]) == ErrorCode.PLAN_INVALID.exit_status
    said = capsys.readouterr()
    assert f"{plan}:3:2: model: There is no model “bodi”. Did you mean “body”?" in said.out.splitlines()
    assert "3 mistakes" in said.err
    assert all(d["att_requests"] == 0 for d in world.call("GET", "/lab/state")["devices"])


def test_a_dry_run_touches_no_device_and_a_template_is_a_plan(
    world: LabWorld, networks: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _main(["batch", "--template", "toml"]) == 0
    file = tmp_path / "plan.toml"
    file.write_text(capsys.readouterr().out.replace('"clinic"', '"home"'), "utf-8")
    status, events = run(capsys, str(file), "--dry-run")
    assert (status, events[-1]["counts"]) == (0, {"planned": 6})
    assert all(d["att_requests"] == 0 for d in world.call("GET", "/lab/state")["devices"])


def test_labels_carry_what_links_the_device_later(
    world: LabWorld, networks: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = tmp_path / "labels.html"
    status, events = run(capsys, planned(tmp_path, ",thermo,wifi,home,later,Berlin,Room 7,"), "--labels", str(sheet))
    assert (status, events[-1]["counts"]) == (0, {"to_be_linked": 1})
    device = world.device("thermo")
    assert (device["joined"], device["linked"]) == ("Home", False)
    text = sheet.read_text("utf-8")
    assert "Room 7" in text
    assert "to be linked" in text
    assert PASSPHRASE not in text


TWO_BUTTONS = """
name = "buttons"
bystanders = 0
[radio]
advertising_interval = 0.02
[timing]
join = 0.05
[[network]]
ssid = "Home"
passphrase = "correct horse battery staple"
[[device]]
model = "thermo"
address = "00:24:E4:00:00:01"
authorization = "manual"
[[device]]
model = "thermo"
address = "00:24:E4:00:00:02"
authorization = "manual"
"""


async def test_two_adapters_work_at_the_same_time(
    lab_factory: Callable[[str], LabProcess], networks: None, tmp_path: Path
) -> None:
    process = lab_factory(TWO_BUTTONS)
    state = lab_process.read_state(process.state_file)
    assert state is not None
    world = LabWorld(state)
    use(world, process.state_file)
    port = state.adapter.rpartition(":")[2]
    adapters = (f"hci:tcp-client:127.0.0.1:{port}", f"hci:tcp-client:localhost:{port}")
    # One device at a time on each adapter; nobody presses a button before both wait for it.
    station = Station(
        RunConfig(lab=True, options=Options(timeout=30.0, allow_references=True)),
        adapters,
        BatchOptions(parallel=1, device_timeout=5.0),
    )
    rows: set[str] = set()
    seen: list[dict[str, Any]] = []
    pressing: list[asyncio.Future[None]] = []

    def press() -> None:
        seen.append(world.call("GET", "/lab/state"))
        for device in seen[0]["devices"]:
            world.call("POST", f"/lab/devices/{device['address']}/press")

    def show(event: Event) -> None:
        if isinstance(event, Provisioning) and event.stage is Stage.AUTHORIZATION_NEEDED and event.row not in rows:
            rows.add(str(event.row))
            if len(rows) == 2:
                pressing.append(asyncio.ensure_future(asyncio.to_thread(press)))

    try:
        await station.prepare()
        plan = await station.check(Path(planned(tmp_path, ",thermo,wifi,home,,,,", ",thermo,wifi,home,,,R2,")), {})
        result = await station.batch(plan, show).run()
        await asyncio.gather(*pressing)
    finally:
        await station.close()
    assert result.complete, result.failures
    assert seen[0]["hosts"] == 2
    assert all(device["connected"] for device in seen[0]["devices"])


def test_a_device_that_was_heard_a_moment_ago_and_has_joined_since(
    home: Path,
    networks: None,
    lab_factory: Callable[[str], LabProcess],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The batch has just heard it, yet it ends its set-up with the join: it is listened for anew, not connected to."""
    process = lab_factory(SILENT.format(model="body-plus", device=OURS))
    state = lab_process.read_state(process.state_file)
    assert state is not None
    world = LabWorld(state)
    use(world, process.state_file)
    monkeypatch.setattr(join_outcome, "LISTEN_SECONDS", 1.0)
    status, events = run(capsys, planned(tmp_path, ",body-plus,wifi,home,,,,"))
    assert status == 0, events
    assert [e["code"] for e in of(events, "batch_row", state="retrying")] == ["connection_lost"]
    assert of(events, "notice", code="unseen")
    assert world.device("body-plus")["credentials_received"] == 1
    assert world.device("body-plus")["linked"]
