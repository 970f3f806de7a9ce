"""The guide: the check list, the QR code, the watch of the account, and the keys."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

from installer.answers import StepKey
from installer.catalogue.catalogue_file import load
from installer.catalogue.model import SyncMethod
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import DeviceConnected, GuideShown, StepStarted
from installer.flow.front_end import Cancelled
from installer.flow.questions import FollowGuide
from installer.flow.steps.guide import AccountWatchProgress
from installer.provisioning.guided.checklist import checklist
from installer.provisioning.provisioner import DeviceInfo
from screens.guide import ChecklistItem, GuideScreen
from screens.installation_state import InstallationState
from screens.progress import current_view
from screens.qr_code import QrScreen
from tests.screens.driver import ask_question, flat_text, read_codes, screen_text, until, wait_for_screen, wait_for_text
from tests.screens.scenes import running

MODELS = [m for m in load().models if "guided" in m.protocols]
WAYS = [(m.id, s.value, a) for m in MODELS for s in m.sync for a in (False, True)]


def question(
    model_id: str, sync: str, *, associated: bool = False, progress: AccountWatchProgress | None = None
) -> FollowGuide:
    model = load().get(model_id)
    todo = checklist(model, SyncMethod(sync), "default", associated=associated)
    return FollowGuide(
        model=model,
        app=todo.app,
        url=todo.url,
        steps=todo.steps,
        account="default",
        seconds=900,
        progress=progress or AccountWatchProgress(3, 997.0),
    )


async def shown(pilot: Pilot[Any], asked: FollowGuide) -> GuideScreen:
    ask_question(pilot, asked)
    return await wait_for_screen(pilot, GuideScreen)


@pytest.mark.parametrize(("model", "sync", "associated"), WAYS)
async def test_every_guide_is_whole_at_80_by_24(model: str, sync: str, associated: bool) -> None:
    async with running() as (pilot, _):
        asked = question(model, sync, associated=associated)
        screen = await shown(pilot, asked)
        await until(pilot, lambda: not screen.query_one("#page").show_vertical_scrollbar, "all of it")
        text = flat_text(pilot)
        for step in asked.steps:
            assert step in text
        assert "Looked 3 s ago: not there yet." in text
        assert "15 min left" in text


async def test_the_qr_code_where_there_is_room() -> None:
    async with running(size=(120, 32)) as (pilot, _):
        screen = await shown(pilot, question("body-plus", "wifi"))
        assert screen.query_one("#app").display
        assert read_codes(pilot) == [screen.question.url]
        assert "https://www.withings.com" in screen_text(pilot)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: not screen.query_one("#app").display, "the code to go")


@pytest.mark.parametrize("size", [(80, 24), (44, 20)])
async def test_a_key_shows_the_code_whole_in_a_small_terminal(size: tuple[int, int]) -> None:
    async with running(size=size) as (pilot, _):
        asked = question("body-plus", "wifi")
        screen = await shown(pilot, asked)
        assert not screen.query_one("#app").display
        await pilot.press("q")
        await wait_for_screen(pilot, QrScreen)
        await until(pilot, lambda: read_codes(pilot) == [asked.url], "the whole code")
        assert asked.url in screen_text(pilot)
        await pilot.press("escape")
        await wait_for_screen(pilot, GuideScreen)


async def test_where_the_code_has_no_room_its_address_stands_instead() -> None:
    async with running(size=(40, 14)) as (pilot, _):
        asked = question("body-plus", "wifi")
        await shown(pilot, asked)
        await pilot.press("q")
        await wait_for_screen(pilot, QrScreen)
        await wait_for_text(pilot, "too small")
        assert asked.url in screen_text(pilot)
        assert not set("█▀▄") & set(screen_text(pilot))


async def test_things_are_ticked_off_by_key() -> None:
    async with running() as (pilot, _):
        screen = await shown(pilot, question("move", "bluetooth"))
        items = list(screen.query(ChecklistItem))
        assert pilot.app.focused is items[0]
        await pilot.press("space", "down", "enter")
        assert [item.done for item in items[:4]] == [True, False, True, False]
        await pilot.press("up", "up", "space")
        assert [item.done for item in items[:4]] == [True, True, True, False]
        assert screen_text(pilot).count("✓") >= 3


async def test_a_cloud_that_is_away_is_told_as_soon_as_it_is() -> None:
    watch = AccountWatchProgress(1, 999.0)
    async with running() as (pilot, _):
        await shown(pilot, question("sleep", "wifi", progress=watch))
        watch.error = InstallerError(ErrorCode.CLOUD_UNREACHABLE, "The cloud does not answer.", "")
        await wait_for_text(pilot, "The cloud does not answer.")
        assert "not there yet" not in flat_text(pilot)
        watch.error = None
        await until(pilot, lambda: "The cloud does not answer." not in flat_text(pilot), "the trouble to go")


async def test_escape_stops_and_there_is_no_way_back() -> None:
    async with running() as (pilot, _):
        asking = ask_question(pilot, question("body", "wifi"))
        await wait_for_screen(pilot, GuideScreen)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, GuideScreen), "the end")
        assert isinstance(asking.error, Cancelled)


@pytest.mark.parametrize("known_by", ["connection", "guide"])
def test_the_progress_of_a_guided_step_says_nothing_of_credentials(known_by: str) -> None:
    state = InstallationState()
    if known_by == "connection":
        info = DeviceInfo(name="Body+ 3C")
        state.apply(DeviceConnected(address="A", protocol="guided", encrypts_credentials=False, info=info), 0.0)
    state.apply(StepStarted(step=StepKey.PROVISION, seconds=900), 0.0)
    if known_by == "guide":
        state.apply(GuideShown(model="body", app="the app", url="", steps=("Do it.",), account="default"), 0.0)
    view = current_view(state)
    words = " ".join([view.title, view.hint, *(text for _, text in view.stages)])
    assert "redentials" not in words
    assert "vendor's app" in words


def test_no_step_of_a_guide_is_a_promise_or_a_secret() -> None:
    for model_id, sync, associated in WAYS:
        asked = question(model_id, sync, associated=associated)
        text = " ".join(asked.steps)
        assert "{" not in text
        assert "passphrase" not in text
        assert "Check: " in text
        assert asked.url == "https://www.withings.com"
        assert ("reset it to factory state" in text) is associated
