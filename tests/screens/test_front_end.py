"""The app as the engine's front end: withdrawn questions, stopping, failures, defects."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from installer.answers import Answers, FindAnswer, StepKey
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import Notice
from installer.flow.front_end import Cancelled, Failure, FrontEnd, Recovery
from installer.flow.questions import AskPassphrase, SignIn
from installer.wifi.networks import Network, Security
from screens.app import WizardApp
from screens.dialogs import ConfirmDialog
from screens.engine_interface import SimpleOutcome
from screens.failure_dialog import FailureDialog
from screens.find import FindScreen
from screens.help import HelpDialog
from screens.home import HomeScreen
from screens.progress import ProgressScreen
from screens.secret_screens import PassphraseScreen
from screens.sign_in import SignInScreen
from tests.screens.driver import (
    answer_account,
    answer_find,
    answer_sync,
    begin,
    confirm_sending,
    press_button,
    screen_text,
    until,
    wait_for_finish,
    wait_for_progress,
    wait_for_screen,
    wait_for_text,
    wizard,
)
from tests.screens.fake_engine import ADDRESS, CATALOGUE, Script
from tests.screens.scenes import PASSPHRASE, joining, running, to_sending

BROKEN = InstallerError(ErrorCode.JOIN_FAILED, "The device could not join Home.", "Type the passphrase again.")


async def test_a_withdrawn_question_goes_away() -> None:
    came_back = asyncio.Event()
    async with running(Script(accounts=(), browser_came_back=came_back)) as (pilot, starter):
        await begin(pilot)
        await answer_find(pilot, ADDRESS)
        await answer_sync(pilot, "bluetooth")
        await answer_account(pilot, None)
        screen = await wait_for_screen(pilot, SignInScreen)
        came_back.set()
        await wait_for_finish(pilot)
        assert screen not in pilot.app.screen_stack
        assert starter.made[0].pasted == ""


async def test_a_withdrawn_question_takes_its_dialogs_along() -> None:
    async with running() as (pilot, _):
        app = wizard(pilot)
        question = SignIn(account="a", url="https://x.example/", short_url="http://127.0.0.1:1/", seconds=60)
        asking = app.run_worker(app.ask(question), exit_on_error=False)
        await wait_for_screen(pilot, SignInScreen)
        await pilot.press("f1")
        await wait_for_screen(pilot, HelpDialog)
        asking.cancel()
        await wait_for_screen(pilot, HomeScreen)
        assert len(app.screen_stack) == 1


async def test_stopping_at_the_first_question_goes_home_at_once() -> None:
    async with running() as (pilot, _):
        await begin(pilot)
        await wait_for_screen(pilot, FindScreen)
        await pilot.press("escape")
        await wait_for_screen(pilot, HomeScreen)
        app = wizard(pilot)
        assert app.outcome is not None
        assert app.outcome.outcome == "cancelled"
        assert not app.installing


async def test_stopping_after_the_credentials_were_sent_asks_first() -> None:
    async with running(Script(hold=asyncio.Event())) as (pilot, _):
        await joining(pilot)
        await pilot.press("escape")
        await wait_for_screen(pilot, ConfirmDialog)
        await pilot.press("enter")  # the focus is on the safe answer
        await wait_for_screen(pilot, ProgressScreen)
        await pilot.press("escape")
        await wait_for_screen(pilot, ConfirmDialog)
        await press_button(pilot, "yes")
        finish = await wait_for_finish(pilot)
        assert finish.outcome.outcome == "cancelled"
        assert "was stopped" in screen_text(pilot)


async def test_quitting_stops_the_engine_and_leaves() -> None:
    async with running(Script(hold=asyncio.Event(), hold_at="button")) as (pilot, _):
        await to_sending(pilot)
        await confirm_sending(pilot)
        await wait_for_progress(pilot, "Press the button")
        await pilot.press("ctrl+q")
        app = wizard(pilot)
        await until(pilot, lambda: app.return_value is not None, "the end")
    assert app.return_value is not None
    assert app.return_value.outcome == "cancelled"
    assert not app.installing


async def test_quitting_at_a_question_raises_cancelled_in_the_engine() -> None:
    class Asking:
        """Asks once; notes how the question ended."""

        def __init__(self, front: FrontEnd, answers: Answers) -> None:
            self.front, self.answers = front, answers

        async def run(self) -> SimpleOutcome:
            try:
                await self.front.ask(AskPassphrase(network=Network(ssid="Home", security=Security.WPA2)))
            except Cancelled:
                return SimpleOutcome("cancelled", self.answers.with_answer(StepKey.FIND, FindAnswer(device=ADDRESS)))
            return SimpleOutcome("installed", self.answers)

    app = WizardApp(Asking, catalogue=CATALOGUE, begin_at_once=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_screen(pilot, PassphraseScreen)
        await pilot.press("ctrl+q")
        await until(pilot, lambda: app.return_value is not None, "the end")
    assert app.return_value is not None
    assert app.return_value.answers.find is not None


@pytest.mark.parametrize(
    ("key", "expected"), [("enter", Recovery.RETRY), ("c", Recovery.CHANGE), ("escape", Recovery.CHANGE)]
)
async def test_a_failure_says_what_and_what_to_do(key: str, expected: Recovery) -> None:
    async with running() as (pilot, _):
        app = wizard(pilot)
        recoveries = (Recovery.RETRY, Recovery.CHANGE, Recovery.STOP)
        failure = Failure(step=StepKey.PROVISION, error=BROKEN, recoveries=recoveries, attempt=2)
        deciding = app.run_worker(app.recover(failure))
        await wait_for_screen(pilot, FailureDialog)
        text = screen_text(pilot)
        for part in (BROKEN.what, BROKEN.todo, "join_failed (50)", "(try 2)", "Try again", "Stop"):
            assert part in text
        await pilot.press(key)
        assert await deciding.wait() is expected
        await wait_for_screen(pilot, HomeScreen)


async def test_a_failure_offers_only_what_is_possible_and_escape_does_not_decide() -> None:
    async with running() as (pilot, _):
        app = wizard(pilot)
        failure = Failure(step=StepKey.FIND, error=BROKEN, recoveries=(Recovery.STOP,))
        deciding = app.run_worker(app.recover(failure))
        await wait_for_screen(pilot, FailureDialog)
        assert "Try again" not in screen_text(pilot)
        await pilot.press("r", "c", "escape")
        assert isinstance(app.screen, FailureDialog)
        await pilot.press("s")
        assert await deciding.wait() is Recovery.STOP


async def test_an_error_of_the_engine_is_shown_at_the_end() -> None:
    class Failing:
        """Fails at once."""

        def __init__(self, front: FrontEnd, answers: Answers) -> None:
            self.front = front

        async def run(self) -> SimpleOutcome:
            raise InstallerError(ErrorCode.BLUETOOTH_MISSING, "There is no Bluetooth adapter.", "Plug one in.")

    app = WizardApp(Failing, catalogue=CATALOGUE, begin_at_once=True)
    async with app.run_test(size=(80, 24)) as pilot:
        finish = await wait_for_finish(pilot)
        assert finish.outcome.outcome == "failed"
        assert "There is no Bluetooth adapter. Plug one in." in screen_text(pilot)


async def test_a_defect_ends_the_app_without_showing_variables(capsys: pytest.CaptureFixture[str]) -> None:
    class Defective:
        """Has a bug while it holds a passphrase."""

        def __init__(self, front: FrontEnd, answers: Answers) -> None:
            self.front = front

        async def run(self) -> SimpleOutcome:
            passphrase = PASSPHRASE
            raise ZeroDivisionError(len(passphrase))

    app = WizardApp(Defective, catalogue=CATALOGUE, begin_at_once=True)
    with pytest.raises(Exception, match=r"ZeroDivisionError|16"):
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: app.unexpected_error is not None, "the defect")
    assert isinstance(app.unexpected_error, ZeroDivisionError)
    captured = capsys.readouterr()
    assert PASSPHRASE not in captured.out + captured.err


async def test_notices_are_shown_while_it_goes_on() -> None:
    async with running(Script(hold=asyncio.Event())) as (pilot, _):
        await joining(pilot)
        wizard(pilot).show(Notice(code="band", text="The network is on [b]2.4 GHz[/b] only."))
        await wait_for_text(pilot, "The network is on [b]2.4 GHz[/b] only.")


async def test_answers_given_beforehand_reach_the_engine() -> None:
    given = Answers(find=FindAnswer(model="body-plus"))
    seen: list[Any] = []

    class Reading:
        """Notes its answers."""

        def __init__(self, front: FrontEnd, answers: Answers) -> None:
            seen.append(answers)
            self.answers = answers

        async def run(self) -> SimpleOutcome:
            return SimpleOutcome("installed", self.answers)

    app = WizardApp(Reading, answers=given, catalogue=CATALOGUE, begin_at_once=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_finish(pilot)
    assert seen == [given]
