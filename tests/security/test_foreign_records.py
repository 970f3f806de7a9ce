"""A row of a ledger that others can write is not obeyed: it says how far an installation is, and nothing of ours."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from installer import settings
from installer.answers import Answers, StepKey
from installer.batch.plan import Unit
from installer.batch.row_claims import RowRecord
from installer.batch.row_state import RowState
from installer.cli.main import _main
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import Notice, StepStarted
from installer.flow import shared_record, station_choices
from installer.flow.front_end import Cancelled
from installer.flow.installation import Installation
from installer.flow.questions import ChooseDevice, ConfirmForeign
from installer.flow.resume import Resumable
from installer.flow.run_options import Options, RunConfig
from installer.flow.run_resources import RunResources
from installer.flow.station_choices import StationChoices
from installer.ledger import shared
from installer.ledger.archive import answers_of
from installer.ledger.database import Target
from installer.storage.database import sqlite_url
from screens.installation_state import InstallationState
from screens.open_wizard import LedgerResumables, ResumedInstallation
from tests.flow.support import FAST, Front, LabWorld, lines

REFUSED = ErrorCode.REFERENCE_REFUSED.exit_status
EVIL = "AA:BB:CC:DD:EE:FF"


class SharedLedger:
    """A ledger in a folder that everybody can write, and somebody who does."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        folder.chmod(0o777)
        self.file = folder / "ledger.sqlite"

    def row(self) -> dict[str, Any]:
        with sqlite3.connect(self.file) as connection:
            (found,) = connection.execute("SELECT installation, answers, options FROM details").fetchall()
        return {"id": found[0], "answers": json.loads(found[1]), "options": json.loads(found[2])}

    def change(self, column: str, change: Callable[[Any], Any]) -> None:
        changed = json.dumps(change(self.row()[column]))
        with sqlite3.connect(self.file) as connection:
            connection.execute(f"UPDATE details SET {column} = ?", (changed,))

    def sql(self, statement: str, *values: str) -> None:
        with sqlite3.connect(self.file) as connection:
            connection.execute(statement, values)


@pytest.fixture
def ledger(tmp_path: Path) -> SharedLedger:
    return SharedLedger(tmp_path / "share")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Go to another station: another home, the same lab and ledger."""

    def go() -> None:
        state = settings.runtime_dir() / "lab.json"
        monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(tmp_path / "other-station"))
        (settings.runtime_dir()).mkdir(parents=True)
        (settings.runtime_dir() / "lab.json").write_text(state.read_text())

    return go


def begin(world: LabWorld, ledger: SharedLedger, *more: str) -> str:
    """An installation whose device could not join: its passphrase is needed again."""
    world.faults("body-plus", {"network_vanishes": {"times": 1}})
    options = ["--device", world.address("body-plus"), "--sync", "wifi", "--ssid", "Home", "--no-wait"]
    secret = ["--passphrase-env", "TEST_PASSPHRASE"]
    place = ["--lab", "--non-interactive", "--ledger", str(ledger.file)]
    assert _main(["install", *place, *options, *secret, *more]) == ErrorCode.JOIN_FAILED.exit_status
    return str(ledger.row()["id"])


def resume(ledger: SharedLedger, *more: str) -> int:
    return _main(["resume", "--lab", "--non-interactive", "--ledger", str(ledger.file), *more])


def test_a_row_carries_nothing_of_a_station_and_its_resume_is_comfortable(
    world: LabWorld, ledger: SharedLedger, home: Path
) -> None:
    installation = begin(world, ledger)
    row = ledger.row()
    assert row["answers"]["network"] == {"ssid": "Home", "hidden": False}
    assert not {"adapter", "catalogues"} & set(row["options"])
    file = home / "data" / station_choices.FOLDER / f"{installation}.json"
    assert json.loads(file.read_text())["answers"]["network"]["passphrase"] == {"env": "TEST_PASSPHRASE"}
    assert file.stat().st_mode & 0o777 == 0o600
    assert resume(ledger) == 0
    assert world.device("body-plus")["joined"] == "Home"
    assert not file.exists()


@pytest.mark.parametrize(
    "reference",
    [{"env": "ANY_SECRET"}, {"keyring": "ledger"}, {"file": "/etc/hostname"}, {"host": True}],
    ids=lambda r: next(iter(r)),
)
def test_a_place_that_a_row_names_is_not_read_and_is_said(
    world: LabWorld,
    ledger: SharedLedger,
    elsewhere: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    reference: dict[str, Any],
) -> None:
    monkeypatch.setenv("ANY_SECRET", "content-of-a-secret")
    begin(world, ledger)
    elsewhere()
    target = ("--device", world.address("body-plus"), "--ssid", "Home")
    ledger.change("answers", lambda a: a | {"network": a["network"] | {"passphrase": reference}})
    ledger.change("answers", lambda a: a | {"find": a["find"] | {"proof": reference}})
    received = world.device("body-plus")["credentials_received"]
    capsys.readouterr()
    assert resume(ledger, *target) == ErrorCode.ANSWER_MISSING.exit_status
    said = capsys.readouterr().err
    assert "find.proof, network.passphrase" in said
    assert "not used" in said
    assert world.device("body-plus")["credentials_received"] == received


def test_another_station_takes_over_if_it_says_itself_where_its_secret_goes(
    world: LabWorld, ledger: SharedLedger, elsewhere: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    begin(world, ledger)
    elsewhere()
    mine = world.address("body-plus")
    received = world.device("body-plus")["credentials_received"]
    secret = ("--passphrase-env", "TEST_PASSPHRASE")
    for known in ((), ("--device", mine), ("--ssid", "Home"), ("--device", EVIL, "--ssid", "Home")):
        capsys.readouterr()
        assert resume(ledger, *secret, *known) == REFUSED
        said = capsys.readouterr().err
        assert ("--device" in known) or f"--device {mine}" in said
        assert ("--ssid" in known) or "--ssid Home" in said
    assert world.device("body-plus")["credentials_received"] == received
    assert resume(ledger, *secret, "--device", mine.lower(), "--ssid", "Home") == 0
    assert world.device("body-plus")["joined"] == "Home"


Change = Callable[["SharedLedger", str], None]


def names_another(ledger: SharedLedger, other: str) -> None:
    ledger.sql("UPDATE installations SET address = ?, sent_address = ?", other, other)
    ledger.sql("UPDATE steps SET result = json_remove(result, '$.serial') WHERE step = ?", "find")


def answers_alone(find: Callable[[str], dict[str, Any]]) -> Change:
    def change(ledger: SharedLedger, other: str) -> None:
        ledger.sql("DELETE FROM steps")
        ledger.sql(
            "UPDATE installations SET address = NULL, sent_address = NULL, sent_ssid = NULL, name = NULL, model = NULL"
        )
        ledger.change("answers", lambda a: a | {"find": find(other), "provision": {"send": True}})

    return change


@pytest.mark.parametrize(
    "change",
    [
        names_another,
        answers_alone(lambda other: {"device": other}),
        answers_alone(lambda other: {"model": "body"}),
        answers_alone(lambda other: {"name": "Body 3C"}),
    ],
    ids=["the address", "the answer: an address", "the answer: a model", "the answer: a name"],
)
@pytest.mark.parametrize("by", ["script", "person"])
async def test_a_new_row_of_somebody_gets_no_passphrase(
    world: LabWorld, ledger: SharedLedger, capsys: pytest.CaptureFixture[str], change: Change, by: str
) -> None:
    """This station has no choices for it: nobody here has said that the passphrase goes there."""
    installation = await asyncio.to_thread(begin, world, ledger)
    change(ledger, world.address("body"))
    new_id = "fedcba987654"
    for table, column in (("installations", "id"), ("details", "installation"), ("steps", "installation")):
        ledger.sql(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", new_id, installation)
    before = world.device("body")["credentials_received"]
    if by == "script":
        capsys.readouterr()
        assert (
            await asyncio.to_thread(resume, ledger, new_id, "--json", "--passphrase-env", "TEST_PASSPHRASE") == REFUSED
        )
        (failed,) = [e for e in lines(capsys.readouterr().out) if e["event"] == "failed"]
        assert {d["field"] for d in failed["data"]["differences"]} == {"device", "network"}
    else:
        front = Front(answers={ConfirmForeign: False})
        resources = RunResources(RunConfig(lab=True, ledger=str(ledger.file), options=Options(deadlines=FAST)))
        try:
            await resources.lab()
            with pytest.raises(InstallerError) as caught:
                await ResumedInstallation(resources, front, new_id).run()
        finally:
            await resources.close()
        assert caught.value.code is ErrorCode.REFERENCE_REFUSED
        (asked,) = front.asked
        assert isinstance(asked, ConfirmForeign)
        assert any("“Home”" in line for line in asked.lines)
    assert world.device("body")["credentials_received"] == before


def test_a_row_brings_no_consent(home: Path) -> None:
    answers = {"provision": {"send": True, "require_encryption": True}, "find": {"model": "body"}}
    kept = shared.answers_for_ledger(answers, private=False)
    assert kept["provision"] == {"require_encryption": True}
    assert "provision" not in shared.answers_for_ledger({"provision": {"send": True}}, private=False)
    for written in (answers, kept):
        found = shared_record.read({**RECORD, "answers": written}, RunConfig(), private=False)
        assert found.attempt.answers.provision is None
        assert found.config.options.require_encryption
    assert shared_record.read({**RECORD, "answers": answers}, RunConfig(), private=True).attempt.answers.provision


@pytest.mark.parametrize("option", [("--device", EVIL), ("--ssid", "Other")])
def test_an_option_does_not_make_another_installation_of_an_own_record(
    world: LabWorld, home: Path, option: tuple[str, str]
) -> None:
    world.faults("body-plus", {"network_vanishes": {"times": 1}})
    options = ["--device", world.address("body-plus"), "--sync", "wifi", "--ssid", "Home", "--no-wait"]
    place = ["--lab", "--non-interactive"]
    assert _main(["install", *place, *options, "--passphrase-env", "TEST_PASSPHRASE"]) == 50
    assert _main(["resume", *place, *option]) == ErrorCode.USAGE.exit_status
    assert _main(["resume", *place, "--device", world.address("body-plus"), "--ssid", "Home"]) == 0


@pytest.mark.parametrize("change", ["device", "network", "account"])
def test_a_changed_target_is_refused_and_our_passphrase_stays(
    world: LabWorld, ledger: SharedLedger, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    begin(world, ledger)
    other = world.address("body")
    if change == "device":
        ledger.sql("UPDATE installations SET address = ?, sent_address = ?", other, other)
    elif change == "network":
        ledger.sql("UPDATE installations SET sent_ssid = ?, ssid = ?", "Evil", "Evil")
        ledger.sql("UPDATE steps SET result = replace(result, 'Home', 'Evil') WHERE step = ?", "network")
    else:
        ledger.sql("UPDATE installations SET account = ?", "somebody")
    capsys.readouterr()
    assert resume(ledger, "--json") == REFUSED
    (failed,) = [e for e in lines(capsys.readouterr().out) if e["event"] == "failed"]
    assert [d["field"] for d in failed["data"]["differences"]] == [change]
    assert world.device("body")["att_requests"] == 0
    assert world.device("body-plus")["joined"] is None


RECORD_DEVICE = "00:24:E4:00:00:01"
RECORD = {
    "id": "abc123",
    "outcome": "failed",
    "address": "00:24:E4:00:00:01",
    "model": "body-plus",
    "started": "2026-11-01T10:00:00.000+00:00",
    "station": "other",
    "answers": {},
    "steps": [{"step": "find", "result": {"protocol": "improv"}}],
}


@pytest.mark.parametrize(
    ("options", "field", "way_out", "given"),
    [
        ({"adapter": "hci:tcp-client:evil.example:9"}, "adapter", "--adapter", {"adapter": "hci0"}),
        ({"cloud": "https://evil.example"}, "cloud", "--cloud", {"cloud": "https://wbsapi.withings.net"}),
        ({"catalogues": ["/net/evil/models.toml"]}, "catalogues", "--catalogue", {"catalogues": (Path("own.toml"),)}),
    ],
)
async def test_adapter_cloud_and_catalogues_come_from_this_station(
    home: Path, options: dict[str, Any], field: str, way_out: str, given: dict[str, Any]
) -> None:
    record = {**RECORD, "options": options}
    found = shared_record.read(record, RunConfig(), private=False, device=RECORD_DEVICE)
    with pytest.raises(InstallerError) as caught:
        await shared_record.confirm(found, None)
    assert caught.value.code is ErrorCode.REFERENCE_REFUSED
    assert way_out in caught.value.todo
    assert [d["field"] for d in caught.value.data["differences"]] == [field]
    # The option says it: nothing is asked, and the row does not count.
    own = shared_record.read(record, RunConfig(**given), private=False, device=RECORD_DEVICE)
    assert not own.differences
    assert {name: getattr(own.config, name) for name in given} == given
    front = Front(answers={ConfirmForeign: True})
    if field == "cloud":
        # A person cannot confirm a cloud: it would get the client secret.
        with pytest.raises(InstallerError):
            await shared_record.confirm(found, front.ask)
        assert (front.asked, found.config.cloud) == ([], None)
    else:
        # A person may confirm it, and is shown what the row says.
        await shared_record.confirm(found, front.ask)
        (asked,) = front.asked
        assert isinstance(asked, ConfirmForeign)
        assert any("evil" in line for line in asked.lines)
    with pytest.raises(InstallerError):
        await shared_record.confirm(found, Front(answers={ConfirmForeign: False}).ask)
    # A private ledger is this user's own word, as before.
    assert not shared_record.read(record, RunConfig(), private=True).differences


def test_equal_values_are_no_question(home: Path) -> None:
    record = {**RECORD, "options": {"cloud": settings.load().cloud.api, "adapter": "hci1"}}
    given = RunConfig(adapter="hci1")
    assert not shared_record.read(record, given, private=False, device=RECORD_DEVICE).differences
    station_choices.save("abc123", StationChoices("00:24:E4:00:00:01", {}, {"adapter": "hci1"}))
    found = shared_record.read(record, RunConfig(), private=False)
    assert (found.differences, found.config.adapter) == ((), "hci1")


def test_a_row_cannot_take_back_the_required_encryption(home: Path) -> None:
    chosen = {"require_encryption": True}
    station_choices.save("abc123", StationChoices("00:24:E4:00:00:01", {}, chosen))
    found = shared_record.read({**RECORD, "options": {"keep_wifi": True}}, RunConfig(), private=False)
    assert found.config.options.require_encryption
    assert not found.config.options.keep_wifi


@pytest.mark.parametrize("identity", ["../../config/config", "a/b", "", "x" * 65])
def test_an_id_of_a_row_is_no_path(home: Path, identity: str) -> None:
    station_choices.save(identity, StationChoices("", {}, {}))
    assert station_choices.load(identity) is None
    assert not list(home.rglob("*.json"))


def test_a_path_that_is_no_text_is_kept(home: Path) -> None:
    choices = StationChoices("", {}, {"catalogues": [os.fsdecode(b"/mail/\xff.toml")]})
    station_choices.save("abc123", choices)
    assert station_choices.load("abc123") == choices


async def test_who_only_looked_leaves_no_choices(world: LabWorld, ledger: SharedLedger, home: Path) -> None:
    resources = RunResources(RunConfig(lab=True, ledger=str(ledger.file), options=Options(deadlines=FAST)))
    front = Front(answers={ChooseDevice: Cancelled()})
    try:
        await resources.lab()
        ended = await Installation(resources.environment(), front, Answers()).run()
    finally:
        await resources.close()
    assert ended.outcome == "cancelled"
    assert not list((home / "data" / station_choices.FOLDER).glob("*"))


def test_erasing_all_records_erases_choices_that_no_record_has(home: Path) -> None:
    station_choices.save("abc123", StationChoices("00:24:E4:00:00:01", {}, {}))
    assert _main(["records", "forget", "--all", "--yes"]) == 0
    assert station_choices.load("abc123") is None


FORGING = "Home”, this station has “Home” too. Nothing changes: “Home"


def test_a_name_cannot_end_its_quotation_and_go_on_as_a_sentence(home: Path) -> None:
    record = {**RECORD, "options": {"adapter": FORGING}}
    given = shared_record.read(record, RunConfig(), private=False, device=RECORD_DEVICE)
    (found,) = given.differences
    assert str(found).count("“") == str(found).count("”") == 1
    row = RowState(Unit(name="1", key="k", row=1, model="body-plus"))
    sent = {"sent_address": RECORD["address"], "sent_ssid": "Home", "step": "provision", "station": FORGING}
    row.continue_from(replace(RowRecord.of({**RECORD, **sent}), own_device=False))
    assert row.refusal is not None
    assert row.refusal.what.count("“") == row.refusal.what.count("”") == 1


def test_the_choices_of_this_station_are_few(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(station_choices, "MAX_FILES", 3)
    for number in range(5):
        station_choices.save(f"id{number}", StationChoices("", {}, {}))
        os.utime(home / "data" / station_choices.FOLDER / f"id{number}.json", (number, number))
    assert [station_choices.load(f"id{number}") is not None for number in range(5)] == [False, False, True, True, True]


async def test_the_wizard_shows_what_differs_before_it_continues(
    world: LabWorld, ledger: SharedLedger, home: Path
) -> None:
    installation = await asyncio.to_thread(begin, world, ledger)
    other = world.address("body")
    ledger.sql("UPDATE installations SET address = ?, sent_address = ?", other, other)
    front = Front(answers={ConfirmForeign: False})
    resources = RunResources(RunConfig(lab=True, ledger=str(ledger.file), options=Options(deadlines=FAST)))
    try:
        await resources.lab()
        resumables = LedgerResumables(resources)
        (offered,) = await resumables.offers()
        assert isinstance(offered, Resumable)
        with pytest.raises(InstallerError) as caught:
            await resumables.resume(front, offered).run()
    finally:
        await resources.close()
    assert caught.value.code is ErrorCode.REFERENCE_REFUSED
    assert installation in caught.value.what
    (asked,) = front.asked
    assert isinstance(asked, ConfirmForeign)
    assert any(other in line for line in asked.lines)
    assert world.device("body")["att_requests"] == 0


def test_to_install_again_asks_for_the_account_of_a_shared_record() -> None:
    link = {"account": "somebody", "notify": "https://stranger.example/{path}"}
    record = {"id": "x", "answers": {"find": {"model": "body"}, "link": link}}
    assert answers_of({**record, "shared": True}).link is None
    own = answers_of(record).link
    assert own is not None
    assert (own.account, own.notify) == ("somebody", None)


@pytest.mark.parametrize(
    ("unit", "resumes"),
    [
        ({"device": "00:24:E4:00:00:01"}, True),
        ({"device": "00:24:E4:00:00:02"}, False),
        ({"model": "body-plus"}, True),
        ({"model": "body"}, False),
    ],
)
@pytest.mark.parametrize("own", [True, False])
def test_the_plan_or_this_station_says_which_device_gets_the_passphrase(
    unit: dict[str, str], resumes: bool, own: bool
) -> None:
    row = RowState(Unit(name="1", key="k", row=1, **unit))  # type: ignore[arg-type]
    sent = {"sent_address": RECORD["address"], "sent_ssid": "Home"}
    row.continue_from(replace(RowRecord.of({**RECORD, **sent, "step": "provision"}), own_device=own))
    refused = not own and resumes and "model" in unit
    assert row.resumes is (resumes and not refused)
    assert row.bound_address == (RECORD["address"] if resumes and own and "model" in unit else None)
    assert (row.refusal is not None) is refused
    if row.refusal is not None:
        assert row.refusal.code is ErrorCode.REFERENCE_REFUSED
        assert str(RECORD["address"]) in row.refusal.what
        assert "--continue-from-ledger" in row.refusal.todo


def batch(ledger: SharedLedger, plan: Path, *more: str) -> int:
    return _main(
        ["batch", str(plan), "--lab", "--json", "--ledger", str(ledger.file), "--tries", "1", "--wait", "5"]
        + ["--allow-references", *more]
    )


@pytest.fixture
def plan_of_a_model(home: Path, tmp_path: Path) -> Path:
    saved = '[networks.home]\nssid = "Home"\nsecurity = "wpa2"\npassphrase = { env = "TEST_PASSPHRASE" }\n'
    (home / "config").mkdir(parents=True, exist_ok=True)
    (home / "config" / "networks.toml").write_text(saved)
    plan = tmp_path / "plan.csv"
    plan.write_text("model,sync,network,account\nbody-plus,wifi,home,later\n")
    return plan


@pytest.mark.parametrize("where", ["the same station", "another station"])
def test_a_ledger_does_not_say_which_device_gets_the_passphrase_of_a_row(
    world: LabWorld,
    ledger: SharedLedger,
    plan_of_a_model: Path,
    elsewhere: Callable[[], None],
    home: Path,
    capsys: pytest.CaptureFixture[str],
    where: str,
) -> None:
    world.faults("body-plus", {"network_vanishes": {"times": 1}})
    assert batch(ledger, plan_of_a_model) == ErrorCode.BATCH_INCOMPLETE.exit_status
    strange = world.address("body")
    names_another(ledger, strange)
    if where == "another station":
        elsewhere()
        settings.config_dir().mkdir(parents=True)
        (settings.config_dir() / "networks.toml").write_text((home / "config" / "networks.toml").read_text())
    capsys.readouterr()
    assert batch(ledger, plan_of_a_model) == ErrorCode.BATCH_INCOMPLETE.exit_status
    said = capsys.readouterr().out
    assert "reference_refused" in said
    assert strange in said
    assert "--continue-from-ledger" in said
    # Even if a person says so, a device of another model gets nothing.
    assert batch(ledger, plan_of_a_model, "--continue-from-ledger") == ErrorCode.BATCH_INCOMPLETE.exit_status
    assert "device_changed" in capsys.readouterr().out
    assert world.device("body")["credentials_received"] == 0


def test_the_row_of_another_station_is_continued_if_a_person_says_so(
    world: LabWorld, ledger: SharedLedger, plan_of_a_model: Path, elsewhere: Callable[[], None], home: Path
) -> None:
    world.faults("body-plus", {"network_vanishes": {"times": 1}})
    assert batch(ledger, plan_of_a_model) == ErrorCode.BATCH_INCOMPLETE.exit_status
    elsewhere()
    settings.config_dir().mkdir(parents=True)
    (settings.config_dir() / "networks.toml").write_text((home / "config" / "networks.toml").read_text())
    assert batch(ledger, plan_of_a_model) == ErrorCode.BATCH_INCOMPLETE.exit_status
    assert batch(ledger, plan_of_a_model, "--continue-from-ledger") == 0
    assert world.device("body-plus")["joined"] == "Home"


def test_the_same_station_continues_its_own_row(world: LabWorld, ledger: SharedLedger, plan_of_a_model: Path) -> None:
    world.faults("body-plus", {"network_vanishes": {"times": 1}})
    assert batch(ledger, plan_of_a_model) == ErrorCode.BATCH_INCOMPLETE.exit_status
    assert batch(ledger, plan_of_a_model) == 0
    assert world.device("body-plus")["joined"] == "Home"


def test_a_failure_in_a_shared_ledger_names_nothing_of_this_computer(
    world: LabWorld, ledger: SharedLedger, tmp_path: Path
) -> None:
    place = ["--lab", "--non-interactive", "--ledger", str(ledger.file), "--device", world.address("body-plus")]
    for secret in (("--passphrase-file", str(tmp_path / "clinic-wifi.txt")), ("--passphrase-env", "CLINIC_VARIABLE")):
        assert _main(["install", *place, "--sync", "wifi", "--ssid", "Home", *secret]) == 7
    with sqlite3.connect(ledger.file) as connection:
        said = {what for (what,) in connection.execute("SELECT what FROM failures")}
    assert said <= {shared.failure_for_ledger("secret_unavailable", "", private=False)}
    raw = b"".join(path.read_bytes() for path in ledger.file.parent.iterdir() if path.is_file())
    assert b"clinic-wifi" not in raw
    assert b"CLINIC_VARIABLE" not in raw


def test_the_wizard_keeps_on_screen_what_a_person_decides_by() -> None:
    state = InstallationState()
    state.apply(Notice(code="shared_ledger", text="places of secrets are not used"), 0.0)
    state.apply(StepStarted(step=StepKey.PROVISION, seconds=1.0), 1.0)
    assert state.notice == "places of secrets are not used"


def test_a_label_is_on_its_device_whatever_the_ledger_says(
    world: LabWorld, ledger: SharedLedger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = tmp_path / "answers.toml"
    address = world.address("move")
    answers.write_text(f'[find]\ndevice = "{address}"\n[sync]\nmethod = "bluetooth"\n[link]\nlater = true\n')
    place = ["--lab", "--non-interactive", "--ledger", str(ledger.file)]
    assert _main(["install", *place, "--answers", str(answers)]) == 0
    installation = ledger.row()["id"]
    ledger.sql("UPDATE installations SET address = ?", EVIL)
    capsys.readouterr()
    code = f"device-installer:link/{installation}?a={address.replace(':', '')}&m=move&s=bluetooth"
    assert _main(["link", code, *place]) == REFUSED
    said = capsys.readouterr().err
    assert address in said
    assert EVIL in said


@pytest.mark.parametrize(
    ("folder", "file", "private"),
    [(0o700, 0o600, True), (0o755, 0o644, True), (0o755, 0o664, False), (0o700, 0o606, False), (0o775, 0o600, False)],
)
def test_a_file_is_private_only_if_nobody_else_can_write_it(
    home: Path, tmp_path: Path, folder: int, file: int, private: bool
) -> None:
    path = home / "data" / "folder" / "ledger.sqlite"
    path.parent.mkdir(parents=True)
    path.touch()
    path.chmod(file)
    path.parent.chmod(folder)
    assert shared.is_private(Target(sqlite_url(path))) is private
    link = tmp_path / "link.sqlite"
    link.symlink_to(path)
    assert shared.is_private(Target(sqlite_url(link))) is private


@pytest.mark.parametrize("modes", [True, False])
def test_a_file_at_another_place_is_never_private(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, modes: bool
) -> None:
    """A file of a mail, a stick, or a share: owner and mode do not say who wrote it."""
    folder = tmp_path / "from-mail"
    folder.mkdir(mode=0o700)
    (home / "data").mkdir(parents=True, mode=0o700)
    (home / "data" / "out").symlink_to(folder)
    inside = home / "data" / "ledger.sqlite"
    monkeypatch.setattr(shared, "HAS_MODES", modes)
    assert not shared.is_private(Target(sqlite_url(folder / "ledger.sqlite")))
    assert not shared.is_private(Target(sqlite_url(home / "data" / "out" / "ledger.sqlite")))
    assert not shared.is_private(Target(sqlite_url(home / "data" / ".." / "ledger.sqlite")))
    assert shared.is_private(Target(sqlite_url(inside)))


def test_a_database_server_is_never_private() -> None:
    assert not shared.is_private(Target("postgresql://me@db.example/ledger"))


def test_no_notice_is_shown_for_an_own_ledger(world: LabWorld, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world.faults("body-plus", {"network_vanishes": {"times": 1}})
    options = ["--device", world.address("body-plus"), "--sync", "wifi", "--ssid", "Home", "--no-wait"]
    place = ["--lab", "--non-interactive"]
    assert _main(["install", *place, *options, "--passphrase-env", "TEST_PASSPHRASE"]) == 50
    capsys.readouterr()
    assert _main(["resume", *place, "--json"]) == 0
    assert "shared_ledger" not in {e.get("code") for e in lines(capsys.readouterr().out)}
    assert not (home / "data" / station_choices.FOLDER).exists()
