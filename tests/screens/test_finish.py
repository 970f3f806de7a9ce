"""The finish screen, the saved answers, and the help."""

from __future__ import annotations

import asyncio
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from textual.pilot import Pilot
from textual.widgets import Input

from installer.answers import Answers, FindAnswer, LinkAnswer, NetworkAnswer, ProvisionAnswer, SyncAnswer, load, to_toml
from installer.catalogue.model import SyncMethod
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import InstallationStarted, Linked, Notice, Planned
from installer.measurement import Measurement, Quantity, Reading
from installer.wifi.networks import Security
from screens.engine_interface import SimpleOutcome
from screens.finish import FinishScreen, digits_caption, digits_text
from screens.help import HelpDialog
from screens.home import HomeScreen
from screens.network import NetworkScreen
from screens.save_answers import SaveAnswersDialog
from tests.screens.driver import (
    answer_sync,
    press_button,
    screen_text,
    type_text,
    wait_for_screen,
    wait_for_text,
    wizard,
)
from tests.screens.fake_engine import ADDRESS
from tests.screens.scenes import PASSPHRASE, running, to_sync

ANSWERS = Answers(
    find=FindAnswer(device=ADDRESS),
    sync=SyncAnswer(method=SyncMethod.WIFI),
    network=NetworkAnswer(ssid="Home", security=Security.WPA2, secret=SecretStr(PASSPHRASE)),
    provision=ProvisionAnswer(),
    link=LinkAnswer(account="alex"),
)


async def finished(pilot: Pilot[Any]) -> None:
    """At the end of an installation, without the way there."""
    app = wizard(pilot)
    app.answers = ANSWERS
    app.push_screen(FinishScreen(SimpleOutcome("installed", ANSWERS), app.state))
    await wait_for_screen(pilot, FinishScreen)


async def rename(pilot: Pilot[Any], path: Path) -> None:
    await pilot.press("ctrl+u")
    pilot.app.screen.query_one("#path", Input).value = str(path)
    await pilot.pause()


async def test_saved_answers_can_be_replayed_and_hold_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    async with running() as (pilot, _):
        await finished(pilot)
        await pilot.press("s")
        await wait_for_screen(pilot, SaveAnswersDialog)
        await rename(pilot, file)
        await pilot.press("enter")
        await wait_for_screen(pilot, FinishScreen)
        assert to_toml(load(file)) == to_toml(ANSWERS)
    assert PASSPHRASE not in file.read_text()
    assert tomllib.loads(file.read_text())["network"]["ssid"] == "Home"


async def test_an_existing_file_is_overwritten_only_on_a_second_yes(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("version = 1\n")
    async with running() as (pilot, _):
        await finished(pilot)
        await pilot.press("s")
        await wait_for_screen(pilot, SaveAnswersDialog)
        await rename(pilot, file)
        await pilot.press("enter")
        await wait_for_text(pilot, "mine.toml exists. Save once more to overwrite it.")
        assert file.read_text() == "version = 1\n"
        await press_button(pilot, "save")
        await wait_for_screen(pilot, FinishScreen)
    assert load(file).find is not None


async def test_a_folder_that_is_not_there_is_named_and_escape_saves_nothing(tmp_path: Path) -> None:
    async with running() as (pilot, _):
        await finished(pilot)
        await pilot.press("s")
        await wait_for_screen(pilot, SaveAnswersDialog)
        await rename(pilot, tmp_path / "no" / "mine.toml")
        await pilot.press("enter")
        await wait_for_text(pilot, "No such file or directory")
        await pilot.press("escape")
        await wait_for_screen(pilot, FinishScreen)
    assert list(tmp_path.iterdir()) == []


async def test_answers_can_be_saved_in_the_middle_and_not_before_the_first(tmp_path: Path) -> None:
    async with running() as (pilot, _):
        await wait_for_screen(pilot, HomeScreen)
        await pilot.press("s")
        assert isinstance(pilot.app.screen, HomeScreen)
        await to_sync(pilot)
        await answer_sync(pilot, "wifi")
        await wait_for_screen(pilot, NetworkScreen)
        await pilot.press("s")
        await wait_for_screen(pilot, SaveAnswersDialog)
        await rename(pilot, tmp_path)
        await pilot.press("enter")
        await wait_for_screen(pilot, NetworkScreen)
    assert set(tomllib.loads((tmp_path / "answers.toml").read_text())) == {"version", "find", "sync"}


async def test_the_dialog_keeps_letters_for_the_path() -> None:
    async with running() as (pilot, _):
        await finished(pilot)
        await pilot.press("s")
        dialog = await wait_for_screen(pilot, SaveAnswersDialog)
        await pilot.press("ctrl+u")
        await type_text(pilot, "sqnh?.toml")
        assert dialog.query_one("#path", Input).value == "sqnh?.toml"


async def test_a_dry_run_tells_its_plan() -> None:
    async with running() as (pilot, _):
        app = wizard(pilot)
        app.show(InstallationStarted(version="0", dry_run=True))
        app.show(Planned(step="provision", text="Send the credentials of Home."))
        app.push_screen(FinishScreen(SimpleOutcome("planned", Answers()), app.state))
        await wait_for_screen(pilot, FinishScreen)
        text = screen_text(pilot)
        for part in ("DRY RUN", "nothing was sent", "Provision  Send the credentials of Home."):
            assert part in text


async def test_help_lists_the_keys_of_the_screen_it_was_opened_on() -> None:
    async with running() as (pilot, _):
        await finished(pilot)
        await pilot.press("question_mark")
        await wait_for_screen(pilot, HelpDialog)
        text = screen_text(pilot)
        for part in ("Install the next device", "Save the choices", "Ctrl+q"):
            assert part in text
        await pilot.press("escape")
        await wait_for_screen(pilot, FinishScreen)


def mat(app: Any) -> None:
    """A sleep mat is linked; its first night is to come."""
    app.show(Linked(way="link", account="alex", device_id="77aa"))
    app.show(Notice(code="first_data_later", text="Its first data comes after the first night."))


NIGHT = Measurement(readings=(Reading(quantity=Quantity.SLEEP, value=Decimal(27000), unit="s"),))


async def test_the_first_measurement_is_shown_when_it_comes() -> None:
    came: asyncio.Future[Measurement | None] = asyncio.get_running_loop().create_future()

    async def first_data(_outcome: Any) -> Measurement | None:
        return await came

    async with running(wait_for_first_data=first_data) as (pilot, _):
        mat(wizard(pilot))
        await finished(pilot)
        await wait_for_text(pilot, "Its first measurement is shown here when it comes.")
        await wait_for_text(pilot, "after the first night")
        came.set_result(NIGHT)
        await wait_for_text(pilot, "hours asleep")
        await wait_for_text(pilot, "Its first data arrived.")
        assert "after the first night" not in screen_text(pilot)


async def test_who_leaves_the_last_screen_is_not_waited_for() -> None:
    ended = asyncio.Event()

    async def first_data(_outcome: Any) -> Measurement | None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return None

    async with running(wait_for_first_data=first_data) as (pilot, _):
        mat(wizard(pilot))
        await finished(pilot)
        await wait_for_text(pilot, "when it comes")
        await pilot.press("h")
        await wait_for_screen(pilot, HomeScreen)
        await asyncio.wait_for(ended.wait(), 10)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "Its data comes when it has measured."),
        (
            InstallerError(ErrorCode.TOKEN_REJECTED, "Signed out.", ""),
            "The wait for its first data has ended: Signed out.",
        ),
    ],
)
async def test_a_wait_in_vain_is_said(answer: Any, words: str) -> None:
    async def first_data(_outcome: Any) -> Measurement | None:
        if answer is not None:
            raise answer
        return None

    async with running(wait_for_first_data=first_data) as (pilot, _):
        mat(wizard(pilot))
        await finished(pilot)
        await wait_for_text(pilot, words)


@pytest.mark.parametrize(
    ("reading", "digits", "words"),
    [
        (Reading(quantity=Quantity.WEIGHT, value=Decimal("72.350"), unit="kg"), "72.35", "kg   weight"),
        (Reading(quantity=Quantity.STEPS, value=Decimal(4200), unit="steps"), "4200", "steps"),
        (Reading(quantity=Quantity.SLEEP, value=Decimal(27000), unit="s"), "7:30", "hours asleep"),
        (Reading(quantity=Quantity.SYSTOLIC, value=Decimal(128), unit="mmHg"), "128", "mmHg   systolic pressure"),
    ],
)
def test_a_reading_in_digits(reading: Reading, digits: str, words: str) -> None:
    assert (digits_text(reading), digits_caption(reading)) == (digits, words)
