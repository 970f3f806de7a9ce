"""A proof that was given, and the security that a label states, are a minimum: no device gets the passphrase below it.

The hostile devices are units of one lab. Each way in (flag, answers file, code, pasted code, typed proof, plan, resume)
meets each way out (no encryption, no proof, a lower scheme, a twin with another protocol, another device after a drop).
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from installer.answers import (
    Answers,
    FindAnswer,
    NetworkAnswer,
    ProvisionAnswer,
    StepKey,
    SyncAnswer,
    load,
    to_toml,
    validate,
)
from installer.batch.plan_check import PlanResources, check
from installer.batch.plan_reader import read
from installer.catalogue.model import SyncMethod
from installer.cli.answers_from_options import merge
from installer.cli.main import _main
from installer.cli.options import Flags
from installer.cli.prompts import prompt
from installer.errors import ErrorCode
from installer.events.installation import DeviceConnected, Failed, InstallationDone, Notice, Provisioning
from installer.flow import lab_process
from installer.flow.front_end import Recovery
from installer.flow.questions import (
    AcceptUnproved,
    AskProof,
    ChooseDevice,
    ChooseNetwork,
    ChooseSync,
    ConfirmDevice,
    ConfirmSending,
)
from installer.flow.resume import EarlierAttempt, options_for
from installer.flow.run_options import Options, RunConfig
from installer.flow.run_resources import RunResources
from installer.flow.steps.device_trust import seen_in, stated_in
from installer.ledger.text_table import record_fields
from installer.provisioning.provisioner import ConnectionSecurity, prove, security_of
from installer.provisioning.registry import load_catalogue
from installer.provisioning.required_security import RequiredSecurity, SeenDevice
from installer.qr.device_setup_code import DevicePayload
from installer.storage.reference_origin import COMMAND_LINE
from screens.open_wizard import ResumedInstallation
from tests.flow.conftest import home
from tests.flow.support import FAST, PASSPHRASE, PROOF, Front, LabWorld, install, lines, use
from tests.installer.lab.lab_process import LabProcess

__all__ = ["home"]

WORLD = """
version = 1
name = "hostile"
[radio]
advertising_interval = 0.02
supervision_timeout = 0.05
[timing]
join = 0.05
scan = 0.02
[[network]]
ssid = "Home"
passphrase = "correct horse battery staple"
"""
UNIT = """
[[device]]
model = "generic"
name = "{name}"
address = "{address}"
{settings}
"""
PROVED = 'security = 1, proof = "abcd1234"'
DROP = 'drop = { on = "scan-start" }'
# The devices by what they are. Those after `drop` lose the link of their first connection while they scan.
UNITS = {
    "honest": f"espressif = {{ {PROVED} }}",
    "recordable": 'espressif = { security = 2, patch = 0, proof = "abcd1234" }',
    "password": 'espressif = { security = 2, proof = "abcd1234" }',
    "clear": "espressif = { security = 0 }",
    "no proof": 'espressif = { security = 1, proof = "" }',
    "twin": "",
    "drop": f"espressif = {{ {PROVED}, faults = {{ {DROP} }} }}",
    "drop, clear": f"espressif = {{ security = 0, faults = {{ {DROP} }} }}",
    "drop, then clear": f"espressif = {{ {PROVED}, faults = {{ {DROP}, pretender = {{ times = 0 }} }} }}",
    "drop, then no proof": f"espressif = {{ {PROVED}, faults = {{ {DROP}, "
    "pretender = { security = 1, times = 0 } } }",
    "drop, then lower": 'espressif = { security = 2, proof = "abcd1234", faults = { drop = { on = "scan-start" }, '
    'pretender = { security = 1, proof = "abcd1234", times = 0 } } }',
    "drop, then another": f"espressif = {{ {PROVED}, faults = {{ {DROP} }} }}\nfaults = {{ serial = {{ times = 0 }} }}",
    "drop, then unreadable": f"espressif = {{ {PROVED}, faults = {{ {DROP} }} }}\n"
    'faults = { serial = { kind = "unreadable", times = 0 } }',
}
ADDRESSES = {unit: f"7C:DF:A1:00:01:{number:02X}" for number, unit in enumerate(UNITS)}
NAMES = {unit: f"PROV_{number:06X}" for number, unit in enumerate(UNITS)}
NAMES["twin"] = NAMES["honest"]
NETWORK = {"ssid": "Home", "passphrase": {"env": "TEST_PASSPHRASE"}}
CODES = (ErrorCode.SECURITY_TOO_LOW, ErrorCode.DEVICE_CHANGED)


def label(unit: str, security: int | None = None, pop: str | None = PROOF) -> str:
    """The text of the code on the label of this unit."""
    stated = {"security": security, "pop": pop}
    kept = {key: value for key, value in stated.items() if value is not None}
    return json.dumps({"ver": "v1", "name": NAMES[unit], "transport": "ble", **kept})


@pytest.fixture(scope="module")
def _hostile_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    units = "".join(UNIT.format(name=NAMES[u], address=ADDRESSES[u], settings=s) for u, s in UNITS.items())
    with LabProcess(tmp_path_factory.mktemp("hostile-lab"), WORLD + units) as lab:
        yield lab


@pytest.fixture
def hostile(_hostile_lab: LabProcess, home: Path) -> LabWorld:
    """The lab of hostile devices, as new."""
    _hostile_lab.call_now("POST", "/lab/reset")
    state = lab_process.read_state(_hostile_lab.state_file)
    assert state is not None
    use(LabWorld(state), _hostile_lab.state_file)
    return LabWorld(state)


def unit_state(world: LabWorld, unit: str) -> dict[str, Any]:
    devices = world.call("GET", "/lab/state")["devices"]
    return next(d for d in devices if d["address"] == ADDRESSES[unit])


def got_nothing(world: LabWorld, unit: str) -> bool:
    state = unit_state(world, unit)
    return (state["credentials_received"], state["wifi_commands"], state["joined"]) == (0, 0, None)


def answers(unit: str, find: dict[str, Any] | FindAnswer | None = None, **more: Any) -> Answers:
    """Answers for this unit; `find`: more about the device."""
    given = {} if find is None else find if isinstance(find, dict) else find.model_dump(exclude_none=True)
    found = validate({"find": {"device": ADDRESSES[unit], **given}, "network": NETWORK, **more}, "test", COMMAND_LINE)
    if isinstance(find, FindAnswer) and found.find is not None:
        found = found.with_answer(StepKey.FIND, found.find.model_copy(update={"secret": find.secret}))
    return found


async def refused(
    world: LabWorld, unit: str, given: Answers, code: ErrorCode, front: Front | None = None, **options: Any
) -> Front:
    """Run an installation that is refused for this reason, before the device got anything."""
    ended, front = await install(given, front, **options)
    assert ended.error is not None, front.text()
    assert ended.error.code is code, f"{ended.error!r}\n{front.text()}"
    assert got_nothing(world, unit)
    assert not front.of(Provisioning)
    assert "Nothing was sent" in str(ended.error)
    for secret in (PASSPHRASE, PROOF):
        assert secret not in front.text()
    return front


async def installed(given: Answers, front: Front | None = None, **options: Any) -> Front:
    ended, front = await install(given, front, **options)
    assert ended.outcome == "installed", f"{ended.error!r}\n{front.text()}"
    return front


def last_record() -> dict[str, Any]:
    with contextlib.closing(RunResources(RunConfig(lab=True)).records()) as records:
        return records.all()[-1]


# The rule. `C`: what a connection offers.

C = ConnectionSecurity
CLEAR, NO_POP, WANTS, PROVES = C(scheme=0), C(True, scheme=1), C(True, True, scheme=1), C(True, True, True, 1)
SAFE = C(True, True, True, 2, authenticated=True)
RECORDABLE = C(True, True, True, 2, recordable=True)
SRP, IMPROV, FOREIGN = C(True, True, True, 2), C(), C(encrypted=True)


@pytest.mark.parametrize(
    ("required", "met"),
    [
        (RequiredSecurity(), {CLEAR, NO_POP, WANTS, PROVES, SRP, IMPROV, FOREIGN}),
        (RequiredSecurity(proof=True), {PROVES, SRP}),
        (RequiredSecurity(scheme=1), {NO_POP, WANTS, PROVES, SRP}),
        (RequiredSecurity(scheme=2), {SRP}),
        (RequiredSecurity(proof=True, scheme=2), {SRP}),
        # Whether a connection is encrypted at all is another check.
        (RequiredSecurity(encryption=True), {CLEAR, PROVES, SRP, IMPROV}),
    ],
)
def test_what_a_minimum_accepts(required: RequiredSecurity, met: set[ConnectionSecurity]) -> None:
    offers = (CLEAR, NO_POP, WANTS, PROVES, SRP, IMPROV, FOREIGN)
    assert {o for o in offers if not required.unmet(o, can_prove=True)} == met
    early = {o for o in offers if not required.unmet(o, can_prove=True, before_handshake=True)}
    # Before the handshake, only a device that asks for the proof may still show it.
    assert early - met <= {WANTS}
    assert met <= early


def test_a_protocol_without_proofs_needs_none_for_required_encryption() -> None:
    assert not RequiredSecurity(encryption=True).unmet(FOREIGN, can_prove=False)
    assert RequiredSecurity(proof=True).unmet(FOREIGN, can_prove=False)


def test_nothing_makes_a_minimum_lower() -> None:
    parts = [RequiredSecurity(p, s, e) for p, s, e in itertools.product((False, True), (0, 1, 2), (False, True))]
    for one, other in itertools.product(parts, parts):
        both = one | other
        assert both | one == both | other == both
        for offer in (CLEAR, NO_POP, WANTS, PROVES, SRP, IMPROV):
            if one.unmet(offer, can_prove=True) or other.unmet(offer, can_prove=True):
                assert both.unmet(offer, can_prove=True)


@pytest.mark.parametrize(
    ("before", "now", "differs"),
    [
        (SeenDevice("espressif", WANTS, "A"), SeenDevice("espressif", WANTS, "A"), False),
        (SeenDevice("espressif", WANTS), SeenDevice("espressif", SRP), False),
        (SeenDevice("espressif", NO_POP), SeenDevice("espressif", WANTS), False),
        (SeenDevice("espressif", PROVES), SeenDevice("espressif", WANTS), False),  # not proved again yet
        (SeenDevice("espressif", WANTS), SeenDevice("espressif", CLEAR), True),
        (SeenDevice("espressif", WANTS), SeenDevice("espressif", NO_POP), True),
        (SeenDevice("espressif", SRP), SeenDevice("espressif", WANTS), True),
        (SeenDevice("espressif", WANTS), SeenDevice("improv", IMPROV), True),
        (SeenDevice("improv", IMPROV, "A"), SeenDevice("improv", IMPROV, "B"), True),
        # What was not known before is no difference.
        (SeenDevice("improv", IMPROV), SeenDevice("improv", IMPROV, "B"), False),
        # A serial number that can no longer be read: only a device that proves itself is still the same.
        (SeenDevice("improv", IMPROV, "A"), SeenDevice("improv", IMPROV), True),
        (SeenDevice("espressif", NO_POP, "A"), SeenDevice("espressif", NO_POP), True),
        (SeenDevice("espressif", WANTS, "A"), SeenDevice("espressif", WANTS), False),
        # Messages that were authenticated must stay so.
        (SeenDevice("espressif", SAFE), SeenDevice("espressif", RECORDABLE), True),
        (SeenDevice("espressif", None, "A"), SeenDevice("espressif", CLEAR, "A"), False),
        (SeenDevice(), SeenDevice("improv", IMPROV, "A"), False),
    ],
)
def test_what_counts_as_another_device(before: SeenDevice, now: SeenDevice, differs: bool) -> None:
    assert bool(before.difference(now)) is differs
    # What was seen once is expected from then on, also after a connection that showed more.
    shows_more = now.security != before.security or now.serial != before.serial
    assert before.raised_by(now).difference(before) == "" or shows_more
    assert bool(before.raised_by(SeenDevice()).difference(now)) is differs


@pytest.mark.parametrize(
    "result",
    [{}, {"protocol": 5, "serial": [], "encrypted": 1, "security": "1"}, {"encrypted": True, "security": True}],
)
def test_a_record_that_says_nothing_usable_says_nothing(result: dict[str, Any]) -> None:
    found = seen_in(result)
    assert (found.protocol, found.serial) == ("", "")
    assert found.security is None or found.security.scheme is None


async def test_a_driver_that_does_not_say_has_proved_nothing() -> None:
    class Foreign:
        encrypts_credentials = True
        security = "very high"

    driver: Any = Foreign()
    await prove(driver)
    assert security_of(driver) == ConnectionSecurity(encrypted=True)


@pytest.mark.parametrize(
    ("offer", "listeners", "relays"),
    [
        (CLEAR, False, False),
        (IMPROV, False, False),
        (NO_POP, True, False),
        (PROVES, True, False),
        (RECORDABLE, False, False),
        (SAFE, True, True),
        (FOREIGN, True, False),
    ],
)
def test_only_security_2_of_new_firmware_is_safe_from_a_relay(
    offer: ConnectionSecurity, listeners: bool, relays: bool
) -> None:
    assert (offer.safe_from_listeners, offer.safe_from_relays) == (listeners, relays)


# The ways in: each states the minimum.


def by_flag(folder: Path, unit: str, security: int | None) -> Answers:
    return merge(
        None, Flags(device=ADDRESSES[unit], proof_env="TEST_PROOF", ssid="Home", passphrase_env="TEST_PASSPHRASE")
    )


def by_file(folder: Path, unit: str, security: int | None) -> Answers:
    file = folder / "answers.toml"
    file.write_text(to_toml(answers(unit, {"proof": {"env": "TEST_PROOF"}, "security": security})), "utf-8")
    return merge(load(file), Flags())


def by_code(folder: Path, unit: str, security: int | None) -> Answers:
    (folder / "code").write_text(label(unit, security), "utf-8")
    return merge(None, Flags(qr=f"@{folder / 'code'}", ssid="Home", passphrase_env="TEST_PASSPHRASE"))


def by_plan(folder: Path, unit: str, security: int | None) -> Answers:
    plan = folder / "plan.csv"
    stated = "" if security is None else security
    plan.write_text(f"device,ssid,proof,security\n{ADDRESSES[unit]},Home,env:TEST_PROOF,{stated}\n", "utf-8")
    passphrase = validate({"network": NETWORK}, "test", COMMAND_LINE).network
    assert passphrase is not None
    resources = PlanResources(load_catalogue(), {}, passphrase=passphrase.passphrase)
    (row,) = check(read(plan), resources).units
    return row.answers(ADDRESSES[unit], None, verify=None)


def by_file_for_another_device(folder: Path, unit: str, security: int | None) -> Answers:
    """A device on the command line does not take the minimum of the file away."""
    file = folder / "answers.toml"
    file.write_text(to_toml(answers("honest", {"proof": {"env": "TEST_PROOF"}, "security": security})), "utf-8")
    return merge(load(file), Flags(device=ADDRESSES[unit]))


def by_saved_code(folder: Path, unit: str, security: int | None) -> Answers:
    """Answers that were saved after a code was pasted: they have no proof, and ask for it all the same."""
    file = folder / "saved.toml"
    file.write_text(to_toml(by_code(folder, unit, security)), "utf-8")
    return load(file)


WAYS = [by_flag, by_file, by_code, by_plan, by_file_for_another_device, by_saved_code]
Way = Callable[[Path, str, int | None], Answers]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("security", [None, 2])
def test_every_way_in_states_the_minimum(home: Path, tmp_path: Path, way: Way, security: int | None) -> None:
    found = way(tmp_path, "honest", security)
    assert found.find is not None
    scheme = 0 if way is by_flag else security or 0
    assert stated_in(found.find) == RequiredSecurity(proof=True, scheme=scheme)
    # The record of it states the same, and has no proof that was typed.
    kept = found.to_keep().model_dump(mode="json", exclude_none=True)
    earlier = EarlierAttempt.of({"id": "1", "outcome": "failed", "address": ADDRESSES["honest"], "answers": kept})
    assert earlier.answers.find is not None
    assert stated_in(earlier.answers.find) == RequiredSecurity(proof=True, scheme=scheme)
    assert PROOF not in str(kept)


@pytest.mark.parametrize(
    ("security", "pop", "required"),
    [
        (1, "", RequiredSecurity(scheme=1)),
        (None, "", RequiredSecurity()),
        (0, None, RequiredSecurity()),
        (0, PROOF, RequiredSecurity(proof=True)),
        (2, None, RequiredSecurity(scheme=2)),
    ],
)
def test_what_a_label_states(tmp_path: Path, security: int | None, pop: str | None, required: RequiredSecurity) -> None:
    (tmp_path / "code").write_text(label("honest", security, pop), "utf-8")
    found = merge(None, Flags(qr=f"@{tmp_path / 'code'}"))
    assert found.find is not None
    assert stated_in(found.find) == required


@pytest.mark.parametrize("value", ["3", "wpa2", "-1", "true"])
def test_a_plan_says_what_security_may_be(tmp_path: Path, value: str) -> None:
    plan = tmp_path / "plan.csv"
    plan.write_text(f"device,security\n{ADDRESSES['honest']},{value}\n", "utf-8")
    raw = read(plan)
    with pytest.raises(Exception, match="mistake") as caught:
        check(raw, PlanResources(load_catalogue(), {}))
    assert any("as its label states it" in m["what"] for m in caught.value.data["mistakes"])  # type: ignore[attr-defined]


# The ways out: none of these devices gets the passphrase.


@pytest.mark.parametrize("way", WAYS)
async def test_no_way_in_sends_to_a_device_without_encryption(hostile: LabWorld, tmp_path: Path, way: Way) -> None:
    front = await refused(
        hostile, "clear", way(tmp_path, "clear", None), ErrorCode.SECURITY_TOO_LOW, allow_references=True
    )
    error = front.of(Failed)[-1]
    assert (error.exit_status, error.step) == (33, StepKey.FIND)  # before a network is looked for
    assert "a proof of possession was given, and the device offers security 0" in error.what
    assert "--allow-unproved" in error.todo


@pytest.mark.parametrize(
    ("unit", "find"),
    [
        ("no proof", {"proof": {"env": "TEST_PROOF"}}),
        ("twin", {"proof": {"env": "TEST_PROOF"}}),
        ("twin", {"security": 1}),
        ("clear", {"security": 1}),
        ("honest", {"security": 2, "proof": {"env": "TEST_PROOF"}}),
    ],
)
async def test_a_device_below_the_minimum(hostile: LabWorld, unit: str, find: dict[str, Any]) -> None:
    await refused(hostile, unit, answers(unit, find), ErrorCode.SECURITY_TOO_LOW)


@pytest.mark.parametrize(
    ("unit", "find"),
    [
        ("honest", {"proof": {"env": "TEST_PROOF"}, "security": 1}),
        ("password", {"proof": {"env": "TEST_PROOF"}, "security": 1}),
        ("no proof", {"security": 1}),
        ("clear", {}),
    ],
)
async def test_a_device_that_meets_it_is_installed_and_the_record_says_how(
    hostile: LabWorld, unit: str, find: dict[str, Any]
) -> None:
    front = await installed(answers(unit, find))
    (connected,) = front.of(DeviceConnected)
    results = {step["step"]: step["result"] for step in last_record()["steps"]}
    known = (results["find"]["protocol"], results["find"]["security"], results["find"]["serial"])
    assert known == ("espressif", connected.security, ADDRESSES[unit].replace(":", ""))
    assert results["provision"]["proved"] is bool(find.get("proof"))
    assert results["find"]["wants_proof"] is connected.wants_proof
    told = dict(record_fields(last_record()))["Protocol"]
    proved = "proved itself" if find.get("proof") else "did not prove itself"
    assert told == f"espressif, security {connected.security}, the device {proved}"


@pytest.mark.parametrize(
    "unit",
    ["drop, then clear", "drop, then no proof", "drop, then lower", "drop, then another"],
)
async def test_another_device_after_a_drop(hostile: LabWorld, unit: str) -> None:
    """Refused in the same run, also where nobody gave a minimum; and in a resumed one."""
    secret = {AskProof: SecretStr(PROOF)}
    network = NetworkAnswer(ssid="Home", secret=SecretStr(PASSPHRASE))
    front = Front(answers={ChooseNetwork: network, **secret}, recoveries=[Recovery.RETRY, Recovery.STOP])
    ask = frozenset({StepKey.NETWORK, StepKey.FIND})
    front.answers |= {ChooseDevice: FindAnswer(device=ADDRESSES[unit]), ConfirmDevice: True}
    await refused(hostile, unit, answers(unit), ErrorCode.DEVICE_CHANGED, front, ask=ask)
    lost, changed = front.failures
    assert (lost.error.code, changed.error.code) == (ErrorCode.CONNECTION_LOST, ErrorCode.DEVICE_CHANGED)
    assert "start a new installation" in changed.error.todo
    record = last_record()
    status, events = await asyncio.to_thread(resumed, record["id"], "--proof-env", "TEST_PROOF")
    assert (status, events[-1]["event"]) == (29, "installation_done")
    assert got_nothing(hostile, unit)
    # A person may start anew: a new installation knows nothing of it.
    if unit == "drop, then another":
        await installed(answers(unit, {"proof": {"env": "TEST_PROOF"}}))


async def test_the_wizard_continues_with_the_same_device_only(hostile: LabWorld) -> None:
    unit = "drop, then clear"
    ended, _ = await install(answers(unit, {"proof": {"env": "TEST_PROOF"}}))
    assert ended.error is not None
    assert ended.error.code is ErrorCode.CONNECTION_LOST
    resources = RunResources(RunConfig(lab=True, options=Options(deadlines=FAST)))
    front = Front(recoveries=[Recovery.STOP])
    try:
        ended = await ResumedInstallation(resources, front, last_record()["id"]).run()  # type: ignore[assignment]
    finally:
        await resources.close()
    assert [f.error.code for f in front.failures] == [ErrorCode.DEVICE_CHANGED], front.text()
    assert got_nothing(hostile, unit)


async def test_a_drop_alone_refuses_nothing(hostile: LabWorld) -> None:
    """Also if the serial number can be read the first time only."""
    for unit in ("drop", "drop, then unreadable"):
        network = NetworkAnswer(ssid="Home", secret=SecretStr(PASSPHRASE))
        front = Front(answers={ChooseNetwork: network}, recoveries=[Recovery.RETRY])
        find = {"proof": {"env": "TEST_PROOF"}, "security": 1}
        await installed(answers(unit, find), front, ask=frozenset({StepKey.NETWORK}))
        assert len(front.failures) == 1


def resumed(*arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit status and the events of `resume`."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = _main(["resume", "--lab", "--json", "--non-interactive", *arguments])
    return status, lines(out.getvalue())


def test_a_proof_that_is_given_to_resume_binds(hostile: LabWorld) -> None:
    ended, _ = asyncio.run(install(answers("drop, clear")))
    assert ended.error is not None
    assert ended.error.code is ErrorCode.CONNECTION_LOST
    status, events = resumed("--proof-env", "TEST_PROOF")
    assert status == 33, events
    assert got_nothing(hostile, "drop, clear")
    # It still binds when the next attempt does not give it, and a record cannot waive it.
    record = last_record()
    assert record["answers"]["find"]["require_proof"] is True
    assert not options_for(Options(), {"options": {"allow_unproved": True}}).allow_unproved
    status, events = resumed(record["id"])
    assert status == 33, events
    assert got_nothing(hostile, "drop, clear")
    status, events = resumed(record["id"], "--allow-unproved")
    assert status == 0, events
    assert unit_state(hostile, "drop, clear")["joined"] == "Home"


def test_a_typed_proof_is_missed_when_the_installation_is_resumed(hostile: LabWorld) -> None:
    pasted = answers("drop", FindAnswer(device=ADDRESSES["drop"], secret=SecretStr(PROOF), security=1))
    ended, _ = asyncio.run(install(pasted))
    assert ended.error is not None
    assert ended.error.code is ErrorCode.CONNECTION_LOST
    find = last_record()["answers"]["find"]
    assert (find["require_proof"], find["security"]) == (True, 1)
    assert PROOF not in str(find)
    status, events = resumed()
    assert status == 54, events
    assert "--proof-env" in next(e for e in events if e["event"] == "failed")["todo"]
    assert got_nothing(hostile, "drop")
    status, events = resumed("--proof-env", "TEST_PROOF")
    assert status == 0, events


@pytest.mark.parametrize("proof", ["env:TEST_PROOF", ""])
def test_a_second_try_of_a_row_knows_the_first(
    hostile: LabWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str], proof: str
) -> None:
    """Without a proof in the plan, a row stops at the missing proof; a unit that needs none is then no longer taken."""
    unit = "drop, then clear" if proof else "clear"
    plan = tmp_path / "ward.csv"
    stated = "" if proof else "2"
    plan.write_text(f"device,ssid,account,proof,security\n{ADDRESSES[unit]},Home,later,{proof},{stated}\n", "utf-8")
    status = _main(
        [
            "batch",
            str(plan),
            "--lab",
            "--json",
            "--passphrase-env",
            "TEST_PASSPHRASE",
            "--tries",
            "2",
            "--allow-references",
        ]
    )
    events = lines(capsys.readouterr().out)
    assert status == ErrorCode.BATCH_INCOMPLETE.exit_status
    (code,) = next(e for e in events if e["event"] == "batch_done")["failures"]
    assert code == ("device_changed" if proof else "security_too_low")
    assert got_nothing(hostile, unit)


# Who may waive it.


@pytest.mark.parametrize(("unit", "encrypted"), [("clear", False), ("no proof", True)])
async def test_a_person_is_asked_and_told_what_it_means(hostile: LabWorld, unit: str, encrypted: bool) -> None:
    given = answers(unit, {"proof": {"env": "TEST_PROOF"}})
    ask = frozenset({StepKey.PROVISION})
    front = Front(answers={AcceptUnproved: False}, recoveries=[Recovery.STOP])
    await refused(hostile, unit, given, ErrorCode.SECURITY_TOO_LOW, front, ask=ask)
    (question,) = front.asked
    assert isinstance(question, AcceptUnproved)
    assert question.encrypted is encrypted
    assert "Another device may pretend to be this one" in question.consequence
    assert ("unencrypted" in question.consequence) is not encrypted
    assert "--allow-unproved" not in front.of(Failed)[-1].todo  # the person was asked
    front = Front(answers={AcceptUnproved: True, ConfirmSending: ProvisionAnswer()})
    await installed(given, front, ask=ask)
    accepted, sending = front.asked  # asked once
    assert isinstance(accepted, AcceptUnproved)
    assert isinstance(sending, ConfirmSending)
    assert (sending.encrypted, sending.proved) == (encrypted, False)
    assert [n.code for n in front.of(Notice) if n.code == "unproved"]


@pytest.mark.parametrize(("typed", "accepted"), [("", False), ("n", False), ("y", True)])
async def test_the_plain_prompt_sends_only_after_a_yes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str, accepted: bool
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{typed}\n"))
    question = AcceptUnproved(
        model=load_catalogue().get("espressif-device"),
        name="PROV_1",
        address="7C:DF:A1:00:01:02",
        asked="a proof of possession was given",
        offered="security 0 of Espressif provisioning (no encryption, no proof)",
        encrypted=False,
    )
    assert await prompt(question) is accepted
    told = capsys.readouterr().err
    for part in (question.asked, question.offered, question.consequence, "[y/N]"):
        assert part in " ".join(told.split())


async def test_a_script_waives_it_by_the_option_only(hostile: LabWorld) -> None:
    given = answers("clear", {"proof": {"env": "TEST_PROOF"}, "security": 2})
    front = await installed(given, allow_unproved=True)
    (notice,) = [n.text for n in front.of(Notice) if n.code == "unproved"]
    assert "a proof of possession was given, and its label or user name states security 2" in notice
    assert last_record()["options"]["allow_unproved"] is True


async def test_what_was_accepted_holds_for_that_connection_only(hostile: LabWorld) -> None:
    """The option does not let another device in after a drop."""
    unit = "drop, then clear"
    network = NetworkAnswer(ssid="Home", secret=SecretStr(PASSPHRASE))
    front = Front(answers={ChooseNetwork: network}, recoveries=[Recovery.RETRY, Recovery.STOP])
    given = answers(unit, {"proof": {"env": "TEST_PROOF"}})
    await refused(
        hostile, unit, given, ErrorCode.DEVICE_CHANGED, front, ask=frozenset({StepKey.NETWORK}), allow_unproved=True
    )


async def test_the_person_sees_whether_the_device_has_proved_itself(hostile: LabWorld) -> None:
    front = Front(answers={ConfirmSending: ProvisionAnswer()})
    await installed(answers("honest", {"proof": {"env": "TEST_PROOF"}}), front, ask=frozenset({StepKey.PROVISION}))
    (question,) = front.asked
    assert isinstance(question, ConfirmSending)
    assert (question.encrypted, question.proved) == (True, True)


async def test_a_label_holds_for_every_device_of_its_name(hostile: LabWorld) -> None:
    """The person scans the label, and two devices have its name; the person then points at the wrong one."""
    stated = FindAnswer(name=NAMES["honest"], secret=SecretStr(PROOF), security=1)
    choices = [stated, FindAnswer(device=ADDRESSES["twin"])]
    front = Front(answers={ChooseDevice: choices, ConfirmDevice: True}, recoveries=[Recovery.CHANGE, Recovery.STOP])
    given = answers("twin").without([StepKey.FIND])
    await refused(hostile, "twin", given, ErrorCode.SECURITY_TOO_LOW, front, ask=frozenset({StepKey.FIND}))
    assert [f.error.code for f in front.failures] == [ErrorCode.DEVICE_AMBIGUOUS, ErrorCode.SECURITY_TOO_LOW]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"find": {"proof": {"env": "TEST_PROOF"}}}, ErrorCode.SECURITY_TOO_LOW),
        ({"provision": {"require_encryption": True}}, ErrorCode.ENCRYPTION_REQUIRED),
    ],
)
async def test_to_be_asked_takes_no_minimum_away(hostile: LabWorld, more: dict[str, Any], code: ErrorCode) -> None:
    """`--ask` replaces the choice of these steps, not what the answers ask of the device."""
    given = answers("clear", more.pop("find", None), **more)
    front = Front(
        answers={
            ChooseDevice: FindAnswer(device=ADDRESSES["clear"]),
            ConfirmDevice: True,
            ConfirmSending: ProvisionAnswer(),
            AcceptUnproved: False,
        },
        recoveries=[Recovery.STOP],
    )
    await refused(hostile, "clear", given, code, front, ask=frozenset({StepKey.FIND, StepKey.PROVISION}))


async def test_a_pasted_code_states_more_than_its_proof(hostile: LabWorld) -> None:
    """The device asks for a proof, and the label that is pasted then states a higher security."""
    code = DevicePayload(name=NAMES["honest"], proof=SecretStr(PROOF), security=2)
    front = Front(answers={AskProof: code, ChooseDevice: None}, recoveries=[Recovery.STOP])
    front.answers |= {ChooseDevice: FindAnswer(device=ADDRESSES["honest"]), ConfirmDevice: True}
    given, ask = answers("honest"), frozenset({StepKey.FIND})
    await refused(hostile, "honest", given, ErrorCode.SECURITY_TOO_LOW, front, ask=ask)


@pytest.mark.parametrize("accepts", [False, True])
@pytest.mark.parametrize("first", ["clear", "drop, then clear"])
async def test_another_device_does_not_take_the_minimum_away(hostile: LabWorld, first: str, accepts: bool) -> None:
    """A proof is given or typed for one device, which is refused; the person then chooses a twin without a proof."""
    given = (
        answers(first, {"proof": {"env": "TEST_PROOF"}}) if first == "clear" else answers(first).without([StepKey.FIND])
    )
    front = Front(
        answers={
            ChooseDevice: [FindAnswer(device=ADDRESSES[unit]) for unit in ([] if first == "clear" else [first])]
            + [FindAnswer(device=ADDRESSES["twin"])],
            ConfirmDevice: True,
            AskProof: SecretStr(PROOF),
            ChooseSync: SyncAnswer(method=SyncMethod.WIFI),
            AcceptUnproved: [False, accepts] if first == "clear" else [accepts],
            ConfirmSending: ProvisionAnswer(),
        },
        recoveries=[*([] if first == "clear" else [Recovery.RETRY]), Recovery.CHANGE, Recovery.STOP, Recovery.STOP],
    )
    ended, _ = await install(given, front, non_interactive=False)
    question = [q for q in front.asked if isinstance(q, AcceptUnproved)][-1]
    assert question.address == ADDRESSES["twin"]
    assert f"given for another device, {ADDRESSES[first]} “{NAMES[first]}”" in question.asked
    assert (ended.outcome == "installed") is accepts, front.text()
    assert got_nothing(hostile, "twin") is not accepts


async def test_a_user_name_asks_for_security_2(hostile: LabWorld) -> None:
    """Only that scheme has user names: whoever has one need not show its proof to a device that says security 1."""
    find = {"proof": {"env": "TEST_PROOF"}, "username": "clinic"}
    await refused(hostile, "honest", answers("honest", find), ErrorCode.SECURITY_TOO_LOW)
    assert stated_in(FindAnswer(name="x", username="clinic")) == RequiredSecurity(scheme=2)
    file_and_flag = merge(answers("honest", find), Flags(device=ADDRESSES["honest"]))
    assert file_and_flag.find is not None
    assert stated_in(file_and_flag.find) == RequiredSecurity(proof=True, scheme=2)


# --require-encryption.


@pytest.mark.parametrize(
    ("unit", "code"),
    [
        ("no proof", ErrorCode.SECURITY_TOO_LOW),
        ("clear", ErrorCode.ENCRYPTION_REQUIRED),
        ("twin", ErrorCode.ENCRYPTION_REQUIRED),
        ("recordable", ErrorCode.ENCRYPTION_REQUIRED),
    ],
)
async def test_required_encryption_asks_for_a_proved_device(hostile: LabWorld, unit: str, code: ErrorCode) -> None:
    find = {"proof": {"env": "TEST_PROOF"}} if unit == "recordable" else {}
    ended, front = await install(answers(unit, find), require_encryption=True)
    assert ended.error is not None
    assert ended.error.code is code, front.text()
    assert got_nothing(hostile, unit)
    if code is ErrorCode.SECURITY_TOO_LOW:
        assert "--require-encryption asks for a device that proves itself" in ended.error.what


async def test_required_encryption_with_a_proof_and_with_the_waiver(hostile: LabWorld) -> None:
    await installed(answers("honest", {"proof": {"env": "TEST_PROOF"}}), require_encryption=True)
    front = await installed(answers("no proof"), require_encryption=True, allow_unproved=True)
    assert front.of(InstallationDone)
