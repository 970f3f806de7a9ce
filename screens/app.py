"""The wizard's app: one engine after another, from the home screen to the finish screen."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.worker import WorkerFailed

from installer.answers import Answers, StepKey
from installer.catalogue.catalogue import Catalogue
from installer.errors import InstallerError
from installer.flow.questions import Cancelled
from screens.engine_interface import Ended, FirstData, Installation, Outcome, RecordsDesk, Start, StartBatch, Unfinished
from screens.frame import Frame
from screens.front_end import FrontEndApp
from screens.home import HomeScreen
from screens.run_state import RunState
from screens.theme import DARK, DEFAULTS, LIGHT
from screens.widgets import later

if TYPE_CHECKING:
    from installer.bluetooth.sighting import Sighting
    from installer.flow.resumable import Resumable
    from screens.batch import BatchScreen

# How long an engine may take to tidy up when it is stopped, in seconds.
STOP_WITHIN = 10.0


class WizardApp(FrontEndApp):
    """The wizard. `start(front, answers)` makes an installation whose front end is this app.

    `answers`: given beforehand, those steps are not asked. `lab`: show the badge. `begin`: start
    the first installation without the home screen. `first_data`: with it the finish screen waits for a
    measurement that is still to come. The app's result is the last outcome.
    """

    TITLE = "Device Installer"
    CSS_PATH = str(resources.files("assets").joinpath("wizard.tcss"))
    COMMAND_PALETTE_DISPLAY = "^p"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", show=False, priority=True, id="quit", tooltip="Stop and leave the program"),
    ]

    def __init__(
        self,
        start: Start,
        *,
        answers: Answers | None = None,
        lab: bool = False,
        catalogue: Catalogue,
        begin: bool = False,
        start_batch: StartBatch | None = None,
        first_data: FirstData | None = None,
        unfinished: Unfinished | None = None,
        light: bool = False,
        clock: Callable[[], float] = time.monotonic,
        desk: RecordsDesk | None = None,
    ) -> None:
        super().__init__(answers or Answers(), clock)
        self.desk = desk
        self._kept: Answers | None = None
        self._start = start
        self._given = self.answers
        self.lab = lab
        self.catalogue = catalogue
        self.outcome: Outcome | None = None
        self._begin = begin
        self._start_batch = start_batch
        self.first_data = first_data
        self._unfinished = unfinished
        self._ticked: tuple[Sighting, ...] = ()
        self._engine: asyncio.Task[Any] | None = None
        self._leaving = False
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = LIGHT.name if light else DARK.name

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our own variables, for themes that do not know them."""
        return DEFAULTS

    def get_default_screen(self) -> Screen[Any]:
        """Home is below everything."""
        return HomeScreen()

    def on_mount(self) -> None:
        if self._begin:
            self.begin()
        elif self.desk is not None:
            # The first frame does not wait for it.
            desk = self.desk
            self.call_after_refresh(lambda: self.run_worker(later(self._offer_migration, desk)))

    # --- one installation -------------------------------------------------------------

    @property
    def installing(self) -> bool:
        """Whether an engine is running."""
        return self._engine is not None

    @property
    def has_answers(self) -> bool:
        """Whether there is anything to save."""
        return any(self.answers.get(key) is not None for key in StepKey)

    def begin(self, offer: Resumable | None = None) -> None:
        """Start an installation, from the home or the finish screen; or go on with one that was cut off."""
        if self.installing:
            return
        self.state, self.outcome = RunState(), None
        self.answers = self._given if offer is None else Answers()
        self._stopping = self._leaving = False
        self.run_worker(self._install(offer), name="installation", group="installation", exclusive=True)

    async def offers(self) -> Sequence[Resumable]:
        """What was cut off and can be gone on with, the newest first."""
        return await self._unfinished.offers() if self._unfinished is not None else ()

    async def forget(self, offer: Resumable) -> None:
        """Do not offer it any more."""
        assert self._unfinished is not None
        await self._unfinished.forget(offer)

    def begin_another(self) -> None:
        """Start the next installation; an address that was given beforehand belongs to the last device."""
        if self._given.find is not None and self._given.find.device is not None:
            self._given = self._given.without([StepKey.FIND])
        self.go_home()
        self.begin()

    def go_home(self) -> None:
        """Close all screens but the home screen."""
        while len(self.screen_stack) > 1:
            self.pop_screen()
        self.batch = None
        if self._kept is not None:
            self._given, self._kept = self._kept, None

    def begin_with(self, answers: Answers) -> None:
        """Start an installation with these answers in place of those that were given beforehand."""
        if self.installing:
            return
        self.go_home()
        self._kept, self._given = self._given, answers
        self.begin()

    def open_records(self) -> None:
        """What was installed, from the home screen."""
        from screens.records import RecordsScreen

        if self.desk is not None and not self.installing:
            self.push_screen(RecordsScreen(self.desk))

    async def _offer_migration(self, desk: RecordsDesk) -> None:
        from screens.ledger_migration import offer_migration

        await offer_migration(self, desk)

    @property
    def can_batch(self) -> bool:
        """Whether several devices can be installed at once here."""
        return self._start_batch is not None

    def begin_batch(self, sightings: Sequence[Sighting]) -> None:
        """From the list: leave the installation that asks for one device, and install these."""
        self._ticked = tuple(sightings)
        self._stop(leave=False)

    def again_batch(self) -> None:
        """What is left of the batch."""
        if self.batch is not None and not self.installing:
            self._stopping = self._leaving = False
            self.run_worker(self._run_batch(self.batch), name="batch", group="installation", exclusive=True)

    async def _open_batch(self, sightings: Sequence[Sighting]) -> None:
        from screens.batch import BatchScreen

        assert self._start_batch is not None
        self.state, self.outcome = RunState(), None
        self._stopping = self._leaving = False
        self.batch = BatchScreen(self._start_batch(self, sightings))
        await self.push_screen(self.batch)
        await self._run_batch(self.batch)

    async def _run_batch(self, screen: BatchScreen) -> None:
        engine = self._engine = asyncio.create_task(screen.run.run(), name="batch")
        try:
            await asyncio.wait([engine])
            engine.result()
        except InstallerError as error:
            screen.problem = error
        except (Cancelled, asyncio.CancelledError):
            if not engine.done():
                engine.cancel()
                await asyncio.wait([engine], timeout=STOP_WITHIN)
                raise
        finally:
            self._engine = None
        if self._leaving:
            self.exit(self.outcome)
        elif not screen.board.rows and screen.problem is None:
            self.go_home()
        else:
            self._close_lingering()
            screen.ended()

    def _engine_for(self, offer: Resumable | None) -> Installation:
        if offer is None or self._unfinished is None:
            return self._start(self, self._given)
        return self._unfinished.go_on(self, offer)

    async def _install(self, offer: Resumable | None = None) -> None:
        from screens.progress import ProgressScreen

        await self.push_screen(ProgressScreen())
        engine = self._engine = asyncio.create_task(self._engine_for(offer).run(), name="engine")
        problem: InstallerError | None = None
        try:
            await asyncio.wait([engine])
            self.outcome = engine.result()
            self.answers = self.outcome.answers
        except InstallerError as error:
            problem = error
            self.outcome = Ended("failed", self.answers)
        except (Cancelled, asyncio.CancelledError):
            if not engine.done():  # the app ends, not the engine
                engine.cancel()
                await asyncio.wait([engine], timeout=STOP_WITHIN)
                raise
            self.outcome = Ended("cancelled", self.answers)
        finally:
            self._engine = None
        ticked, self._ticked = self._ticked, ()
        if self._leaving:
            self.exit(self.outcome)
        elif ticked:
            self.go_home()
            await self._open_batch(ticked)
        elif self.outcome.outcome == "cancelled" and not self.state.credentials_sent:
            self.go_home()
        else:
            from screens.finish import FinishScreen

            self.go_home()
            await self.push_screen(FinishScreen(self.outcome, self.state, problem))

    # --- stopping, leaving, saving ------------------------------------------------------

    def stop_installation(self, *, leave: bool = False) -> None:
        """Stop the installation; ask first when the device may have the credentials already. `leave`: then quit."""
        if self.batch is not None and self.batch.board.rows:
            self.batch.ask_to_stop(leave=leave)
            return
        if not self.state.credentials_sent:
            self._stop(leave)
            return
        from screens.dialogs import ConfirmDialog

        dialog = ConfirmDialog(
            "Stop this installation?",
            "The credentials were sent already: the device may join the network even if you stop now. "
            "The installation can be taken up again later.",
            yes="Stop",
            no="Go on",
        )

        def decide(stop: bool | None) -> None:
            if stop:
                self._stop(leave)

        self.push_screen(dialog, decide)

    def _stop(self, leave: bool) -> None:
        self._stopping, self._leaving = True, leave
        if self._pending is not None and not self._pending.done():
            self._pending.set_exception(Cancelled())
        elif self._engine is not None:
            self._engine.cancel()
        elif leave:
            self.exit(self.outcome)

    def leave_after_batch(self) -> None:
        """Quit as soon as the batch has ended."""
        self._leaving = True

    async def action_quit(self) -> None:
        """Leave the program; a running installation is stopped first."""
        if self.installing:
            self.stop_installation(leave=True)
        else:
            self.exit(self.outcome)

    def save_answers(self) -> None:
        """Ask for a path and save the answers there."""
        from screens.dialogs import SaveDialog

        def saved(path: str | None) -> None:
            if path:
                self.notify(path, title="Answers saved", markup=False)

        self.push_screen(SaveDialog(self.answers), saved)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The entries of the command palette: only what helps here."""
        yield SystemCommand("Light or dark colours", "Change between the two", self.action_change_colours)
        if isinstance(screen, Frame):
            yield SystemCommand("Help", "All keys of this screen", screen.action_help)
            if self.has_answers:
                yield SystemCommand("Save answers", "Save the choices as a file for a script", self.save_answers)
        if self.installing:
            yield SystemCommand("Stop", "Stop this installation", self.stop_installation)
        yield SystemCommand("Quit", "Leave the program", self.action_quit)

    def action_change_colours(self) -> None:
        """Light to dark, dark to light."""
        self.theme = LIGHT.name if self.theme == DARK.name else DARK.name

    @property
    def defect(self) -> BaseException | None:
        """The unexpected exception that ended the app, if one did; for the crash report."""
        error = self._exception
        return error.error if isinstance(error, WorkerFailed) else error

    def _fatal_error(self) -> None:
        """End after a defect. Textual would print every local variable, a passphrase among them; here nothing."""
        self.bell()
        self._close_messages_no_wait()
