"""The app as the front end of one engine: events are drawn, questions become screens, failures a dialog."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual.app import App
from textual.screen import Screen
from textual.timer import Timer

from installer.answers import Answers, FindAnswer, LinkAnswer, NetworkAnswer, ProvisionAnswer, SyncAnswer
from installer.events.stream import Event
from installer.flow.questions import AskProof, Cancelled, Failure, Question, Recovery
from screens.engine_interface import Outcome
from screens.frame import Frame, QuestionScreen
from screens.question_screens import screen_for
from screens.run_state import RunState

if TYPE_CHECKING:
    from screens.batch import BatchScreen

# An answered question stays on screen this long if the next one does not come sooner: no flicker between the two.
LINGER = 0.15
_ANSWERS = (FindAnswer, SyncAnswer, NetworkAnswer, ProvisionAnswer, LinkAnswer)


class FrontEndApp(App[Outcome | None]):
    """What an engine talks to. `state` follows its events, `answers` what was answered; `batch`: its events go there.

    `clock`: seconds that only grow.
    """

    def __init__(self, answers: Answers, clock: Callable[[], float]) -> None:
        super().__init__()
        self.clock = clock
        self.state = RunState()
        self.answers = answers
        self.batch: BatchScreen | None = None
        self._pending: asyncio.Future[Any] | None = None
        self._stopping = False
        self._lingering: QuestionScreen[Any] | None = None
        self._linger_timer: Timer | None = None

    def show(self, event: Event) -> None:
        """Take in an event; whatever screen is there draws it."""
        if self.batch is not None:
            self.batch.take(event)
            return
        self.state.apply(event, self.clock())
        for screen in self.screen_stack:
            if isinstance(screen, Frame) and screen.is_mounted:
                screen.refresh_trail()
                refresh = getattr(screen, "state_changed", None)
                if refresh is not None:
                    refresh()

    async def ask(self, question: Question) -> Any:
        """Show the question's screen until it is answered, or withdrawn by cancelling this task."""
        if self._stopping:
            raise Cancelled
        if self.state.step is None or not isinstance(question, AskProof):
            # The proof is asked for when a device wants it, whatever step is at hand.
            self.state.enter(question.step)
        screen = screen_for(question)
        await self._replace_lingering(screen)
        self._pending = screen.result
        try:
            answer = await screen.result
        except asyncio.CancelledError:
            self._close(screen)
            raise
        except Cancelled:
            self._stopping = True
            self._linger(screen)
            raise
        else:
            if isinstance(answer, _ANSWERS):
                self.answers = self.answers.with_answer(question.step, answer)
            return answer
        finally:
            self._pending = None
            screen.forget()
            if screen in self.screen_stack:
                self._linger(screen)

    async def recover(self, failure: Failure) -> Recovery:
        """Show what failed and what may follow."""
        from screens.dialogs import RecoverDialog

        if self._stopping:
            return Recovery.STOP
        self._close_lingering()
        dialog = RecoverDialog(failure)
        await self.push_screen(dialog)
        self._pending = dialog.result
        try:
            recovery: Recovery = await dialog.result
        except Cancelled:
            recovery = Recovery.STOP
        finally:
            self._pending = None
            self._close(dialog)
        if recovery is Recovery.STOP:
            self._stopping = True
        return recovery

    async def _replace_lingering(self, screen: QuestionScreen[Any]) -> None:
        old = self._lingering
        self._stop_lingering()
        if old is None or old not in self.screen_stack:
            await self.push_screen(screen)
            return
        while self.screen is not old:
            self.pop_screen()
        await self.switch_screen(screen)

    def _linger(self, screen: QuestionScreen[Any]) -> None:
        if self._lingering is screen:
            return
        self._stop_lingering()
        self._lingering = screen
        self._linger_timer = self.set_timer(LINGER, self._close_lingering)

    def _stop_lingering(self) -> None:
        if self._linger_timer is not None:
            self._linger_timer.stop()
        self._lingering = self._linger_timer = None

    def _close_lingering(self) -> None:
        screen = self._lingering
        self._stop_lingering()
        if screen is not None:
            self._close(screen)

    def _close(self, screen: Screen[Any]) -> None:
        """Take a screen away, with the dialogs that are above it."""
        while screen in self.screen_stack[1:]:
            self.pop_screen()
