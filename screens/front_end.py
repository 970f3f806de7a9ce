"""The app as the front end of an engine: events are drawn, each question gets its screen, a failure gets a dialog."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from textual.app import App
from textual.screen import Screen
from textual.timer import Timer

from installer.answers import Answers, FindAnswer, LinkAnswer, NetworkAnswer, ProvisionAnswer, SyncAnswer
from installer.events.json_lines import Event
from installer.flow.front_end import Cancelled, Failure, Recovery
from installer.flow.pairing_questions import AskPasskey, CompareNumbers, RenewBond, ShowPasskey
from installer.flow.questions import (
    AcceptUnproved,
    AskPassphrase,
    AskProof,
    ChooseAccount,
    ChooseDevice,
    ChooseNetwork,
    ChooseReading,
    ChooseSpelling,
    ChooseSync,
    ConfirmAccount,
    ConfirmDevice,
    ConfirmForeign,
    ConfirmSending,
    FollowGuide,
    OfferNotifications,
    Question,
    SignIn,
)
from screens.engine_interface import Outcome
from screens.installation_state import InstallationState
from screens.question_screen import QuestionScreen
from screens.wizard_screen import WizardScreen

if TYPE_CHECKING:
    from screens.batch import BatchScreen

# An answered question stays on screen until the next one, but not longer than this: no flicker between the two.
ANSWERED_SCREEN_SECONDS = 0.15
# These may come during any step, and do not change the step.
_OF_ANY_STEP = (AskProof, AcceptUnproved, ConfirmForeign, AskPasskey, CompareNumbers, ShowPasskey, RenewBond)
_STEP_ANSWERS = (FindAnswer, SyncAnswer, NetworkAnswer, ProvisionAnswer, LinkAnswer)

# The screen of each question: module and class. The module is imported when its question comes.
QUESTION_SCREENS: dict[type[Question], tuple[str, str]] = {
    ChooseDevice: ("screens.find", "FindScreen"),
    ConfirmDevice: ("screens.confirm_device", "ConfirmDeviceScreen"),
    ConfirmForeign: ("screens.provision", "ConfirmForeignScreen"),
    ChooseSync: ("screens.sync", "SyncScreen"),
    ChooseNetwork: ("screens.network", "NetworkScreen"),
    ChooseReading: ("screens.network", "CardReadingScreen"),
    ChooseSpelling: ("screens.network", "NetworkSpellingScreen"),
    AskPassphrase: ("screens.secret_screens", "PassphraseScreen"),
    AskProof: ("screens.secret_screens", "ProofScreen"),
    AskPasskey: ("screens.pairing", "PasskeyScreen"),
    CompareNumbers: ("screens.pairing", "CompareScreen"),
    ShowPasskey: ("screens.pairing", "ShowPasskeyScreen"),
    RenewBond: ("screens.pairing", "RenewBondScreen"),
    ConfirmSending: ("screens.provision", "SendScreen"),
    AcceptUnproved: ("screens.provision", "UnprovedScreen"),
    FollowGuide: ("screens.guide", "GuideScreen"),
    ChooseAccount: ("screens.link", "AccountScreen"),
    OfferNotifications: ("screens.notification_offer", "NotificationOfferScreen"),
    ConfirmAccount: ("screens.confirm_account", "ConfirmAccountScreen"),
    SignIn: ("screens.sign_in", "SignInScreen"),
}


def screen_for_question(question: Question) -> QuestionScreen[Any]:
    """A new screen for this question."""
    module, name = QUESTION_SCREENS[type(question)]
    screen: QuestionScreen[Any] = getattr(import_module(module), name)(question)
    return screen


class FrontEndApp(App[Outcome | None]):
    """Implements `installer.flow.front_end.FrontEnd`.

    `state` follows the events, `answers` holds what was answered. While `batch` is set, events go to it.
    `clock`: monotonic seconds.
    """

    def __init__(self, answers: Answers, clock: Callable[[], float]) -> None:
        super().__init__()
        self.clock = clock
        self.state = InstallationState()
        self.answers = answers
        self.batch: BatchScreen | None = None
        self._pending_answer: asyncio.Future[Any] | None = None
        self._stopping = False
        self._answered_screen: QuestionScreen[Any] | None = None
        self._answered_screen_timer: Timer | None = None

    def show(self, event: Event) -> None:
        """Apply an event, and let the open screens draw it."""
        if self.batch is not None:
            self.batch.apply_event(event)
            return
        self.state.apply(event, self.clock())
        for screen in self.screen_stack:
            if isinstance(screen, WizardScreen) and screen.is_mounted:
                screen.refresh_trail()
                refresh = getattr(screen, "state_changed", None)
                if refresh is not None:
                    refresh()

    async def ask(self, question: Question) -> Any:
        """Show the question's screen until it is answered. Cancelling this task withdraws the question."""
        if self._stopping:
            raise Cancelled
        if self.state.step is None or not isinstance(question, _OF_ANY_STEP):
            self.state.enter_step(question.step)
        screen = screen_for_question(question)
        await self._replace_answered_screen(screen)
        self._pending_answer = screen.result
        try:
            answer = await screen.result
        except asyncio.CancelledError:
            self._close(screen)
            raise
        except Cancelled:
            self._stopping = True
            self._keep_answered_screen(screen)
            raise
        else:
            if isinstance(answer, _STEP_ANSWERS):
                self.answers = self.answers.with_answer(question.step, answer)
            return answer
        finally:
            self._pending_answer = None
            screen.clear_secrets()
            if screen in self.screen_stack:
                self._keep_answered_screen(screen)

    async def recover(self, failure: Failure) -> Recovery:
        """Show a failure and ask what to do."""
        from screens.failure_dialog import FailureDialog

        if self._stopping:
            return Recovery.STOP
        self._close_answered_screen()
        dialog = FailureDialog(failure)
        await self.push_screen(dialog)
        self._pending_answer = dialog.result
        try:
            recovery: Recovery = await dialog.result
        except Cancelled:
            recovery = Recovery.STOP
        finally:
            self._pending_answer = None
            self._close(dialog)
        if recovery is Recovery.STOP:
            self._stopping = True
        return recovery

    async def _replace_answered_screen(self, screen: QuestionScreen[Any]) -> None:
        answered = self._answered_screen
        self._forget_answered_screen()
        if answered is None or answered not in self.screen_stack:
            await self.push_screen(screen)
            return
        while self.screen is not answered:
            self.pop_screen()
        await self.switch_screen(screen)

    def _keep_answered_screen(self, screen: QuestionScreen[Any]) -> None:
        if self._answered_screen is screen:
            return
        self._forget_answered_screen()
        self._answered_screen = screen
        self._answered_screen_timer = self.set_timer(ANSWERED_SCREEN_SECONDS, self._close_answered_screen)

    def _forget_answered_screen(self) -> None:
        if self._answered_screen_timer is not None:
            self._answered_screen_timer.stop()
        self._answered_screen = self._answered_screen_timer = None

    def _close_answered_screen(self) -> None:
        screen = self._answered_screen
        self._forget_answered_screen()
        if screen is not None:
            self._close(screen)

    def _close(self, screen: Screen[Any]) -> None:
        """Close a screen and the dialogs above it."""
        while screen in self.screen_stack[1:]:
            self.pop_screen()
