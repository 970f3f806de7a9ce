"""The whole guided hand-off: a retail device, a person with the vendor's app, and a watched account."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from installer.answers import Answers, LinkAnswer, StepKey, SyncAnswer, validate
from installer.catalogue.model import SyncMethod
from installer.cli.main import _main
from installer.cloud.lab_sign_in import sign_in_by_form
from installer.errors import ErrorCode
from installer.events.installation import (
    DeviceConnected,
    Failed,
    FirstMeasurement,
    GuideShown,
    GuideWaiting,
    Linked,
    Notice,
    Planned,
    Provisioning,
    StepDone,
    StepSkipped,
    StepStarted,
)
from installer.events.json_lines import Event
from installer.flow import lab_process
from installer.flow.front_end import Recovery
from installer.flow.questions import ChooseAccount, ChooseSync, FollowGuide, SignIn
from installer.flow.run_options import Options, RunConfig
from installer.flow.run_resources import RunResources
from installer.storage.reference_origin import COMMAND_LINE
from screens.guide import GuideScreen
from screens.open_wizard import make_app
from screens.sign_in import SignInScreen
from tests.flow.support import FAST, Front, LabWorld, install, lines, use
from tests.installer.lab.lab_process import LabProcess
from tests.screens.driver import (
    answer_account,
    answer_find,
    answer_sync,
    begin,
    confirm_account,
    flat_text,
    screen_text,
    wait_for_finish,
    wait_for_screen,
    wait_for_text,
    wizard,
)

SCALE, MAT, WATCH, THERMO = "00:24:E4:20:00:3C", "00:24:E4:40:00:51", "00:24:E4:60:00:90", "00:24:E4:50:00:70"
SECOND_HAND, MINE, PATIENT = "00:24:E4:10:00:1A", "00:24:E4:30:00:B1", "00:24:E4:70:00:58"

SCENARIO = f"""
version = 1
name = "retail"
[radio]
advertising_interval = 0.02
supervision_timeout = 0.05
[timing]
first_measurement_after = 0.05
[[network]]
ssid = "Home"
passphrase = "correct horse battery staple"
[[device]]
model = "body-plus"
address = "{SCALE}"
improv = false
mtu = 23
[[device]]
model = "sleep"
address = "{MAT}"
improv = false
[[device]]
model = "move"
address = "{WATCH}"
improv = false
[[device]]
model = "thermo"
address = "{THERMO}"
improv = false
vendor_service = false
[[device]]
model = "body"
address = "{SECOND_HAND}"
improv = false
[[device]]
model = "bpm-connect"
address = "{MINE}"
improv = false
[[device]]
model = "pulse-hr"
address = "{PATIENT}"
improv = false
vendor_app_after = 0.2
[cloud]
associate_after = 0
users = [
    {{ email = "alex@example.org", password = "lab-password", devices = ["{MINE}"] }},
    {{ email = "sam@example.org", password = "other-password", devices = ["{SECOND_HAND}"] }},
]
"""


@pytest.fixture(scope="module")
def _retail_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    with LabProcess(tmp_path_factory.mktemp("retail"), SCENARIO) as lab:
        yield lab


@pytest.fixture
def retail(home: Path, _retail_lab: LabProcess) -> LabWorld:
    """A lab of retail devices: none of them speaks an open protocol."""
    state = lab_process.read_state(_retail_lab.state_file)
    assert state is not None
    world = LabWorld(state)
    world.call("POST", "/lab/reset")
    use(world, _retail_lab.state_file)
    return world


def device(world: LabWorld, address: str) -> dict[str, Any]:
    return next(d for d in world.call("GET", "/lab/state")["devices"] if d["address"] == address)


def answers(address: str, method: str | None, **more: Any) -> Answers:
    data: dict[str, Any] = {"find": {"device": address}}
    if method:
        data["sync"] = {"method": method}
    return validate({**data, **more}, "test", COMMAND_LINE)


def person(world: LabWorld, address: str, network: str | None) -> Callable[[Event], None]:
    """A person who uses the vendor's app as soon as the guide is shown."""

    def act(event: Event) -> None:
        if isinstance(event, GuideShown):
            # The device accepts a connection from the phone now.
            assert device(world, address)["connected"] is False
            world.call("POST", f"/lab/devices/{address}/vendor_app", {"network": network} if network else {})

    return act


def nothing_was_sent(world: LabWorld, address: str) -> bool:
    seen = device(world, address)
    return (seen["credentials_received"], seen["wifi_commands"]) == (0, 0)


@pytest.mark.parametrize("mode", ["contract", "public"])
@pytest.mark.parametrize(
    ("address", "method", "network"),
    [(SCALE, "wifi", "Home"), (SCALE, "bluetooth", None), (MAT, "wifi", "Home"), (WATCH, "bluetooth", None)],
)
async def test_a_script_waits_for_the_person_with_the_vendors_app(
    retail: LabWorld, mode: str, address: str, method: str, network: str | None
) -> None:
    retail.cloud(mode=mode)
    front = Front(on_event=person(retail, address, network))
    ended, _ = await install(answers(address, method), front, guided=True)
    assert ended.outcome == "installed", front.text()
    seen = device(retail, address)
    assert seen["linked"]
    assert seen["joined"] == network
    # Its identity was read once, and nothing was sent to it.
    assert seen["probes"] == 1
    assert nothing_was_sent(retail, address)
    assert front.of(Provisioning) == []
    (connected,) = front.of(DeviceConnected)
    assert (connected.protocol, connected.info.firmware_version) == ("guided", "1000")
    (shown,) = front.of(GuideShown)
    assert shown.url == "https://www.withings.com"
    assert "Check: " in " ".join(shown.steps)
    assert front.of(GuideWaiting)[0].seconds > 0
    (linked,) = front.of(Linked)
    assert linked.way == "watch"
    (first,) = front.of(FirstMeasurement)
    assert first.source == "cloud"
    assert [s.step.value for s in front.of(StepSkipped)] == ["network"]
    # The account is opened before the guide; the link is reported after it.
    assert [s.step.value for s in front.of(StepDone)] == ["find", "sync", "link", "provision", "link", "verify"]
    assert any(n.code == "phone_needed" for n in front.of(Notice)) is (method == "bluetooth")


async def test_a_script_without_guided_does_not_wait_for_anybody(retail: LabWorld) -> None:
    ended, front = await install(answers(SCALE, "wifi", network={"ssid": "Home"}))
    assert ended.error is not None
    assert ended.error.code is ErrorCode.DEVICE_UNSUPPORTED, front.text()
    assert "--guided" in ended.error.todo
    assert device(retail, SCALE)["probes"] == 0


@pytest.mark.parametrize("address", [SCALE, THERMO])
async def test_a_person_needs_no_flag(retail: LabWorld, address: str) -> None:
    """The device speaks no open protocol and is recognised by the vendor's pipe (the scale) or its advertisements."""

    async def sign_in(question: SignIn) -> None:
        await sign_in_by_form(question.short_url, retail.state.user.email, retail.state.user.password)
        await asyncio.Event().wait()

    async def follow(question: FollowGuide) -> bool:
        assert (question.model.name, question.account) == (device(retail, address)["name"].split()[0], "default")
        retail.call("POST", f"/lab/devices/{address}/vendor_app", {"network": "Home"})
        return True

    front = Front(
        answers={
            ChooseSync: SyncAnswer(method=SyncMethod.WIFI),
            ChooseAccount: LinkAnswer(),
            SignIn: sign_in,
            FollowGuide: follow,
        }
    )
    ended, _ = await install(answers(address, None), front, non_interactive=False)
    assert ended.outcome == "installed", front.text()
    # No network, no passphrase, no consent to send: there is nothing to send.
    assert [type(q) for q in front.asked] == [ChooseSync, ChooseAccount, SignIn, FollowGuide]
    assert front.of(DeviceConnected)[0].protocol == "guided"


@pytest.mark.parametrize(
    ("address", "method", "code"),
    [(MAT, "bluetooth", ErrorCode.SYNC_WIFI_ONLY), (WATCH, "wifi", ErrorCode.SYNC_BLUETOOTH_ONLY)],
)
async def test_the_sync_rule_holds_for_the_guide(retail: LabWorld, address: str, method: str, code: ErrorCode) -> None:
    ended, front = await install(answers(address, method), guided=True)
    assert ended.error is not None
    assert ended.error.code is code
    assert device(retail, address)["att_requests"] == 0
    assert front.of(GuideShown) == []


async def test_naming_another_model_does_not_get_around_the_rule(retail: LabWorld) -> None:
    wrong = answers(MAT, "bluetooth", find={"device": MAT, "model": "body"})
    ended, front = await install(wrong, guided=True)
    assert ended.error is not None
    assert ended.error.code is ErrorCode.DEVICE_UNSUPPORTED, front.text()
    assert front.of(GuideShown) == []


async def test_nobody_comes_within_the_deadline_and_a_second_try_succeeds(retail: LabWorld) -> None:
    short = replace(FAST, guide=0.5)
    ended, front = await install(answers(SCALE, "wifi"), guided=True, deadlines=short)
    assert ended.outcome == "failed"
    assert ended.error is not None
    assert (ended.error.code, ended.error.exit_status) == (ErrorCode.GUIDE_TIMEOUT, 55)
    said = front.of(Failed)[-1]
    assert (said.step, said.code, said.exit_status) == ("provision", "guide_timeout", 55)
    again = Front(on_event=person(retail, SCALE, "Home"))
    ended, _ = await install(answers(SCALE, "wifi"), again, guided=True)
    assert ended.outcome == "installed", again.text()


async def test_a_device_that_is_on_somebodys_account(retail: LabWorld) -> None:
    ended, front = await install(answers(SECOND_HAND, "wifi"), guided=True)
    assert ended.error is not None
    assert ended.error.code is ErrorCode.DEVICE_ALREADY_SET_UP
    assert ended.error.data["associated"] is True
    assert front.of(GuideShown) == []
    # If the person continues, the first step of the guide is to remove it from that account; before that it cannot
    # come to this account.
    short = replace(FAST, guide=0.5)
    ended, front = await install(answers(SECOND_HAND, "wifi"), guided=True, keep_wifi=True, deadlines=short)
    assert ended.error is not None
    assert ended.error.code is ErrorCode.GUIDE_TIMEOUT
    assert "take it off" in front.of(GuideShown)[0].steps[0]
    assert any(n.code == "associated" for n in front.of(Notice))


async def test_a_second_hand_device_comes_after_it_was_released(retail: LabWorld) -> None:
    def act(event: Event) -> None:
        if isinstance(event, GuideShown):
            retail.call("POST", f"/lab/devices/{SECOND_HAND}/reset")
            retail.call("POST", f"/lab/devices/{SECOND_HAND}/vendor_app", {"network": "Home"})

    ended, front = await install(answers(SECOND_HAND, "wifi"), Front(on_event=act), guided=True, keep_wifi=True)
    assert ended.outcome == "installed", front.text()


async def test_a_device_of_ones_own_account_is_kept_as_soon_as_it_reports(retail: LabWorld) -> None:
    front = Front(on_event=person(retail, MINE, "Home"))
    ended, _ = await install(answers(MINE, "wifi"), front, guided=True, keep_wifi=True)
    assert ended.outcome == "installed", front.text()


async def test_a_second_run_goes_on_without_the_guide(retail: LabWorld) -> None:
    def act(event: Event) -> None:
        person(retail, SCALE, "Home")(event)
        if isinstance(event, Linked):
            retail.cloud(fail=[{"path": "/measure", "http": 503, "times": 0}])

    ended, front = await install(
        answers(SCALE, "wifi", verify={"wait": 0.5}), Front(on_event=act), guided=True, deadlines=FAST
    )
    assert ended.error is not None
    assert ended.error.code in (ErrorCode.CLOUD_UNREACHABLE, ErrorCode.FIRST_DATA_TIMEOUT), front.text()
    retail.cloud(fail=[])

    def measure(event: Event) -> None:
        if isinstance(event, Linked):
            retail.call("POST", f"/lab/devices/{SCALE}/measure")

    again = Front(on_event=measure)
    ended, _ = await install(answers(SCALE, "wifi"), again, guided=True)
    assert ended.outcome == "installed", again.text()
    assert again.of(GuideShown) == []
    assert len(again.of(Linked)) == 1


async def test_a_cloud_that_is_away_for_a_while_is_told_and_waited_for(retail: LabWorld) -> None:
    def act(event: Event) -> None:
        if isinstance(event, GuideShown):
            retail.cloud(down=True)
        if isinstance(event, GuideWaiting) and event.trouble:
            retail.cloud(down=False)
            retail.call("POST", f"/lab/devices/{SCALE}/vendor_app", {"network": "Home"})

    front = Front(on_event=act)
    ended, _ = await install(answers(SCALE, "wifi"), front, guided=True)
    assert ended.outcome == "installed", front.text()
    assert [bool(w.trouble) for w in front.of(GuideWaiting)][:2] == [False, True]


async def test_a_device_that_takes_no_connection_is_guided_all_the_same(retail: LabWorld) -> None:
    retail.call("POST", f"/lab/devices/{SCALE}/faults", {"faults": {"refuse_connections": {"times": 0}}})
    front = Front(on_event=person(retail, SCALE, "Home"))
    ended, _ = await install(answers(SCALE, "wifi"), front, guided=True, deadlines=replace(FAST, connect=1.0))
    assert ended.outcome == "installed", front.text()
    assert any(n.code == "not_asked" for n in front.of(Notice))
    assert front.of(DeviceConnected) == []


@pytest.mark.parametrize("fault", ["drop", "silent"])
async def test_a_device_that_does_not_say_who_it_is_is_guided_all_the_same(retail: LabWorld, fault: str) -> None:
    retail.call("POST", f"/lab/devices/{SCALE}/faults", {"faults": {fault: {"on": "info", "times": 0}}})
    front = Front(on_event=person(retail, SCALE, "Home"))
    ended, _ = await install(answers(SCALE, "wifi"), front, guided=True)
    assert ended.outcome == "installed", front.text()
    assert front.of(DeviceConnected)[0].info.firmware_version == ""
    assert device(retail, SCALE)["probes"] == 0


async def test_a_person_who_was_faster_than_the_sign_in(retail: LabWorld) -> None:
    """The device came to the account after it was found and before the account was first checked."""

    def act(event: Event) -> None:
        if isinstance(event, StepStarted) and event.step is StepKey.LINK:
            retail.call("POST", f"/lab/devices/{SCALE}/vendor_app", {"network": "Home"})

    front = Front(on_event=act)
    ended, _ = await install(answers(SCALE, "wifi"), front, guided=True)
    assert ended.outcome == "installed", front.text()


async def test_a_dry_run_sends_nobody_off(retail: LabWorld) -> None:
    ended, front = await install(answers(SCALE, "wifi"), guided=True, dry_run=True)
    assert ended.outcome == "planned", front.text()
    assert [p.step.value for p in front.of(Planned)] == ["link", "provision", "link", "verify"]
    assert front.of(GuideShown) == []


async def test_the_guide_is_for_models_that_have_one(world: LabWorld) -> None:
    ended, _ = await install(answers(world.address("generic"), "wifi", network={"ssid": "Home"}), guided=True)
    assert ended.error is not None
    assert ended.error.code is ErrorCode.DEVICE_UNSUPPORTED


async def test_the_account_is_opened_before_the_guide(retail: LabWorld) -> None:
    front = Front(on_event=person(retail, SCALE, "Home"))
    await install(answers(SCALE, "wifi"), front, guided=True)
    order = [(type(e).__name__, getattr(e, "step", None)) for e in front.events]
    signed_in = next(i for i, e in enumerate(order) if e[0] == "SignedIn")
    assert signed_in < next(i for i, e in enumerate(order) if e == (StepStarted.__name__, "provision"))


async def test_link_by_contract_cannot_be_insisted_on(retail: LabWorld) -> None:
    ended, _ = await install(answers(SCALE, "wifi", link={"mode": "contract"}), guided=True)
    assert ended.error is not None
    assert ended.error.code is ErrorCode.ANSWERS_INVALID
    assert device(retail, SCALE)["linked"] is False


def test_the_command_line(retail: LabWorld, capsys: pytest.CaptureFixture[str]) -> None:
    """The scenario's person acts as soon as the device accepts a connection."""
    status = _main(["install", "--lab", "--non-interactive", "--guided", "--json", "--device", PATIENT])
    said = lines(capsys.readouterr().out)
    assert status == 0, said
    names = [e["event"] for e in said]
    assert names.index("guide_shown") < names.index("guide_waiting") < names.index("linked")
    assert said[-1]["outcome"] == "installed"


def test_a_script_sets_the_deadline_and_gets_its_status(retail: LabWorld, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--guided", "--guide-timeout", "1", "--timeout", "60", "--json", "--device", SCALE]
    assert _main(["install", "--lab", "--non-interactive", "--sync", "wifi", *arguments]) == 55
    said = lines(capsys.readouterr().out)
    assert [e["code"] for e in said if e["event"] == "failed"] == ["guide_timeout"]
    assert next(e["seconds"] for e in said if e["event"] == "guide_waiting") <= 1


def test_the_words_of_a_script(retail: LabWorld, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(["install", "--lab", "--non-interactive", "--guided", "--device", PATIENT]) == 0
    said = capsys.readouterr()
    assert "Only the Withings app can set this device up." in said.err
    assert "1. On your phone" in said.err
    assert said.out.startswith("installed: ")


# --- the wizard -----------------------------------------------------------------------


@pytest.fixture
def _calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the other tests of the whole wizard: a process with a radio is never idle."""

    async def briefly(min_sleep: float = 0, max_sleep: float = 1) -> None:
        await asyncio.sleep(0.005)

    monkeypatch.setattr("textual.app.wait_for_idle", briefly)
    monkeypatch.setattr("textual.pilot.wait_for_idle", briefly)


async def to_the_guide(pilot: Pilot[Any], world: LabWorld, address: str, method: str) -> GuideScreen:
    await begin(pilot)
    await answer_find(pilot, address)
    await answer_sync(pilot, method)
    await answer_account(pilot, None)
    screen = await wait_for_screen(pilot, SignInScreen)
    await sign_in_by_form(screen.question.short_url, world.state.user.email, world.state.user.password)
    await confirm_account(pilot)
    return await wait_for_screen(pilot, GuideScreen)


@pytest.mark.parametrize("mode", ["contract", "public"])
@pytest.mark.parametrize(("address", "method", "network"), [(SCALE, "wifi", "Home"), (WATCH, "bluetooth", None)])
@pytest.mark.usefixtures("_calm")
async def test_the_wizard(retail: LabWorld, mode: str, address: str, method: str, network: str | None) -> None:
    retail.cloud(mode=mode)
    resources = RunResources(RunConfig(lab=True, options=Options(deadlines=FAST)))
    app = make_app(resources, Answers())
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            await to_the_guide(pilot, retail, address, method)
            assert "Nothing is sent from here" in flat_text(pilot)
            await wait_for_text(pilot, "not there yet")
            retail.call("POST", f"/lab/devices/{address}/vendor_app", {"network": network} if network else {})
            await wait_for_finish(pilot)
            assert wizard(pilot).outcome.outcome == "installed"  # type: ignore[union-attr]
            assert "redentials" not in screen_text(pilot)
    finally:
        await resources.close()
    assert device(retail, address)["linked"]
    assert nothing_was_sent(retail, address)


@pytest.mark.usefixtures("_calm")
async def test_the_wizard_can_be_stopped_at_the_guide(retail: LabWorld) -> None:
    resources = RunResources(RunConfig(lab=True, options=Options(deadlines=FAST)))
    app = make_app(resources, Answers())
    try:
        async with app.run_test(size=(120, 40)) as pilot:
            await to_the_guide(pilot, retail, SCALE, "wifi")
            assert pilot.app.screen.query_one("#app").display, "the QR code has room here"
            await pilot.press("escape")
            await wait_for_text(pilot, "Install a device")
            assert wizard(pilot).outcome.outcome == "cancelled"  # type: ignore[union-attr]
    finally:
        await resources.close()
    assert device(retail, SCALE)["linked"] is False


async def test_the_guide_again_after_the_deadline(retail: LabWorld) -> None:
    """A person may show the guide again; nothing is lost."""

    async def wait(question: FollowGuide) -> bool:
        assert question.seconds == 0.5
        await asyncio.Event().wait()  # withdrawn after the deadline
        return True

    front = Front(answers={FollowGuide: wait}, recoveries=[Recovery.RETRY, Recovery.STOP])
    ended, _ = await install(
        answers(SCALE, "wifi", link={"account": "default"}),
        front,
        guided=True,
        ask=frozenset({StepKey.PROVISION}),
        deadlines=replace(FAST, guide=0.5),
    )
    assert ended.outcome == "failed"
    assert [type(q) for q in front.asked] == [FollowGuide, FollowGuide]
    assert front.asked[1].problem is None
    assert all(f.error.code is ErrorCode.GUIDE_TIMEOUT for f in front.failures)
