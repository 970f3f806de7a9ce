"""An answers file or a plan of somebody else names no secret of this computer without its user's leave."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from installer import answers as answers_file
from installer.answers import StepKey, validate
from installer.batch.station import Station
from installer.cli.main import _main
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import DeviceFound, Failed, Notice
from installer.flow import beside_answers
from installer.flow import foreign_references as foreign
from installer.flow.front_end import Cancelled, Recovery
from installer.flow.own_secrets import OwnSecrets
from installer.flow.questions import AcceptUnproved, AskPassphrase, ConfirmForeign, ConfirmSending
from installer.flow.run_options import RunConfig
from installer.flow.run_resources import RunResources
from installer.ledger.records import Records
from installer.storage.secret_references import SecretRef
from tests.flow.support import PASSPHRASE, Front, LabWorld, answers_for, install, lines

REFUSED = ErrorCode.REFERENCE_REFUSED.exit_status
SETTINGS = """
[cloud]
client_secret = { env = "CLINIC_CLIENT" }
[ledger]
password = { keyring = "ledger" }
[gateway]
webhook_key = { file = "~/hook.key" }
"""


def answers(folder: Path, reference: str, *, device: str = "00:24:E4:66:66:66", more: str = "") -> Path:
    """An answers file that somebody sent: it names a secret, and a device that gets it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "answers.toml"
    network = f'[network]\nssid = "Home"\nsecurity = "wpa2"\npassphrase = {reference}\n'
    file.write_text(f'[find]\ndevice = "{device}"\n[sync]\nmethod = "wifi"\n{network}{more}', "utf-8")
    return file


def run(file: Path, *options: str) -> int:
    return _main(["install", "--lab", "--non-interactive", "--answers", str(file), *options])


def scanned(world: LabWorld) -> bool:
    return any(device["att_requests"] for device in world.call("GET", "/lab/state")["devices"])


NEVER = (
    '{ env = "DEVICE_INSTALLER_CLIENT_SECRET" }',
    '{ env = "DEVICE_INSTALLER_LEDGER_PASSWORD" }',
    '{ env = "device_installer_anything" }',
    '{ env = "CLINIC_CLIENT" }',
    '{ env = "PGPASSWORD" }',
    '{ keyring = "ledger" }',
    '{ file = "~/hook.key" }',
    '{ file = "~/.pgpass" }',
    '{ file = "HOME/data/accounts/default.json" }',
    '{ file = "HOME/data/../data/lab-notifications-path" }',
    '{ file = "HOME/config/config.toml" }',
    '{ file = "HOME/state/x" }',
    '{ file = "HOME/runtime/lab.json" }',
    '{ file = "link" }',
    '{ file = "/proc/self/environ" }',
    '{ file = "/dev/zero" }',
    '{ file = "pipe" }',
)


@pytest.mark.parametrize("reference", NEVER)
def test_what_is_of_this_program_is_never_named(
    world: LabWorld,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    reference: str,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("CLINIC_CLIENT", "content-of-a-secret")
    monkeypatch.setenv("DEVICE_INSTALLER_CLIENT_SECRET", "content-of-a-secret")
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "hook.key").write_text("content-of-a-secret")
    for folder in ("config", "data/accounts"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    (home / "config" / "config.toml").write_text(SETTINGS)
    (home / "data" / "accounts" / "default.json").write_text("content-of-a-secret")
    file = answers(tmp_path / "mail", reference.replace("HOME", str(home)))
    (tmp_path / "mail" / "link").symlink_to(home / "data" / "accounts" / "default.json")
    os.mkfifo(tmp_path / "mail" / "pipe")
    assert run(file, "--allow-references") == REFUSED
    said = capsys.readouterr()
    assert "never allowed" in said.err
    assert "network.passphrase" in said.err
    assert "00:24:E4:66:66:66" in said.err
    assert "content-of-a-secret" not in said.err + said.out
    assert not scanned(world)


@pytest.mark.parametrize(
    ("reference", "way_out"),
    [
        ('{ env = "MY_OTHER_SECRET" }', "--passphrase-env MY_OTHER_SECRET"),
        ('{ keyring = "clinic" }', "--passphrase-keyring clinic"),
        ("{ host = true }", "--passphrase-host"),
        ('{ file = "-" }', "--passphrase-file -"),
        ('{ file = "~/wifi.txt" }', "--passphrase-file"),
        ('{ file = "../elsewhere.txt" }', "--passphrase-file"),
        ('{ file = "link-out.txt" }', "--passphrase-file"),
        ('{ file = ".hidden.txt" }', "--passphrase-file"),
        ('{ file = "below/pin.txt" }', "--passphrase-file"),
    ],
)
def test_other_secrets_of_this_computer_need_the_option(
    world: LabWorld,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    reference: str,
    way_out: str,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("MY_OTHER_SECRET", "content-of-a-secret")
    file = answers(tmp_path / "mail", reference)
    (tmp_path / "elsewhere.txt").write_text("content-of-a-secret")
    (tmp_path / "mail" / "link-out.txt").symlink_to(tmp_path / "elsewhere.txt")
    (tmp_path / "mail" / ".hidden.txt").write_text("content-of-a-secret")
    (tmp_path / "mail" / "below").mkdir()
    (tmp_path / "mail" / "below" / "pin.txt").write_text("content-of-a-secret")
    assert run(file) == REFUSED
    said = capsys.readouterr().err
    for words in (str(file), "network.passphrase", "the network “Home” on the device 00:24", way_out):
        assert words in said
    assert "--allow-references" in said
    assert "content-of-a-secret" not in said
    assert not scanned(world)


def test_all_refusals_come_in_one_list(world: LabWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = '[link]\nnotify = { env = "HOOK" }\n'
    file = answers(tmp_path, '{ env = "MY_OTHER_SECRET" }', more=more)
    file.write_text(file.read_text().replace("[sync]", 'proof = { env = "PGPASSWORD" }\n[sync]'))
    assert run(file, "--json") == REFUSED
    failed = next(e for e in lines(capsys.readouterr().out) if e["event"] == "failed")
    assert [(r["key"], r["never"]) for r in failed["data"]["references"]] == [
        ("find.proof", True),
        ("network.passphrase", False),
        ("link.notify", False),
    ]


async def test_a_file_beside_the_answers_came_with_them(world: LabWorld, tmp_path: Path) -> None:
    file = answers(tmp_path / "mail", '{ file = "wifi.txt" }', device=world.address("body-plus"))
    (tmp_path / "mail" / "wifi.txt").write_text(PASSPHRASE)
    ended, front = await install(answers_file.load(file))
    assert ended.outcome == "installed", front.text()
    assert world.device("body-plus")["joined"] == "Home"


@pytest.mark.parametrize("folder", [".", "..", "Downloads", "Desktop", "Documents", "Empfangen", "open-to-all"])
def test_a_folder_in_which_many_things_land_is_not_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    user = tmp_path / "homes" / "user"
    (user / ".config").mkdir(parents=True)
    (user / ".config" / "user-dirs.dirs").write_text('# folders\nXDG_DOWNLOAD_DIR="$HOME/Empfangen"\n')
    file = answers(user / folder, '{ file = "notes.txt" }')
    (user / folder / "notes.txt").write_text("content-of-a-secret")
    if folder == "open-to-all":
        (user / folder).chmod(0o777)
    monkeypatch.setenv("HOME", str(user))
    (use,) = foreign.uses_of(answers_file.load(file))
    refused = foreign.judge(use, OwnSecrets(), allowed=False)
    assert refused is not None
    assert not refused.never
    assert foreign.judge(use, OwnSecrets(), allowed=True) is None


def test_what_another_user_owns_did_not_come_with_the_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = answers(tmp_path / "mail", '{ file = "wifi.txt" }')
    (tmp_path / "mail" / "wifi.txt").write_text("content-of-a-secret")
    (use,) = foreign.uses_of(answers_file.load(file))
    assert foreign.judge(use, OwnSecrets(), allowed=False) is None
    monkeypatch.setattr(beside_answers, "_is_ours", lambda status: False)
    assert foreign.judge(use, OwnSecrets(), allowed=False) is not None


async def test_with_the_option_source_and_target_are_named_before_anything_is_sought(
    world: LabWorld, tmp_path: Path
) -> None:
    address = world.address("body-plus")
    file = answers(tmp_path, '{ env = "TEST_PASSPHRASE" }', device=address)
    ended, front = await install(answers_file.load(file), allow_references=True)
    assert ended.outcome == "installed", front.text()
    kinds = [type(e) for e in front.events]
    (said,) = [e for e in front.of(Notice) if e.code == "reference"]
    assert front.events.index(said) < kinds.index(DeviceFound)
    for words in ("the variable TEST_PASSPHRASE", str(file), "network.passphrase", "“Home”", address):
        assert words in said.text


@pytest.mark.parametrize("agrees", [False, True])
async def test_a_person_is_asked_and_no_means_that_the_passphrase_is_typed(
    world: LabWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agrees: bool
) -> None:
    monkeypatch.setenv("TEST_PASSPHRASE", PASSPHRASE if agrees else "content-of-a-secret")
    file = answers(tmp_path, '{ env = "TEST_PASSPHRASE" }', device=world.address("body-plus"))
    typed = {AskPassphrase: SecretStr(PASSPHRASE), ConfirmSending: Cancelled()}
    _, front = await install(
        answers_file.load(file), Front(answers={ConfirmForeign: agrees, **typed}), non_interactive=False
    )
    asked = front.asked[0]
    assert isinstance(asked, ConfirmForeign)
    assert any("TEST_PASSPHRASE" in line for line in asked.lines)
    assert [type(q) for q in front.asked[1:]] == ([ConfirmSending] if agrees else [AskPassphrase, ConfirmSending])


async def test_no_to_a_proof_does_not_lower_what_the_device_must_show(world: LabWorld, tmp_path: Path) -> None:
    """A twin that asks for no proof: whoever does not let a file name the proof still wants one."""
    proof = 'proof = { env = "TEST_PROOF" }\n[sync]'
    file = answers(tmp_path, '{ file = "wifi.txt" }', device=world.address("body-plus"))
    file.write_text(file.read_text().replace("[sync]", proof))
    (tmp_path / "wifi.txt").write_text(PASSPHRASE)
    front = Front(answers={ConfirmForeign: False, AcceptUnproved: False}, recoveries=[Recovery.STOP])
    ended, _ = await install(answers_file.load(file), front, non_interactive=False)
    assert [type(question) for question in front.asked[:2]] == [ConfirmForeign, AcceptUnproved]
    assert ended.error is not None
    assert ended.error.code is ErrorCode.SECURITY_TOO_LOW
    assert not world.device("body-plus")["credentials_received"]


async def test_nobody_is_asked_about_one_secret_if_another_one_is_refused_for_good(
    world: LabWorld, tmp_path: Path
) -> None:
    file = answers(tmp_path, '{ env = "PGPASSWORD" }', device=world.address("body-plus"))
    file.write_text(file.read_text().replace("[sync]", 'proof = { env = "TEST_PROOF" }\n[sync]'))
    ended, front = await install(answers_file.load(file), non_interactive=False)
    assert ended.error is not None
    assert ended.error.code is ErrorCode.REFERENCE_REFUSED
    assert front.asked == []
    (failed,) = front.of(Failed)
    assert failed.step is StepKey.NETWORK


async def test_what_was_refused_is_not_in_the_record_that_is_resumed(
    world: LabWorld, home: Path, tmp_path: Path
) -> None:
    file = answers(tmp_path, '{ env = "TEST_PASSPHRASE" }', device=world.address("body-plus"))
    ended, _ = await install(answers_file.load(file))
    assert ended.error is not None
    assert ended.error.code is ErrorCode.REFERENCE_REFUSED
    records = Records(home / "data" / "lab-ledger.sqlite")
    (record,) = records.all()
    records.close()
    assert "passphrase" not in record["answers"]["network"]


def test_a_reference_without_an_origin_is_never_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who makes a reference of data and forgets to say whose data it is gets nothing."""
    monkeypatch.setenv("SOME", "content-of-a-secret")
    found = validate({"network": {"ssid": "Home", "passphrase": {"env": "SOME"}}}, "data")
    assert found.network is not None
    assert found.network.passphrase is not None
    for reference in (found.network.passphrase, SecretRef(env="SOME")):
        with pytest.raises(InstallerError) as caught:
            reference.fetch()
        assert caught.value.code is ErrorCode.REFERENCE_REFUSED


def test_the_command_line_names_what_it_likes(world: LabWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--device", world.address("body-plus"), "--sync", "wifi", "--ssid", "Home", "--no-wait"]
    status = _main(["install", "--lab", "--non-interactive", *arguments, "--passphrase-env", "TEST_PASSPHRASE"])
    assert status == 0
    assert world.device("body-plus")["joined"] == "Home"


# Plans.


def plan(folder: Path, proof: str, device: str) -> Path:
    file = folder / "plan.csv"
    file.write_text(f"device,model,sync,proof\n{device},bpm-connect,wifi,{proof}\n", "utf-8")
    return file


@pytest.mark.parametrize(
    ("proof", "options", "status"),
    [
        ("env:TEST_PROOF", (), REFUSED),
        ("env:TEST_PROOF", ("--allow-references",), 0),
        ("env:DEVICE_INSTALLER_CLIENT_SECRET", ("--allow-references",), REFUSED),
        ("keyring:home", (), REFUSED),
        ("file:../proof.txt", (), REFUSED),
        ("file:proof.txt", (), 0),
    ],
)
def test_a_plan_names_proofs_and_who_gets_what_is_said(
    world: LabWorld,
    saved: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    proof: str,
    options: tuple[str, ...],
    status: int,
) -> None:
    (tmp_path / "proof.txt").write_text("abcd1234")
    address = world.address("bpm-connect")
    file = plan(tmp_path, proof, address)
    found = _main(["batch", str(file), "--lab", "--dry-run", "--json", "--network", "home", *options])
    said = capsys.readouterr()
    assert found == status, said
    if status:
        assert "proof" in said.err
        assert "line 2" in said.err
        assert address in said.err
        return
    texts = [e["text"] for e in lines(said.out) if e.get("code") == "secrets"]
    assert any("“Home”" in text and address in text for text in texts), texts
    assert any("proof of possession" in text and "plan.csv" in text and address in text for text in texts), texts


# Whoever writes a plan also writes which device gets the passphrase of a network that is saved here.
PLANS = {
    "network": "device,model,sync,network,account\n{},body-plus,wifi,home,later\n",
    "ssid": "device,model,sync,ssid,account\n{},body-plus,wifi,Home,later\n",
    "any": "model,count,sync,network,account\nbody-plus,1,wifi,home,later\n",
    "toml": '[defaults]\nsync = "wifi"\nnetwork = "home"\naccount = "later"\n[[row]]\ndevice = "{}"\n',
    "none": "device,model,sync,account\n{},body-plus,wifi,later\n",
}


def sending_plan(folder: Path, kind: str, address: str) -> Path:
    file = folder / ("plan.toml" if kind == "toml" else "plan.csv")
    file.write_text(PLANS[kind].format(address), "utf-8")
    return file


@pytest.mark.parametrize(
    ("kind", "options", "status"),
    [
        ("network", (), REFUSED),
        ("network", ("--dry-run",), REFUSED),
        ("network", ("--json",), REFUSED),
        ("network", ("--network", "home"), REFUSED),
        ("network", ("--passphrase-env", "TEST_PASSPHRASE"), REFUSED),
        ("ssid", ("--passphrase-env", "TEST_PASSPHRASE"), REFUSED),
        ("any", (), REFUSED),
        ("toml", (), REFUSED),
        ("network", ("--allow-references",), 0),
        ("none", ("--network", "home"), 0),
        ("toml", ("--network", "home"), 0),
    ],
)
def test_a_plan_sends_a_saved_passphrase_only_with_leave(
    world: LabWorld,
    saved: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    options: tuple[str, ...],
    status: int,
) -> None:
    address = world.address("body-plus")
    file = sending_plan(tmp_path, kind, address)
    found = _main(["batch", str(file), "--lab", "--tries", "1", "--wait", "5", *options])
    said = capsys.readouterr()
    assert found == status, said
    assert world.device("body-plus")["joined"] == (None if status else "Home")
    assert PASSPHRASE not in said.out + said.err
    if status:
        assert not scanned(world)
        for words in (str(file), "“Home”", "any body-plus" if kind == "any" else address, "--allow-references"):
            assert words in said.err


def test_a_passphrase_of_the_command_line_goes_where_its_user_says(
    world: LabWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = sending_plan(tmp_path, "ssid", world.address("body-plus"))
    options = ["--tries", "1", "--wait", "5", "--passphrase-env", "TEST_PASSPHRASE"]
    assert _main(["batch", str(file), "--lab", *options]) == 0, capsys.readouterr()
    assert world.device("body-plus")["joined"] == "Home"


@pytest.mark.parametrize("agrees", [False, True])
async def test_a_person_is_asked_once_for_the_whole_plan(
    world: LabWorld, saved: None, tmp_path: Path, agrees: bool
) -> None:
    addresses = [f"00:24:E4:00:10:{number:02X}" for number in range(20)]
    file = tmp_path / "plan.csv"
    rows = [f"{address},body-plus,wifi,home,later," for address in addresses]
    rows.append(f"{world.address('bpm-connect')},bpm-connect,wifi,home,later,env:TEST_PROOF")
    file.write_text("\n".join(("device,model,sync,network,account,proof", *rows)), "utf-8")
    asked: list[ConfirmForeign] = []

    async def ask(question: ConfirmForeign) -> bool:
        asked.append(question)
        return agrees

    station = Station(RunConfig(lab=True))
    try:
        if agrees:
            plan = await station.check(file, {}, ask=ask)
            assert plan.units[-1].proof is not None
            assert plan.units[-1].proof.may_be_used
        else:
            with pytest.raises(InstallerError) as caught:
                await station.check(file, {}, ask=ask)
            assert caught.value.code is ErrorCode.INTERRUPTED
    finally:
        await station.close()
    (question,) = asked
    assert "plan.csv" in question.title
    network, proof = question.lines
    for words in ("“Home”", "21 devices", addresses[0], "9 more"):
        assert words in network
    for words in ("proof of possession", "TEST_PROOF", world.address("bpm-connect")):
        assert words in proof


class Terminal(io.StringIO):
    """A person who types this."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "options", "status"),
    [
        ("y\n", (), 0),
        ("\n", (), ErrorCode.INTERRUPTED.exit_status),
        ("", (), ErrorCode.INTERRUPTED.exit_status),
        ("y\n", ("--non-interactive",), REFUSED),
        ("y\n", ("--json",), REFUSED),
        ("", ("--dry-run",), 0),
    ],
)
def test_without_a_yes_at_the_terminal_nothing_is_sent(
    world: LabWorld,
    saved: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    typed: str,
    options: tuple[str, ...],
    status: int,
) -> None:
    address = world.address("body-plus")
    file = sending_plan(tmp_path, "network", address)
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    assert _main(["batch", str(file), "--lab", "--tries", "1", "--wait", "5", *options]) == status
    said = capsys.readouterr().err
    assert "“Home”" in said
    assert address in said
    assert world.device("body-plus")["joined"] == ("Home" if typed and not status else None)
    assert scanned(world) is (status == 0 and not options)


async def test_saved_networks_and_settings_stay_usable(world: LabWorld, saved: None, home: Path) -> None:
    from installer.answers import NetworkAnswer
    from installer.wifi import saved_networks

    given = answers_for(world, "body-plus", "wifi")
    network = NetworkAnswer.from_saved(saved_networks.find("home"))
    ended, front = await install(given.with_answer(StepKey.NETWORK, network))
    assert ended.outcome == "installed", front.text()
    resources: Any = RunResources(RunConfig())
    assert resources.settings.cloud.client_secret.may_be_used


async def test_a_file_cannot_consent_in_the_place_of_the_person(world: LabWorld, tmp_path: Path) -> None:
    """The person at the wizard types the passphrase, is told which device gets it and who chose it, and may say no."""
    file = tmp_path / "mail.toml"
    address = world.address("body-plus")
    file.write_text(
        f'[find]\ndevice = "{address}"\n[sync]\nmethod = "wifi"\n[network]\nssid = "Home"\nsecurity = "wpa2"\n'
        "[provision]\nsend = true\nrequire_encryption = false\n[link]\nlater = true\n",
        "utf-8",
    )
    front = Front(answers={AskPassphrase: SecretStr(PASSPHRASE), ConfirmSending: Cancelled()})
    ended, front = await install(answers_file.load(file), front, non_interactive=False)
    assert [type(q) for q in front.asked] == [AskPassphrase, ConfirmSending]
    assert ended.outcome == "cancelled"
    assert world.device("body-plus")["credentials_received"] == 0
    for question in front.asked:
        assert isinstance(question, AskPassphrase | ConfirmSending)
        assert question.device is not None
        assert question.device.text.startswith(address)
        assert question.device.chosen_by == f"the answers file {file}"
