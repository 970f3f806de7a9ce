"""The installation state: events in, and what the progress screen shows of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from installer.answers import StepKey
from installer.catalogue.model import SyncMethod
from installer.events.installation import (
    InstallationStarted,
    Linked,
    Linking,
    NetworkChosen,
    Notice,
    Provisioning,
    SignedIn,
    StepDone,
    StepSkipped,
    StepStarted,
    SyncChosen,
    WaitingForData,
)
from installer.provisioning.provisioner import Stage
from screens.installation_state import InstallationState, Mark
from screens.progress import current_view, elapsed_text, settled_facts


def told(*events: object) -> InstallationState:
    state = InstallationState()
    for at, event in enumerate(events):
        state.apply(event, float(at))  # type: ignore[arg-type]
    return state


def test_steps_are_marked_and_what_comes_after_the_present_one_is_to_be_done_again() -> None:
    state = told(StepStarted(step="find"), StepDone(step="find", took=1), StepStarted(step="sync"))
    assert (state.marks[StepKey.FIND], state.marks[StepKey.SYNC]) == (Mark.DONE, Mark.NOW)
    state.apply(StepSkipped(step="network", reason="a watch"), 3)
    assert state.marks[StepKey.NETWORK] is Mark.SKIPPED
    state.apply(StepStarted(step="find"), 4)
    assert [m.name for m in state.marks.values()] == ["NOW", "TODO", "TODO", "TODO", "TODO", "TODO"]


def test_credentials_count_as_sent_from_the_moment_of_sending() -> None:
    started = StepStarted(step="provision")
    assert not told(started, Provisioning(stage=Stage.AUTHORIZATION_NEEDED)).credentials_sent
    assert told(started, Provisioning(stage=Stage.SENDING)).credentials_sent


def test_the_clock_starts_anew_with_each_stage() -> None:
    state = told(InstallationStarted(version="0"), Provisioning(stage=Stage.JOINING, seconds=30))
    assert (state.phase_started_at, state.phase_seconds) == (1.0, 30)


@pytest.mark.parametrize(
    ("elapsed", "expected", "words"),
    [(3, None, "3 s"), (15, 30, "15 s of at most 30 s"), (95, 30, "1 min 35 s, longer than usual")],
)
def test_time_in_words(elapsed: float, expected: float | None, words: str) -> None:
    assert elapsed_text(elapsed, expected).endswith(words)


def test_a_notice_belongs_to_its_step() -> None:
    state = told(StepStarted(step="provision"), Notice(code="unencrypted", text="Careful."))
    assert state.notice == "Careful."
    state.apply(StepStarted(step="link"), 2)
    assert state.notice == ""


def test_settled_facts_leave_with_the_choice_they_belong_to() -> None:
    chosen = NetworkChosen(ssid="Home", security="wpa2", seen_by_device=True)
    state = told(SyncChosen(method=SyncMethod.WIFI), chosen, SignedIn(account="alex", stored_in="the keyring"))
    assert settled_facts(state) == [("Sync", "Wi-Fi"), ("Network", "“Home”   WPA2"), ("Account", "alex   signed in")]
    state.apply(SyncChosen(method=SyncMethod.BLUETOOTH), 9)
    assert ("Network", "“Home”   WPA2") not in settled_facts(state)


def test_every_step_has_a_view_before_anything_is_known() -> None:
    assert current_view(InstallationState()).title == "Starting…"
    for step in StepKey:
        assert current_view(told(StepStarted(step=step))).title


def test_link_and_verify_say_what_they_wait_for() -> None:
    state = told(StepStarted(step="link"), Linking(way="watch", seconds=600))
    assert "shows up in your account" in current_view(state).title
    state.apply(Linked(way="watch", account="alex", device_id="1"), 2)
    assert current_view(state).title == "The device is in your account"
    state.apply(StepStarted(step="verify"), 3)
    state.apply(WaitingForData(source="bluetooth", seconds=60, todo="Take a reading."), 4)
    view = current_view(state)
    assert view.todo == "Take a reading."
    assert view.stages[1] == (Mark.TODO, "Read over Bluetooth")


def test_the_first_frame_loads_no_later_step() -> None:
    code = (
        "import sys, screens.app; "
        "late = ('screens.find', 'screens.network', 'screens.finish', 'screens.dialogs', 'qrcode', 'tomli_w'); "
        "print([m for m in late if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_attempts_that_are_left_are_told_while_the_device_joins() -> None:
    state = InstallationState()
    state.apply(StepStarted(step=StepKey.PROVISION, seconds=60), 0.0)
    state.apply(Provisioning(stage=Stage.JOINING, seconds=90), 0.0)
    assert "tries them now" in current_view(state).hint
    state.apply(Provisioning(stage=Stage.JOINING, seconds=90, attempts_left=2), 1.0)
    assert "2 attempts left" in current_view(state).hint
    state.apply(Provisioning(stage=Stage.JOINED), 2.0)
    assert "left" not in current_view(state).hint
