"""The wizard's app: runs one installation or batch after another, from the home screen to the finish screen."""

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
from installer.catalogue.catalogue_file import Catalogue
from installer.errors import InstallerError
from installer.flow.front_end import Cancelled
from screens.engine_interface import (
    Installation,
    Ledger,
    Outcome,
    ResumableInstallations,
    SimpleOutcome,
    StartBatch,
    StartInstallation,
    WaitForFirstData,
)
from screens.front_end import FrontEndApp
from screens.home import HomeScreen
from screens.installation_state import InstallationState
from screens.theme import DARK, DEFAULT_VARIABLES, LIGHT
from screens.widgets import deferred_call
from screens.wizard_screen import WizardScreen

if TYPE_CHECKING:
    from installer.bluetooth.sighting import Sighting
    from installer.flow.resume import Resumable
    from screens.app_interface import Wizard
    from screens.batch import BatchScreen

# How long a cancelled engine may take to clean up.
ENGINE_STOP_SECONDS = 10.0
NOTICE_SECONDS = 20.0


class WizardApp(FrontEndApp):
    """The wizard. `start_installation(front_end, answers)` makes an installation whose front end is this app.

    `answers`: preset answers; their steps are not asked. `lab`: show the badge. `begin_at_once`: start
    the first installation without the home screen. `notice`: shown for some seconds at the start.
    `wait_for_first_data`: lets the finish screen wait for a measurement that has not arrived yet. The app returns the
    last outcome.
    """

    TITLE = "Device Installer"
    CSS_PATH = str(resources.files("assets").joinpath("wizard.tcss"))
    COMMAND_PALETTE_DISPLAY = "^p"
    # A screen has the class `-narrow` below 70 columns.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (70, "-wide")]  # noqa: RUF012 - the base class has no ClassVar

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", show=False, priority=True, id="quit", tooltip="Stop and leave the program"),
    ]

    def __init__(
        self,
        start_installation: StartInstallation,
        *,
        answers: Answers | None = None,
        lab: bool = False,
        catalogue: Catalogue,
        begin_at_once: bool = False,
        start_batch: StartBatch | None = None,
        wait_for_first_data: WaitForFirstData | None = None,
        resumable: ResumableInstallations | None = None,
        light: bool = False,
        clock: Callable[[], float] = time.monotonic,
        ledger: Ledger | None = None,
        notice: str = "",
    ) -> None:
        super().__init__(answers or Answers(), clock)
        self.lab = lab
        self.catalogue = catalogue
        self.ledger: Ledger | None = ledger
        self.outcome: Outcome | None = None
        self.wait_for_first_data: WaitForFirstData | None = wait_for_first_data
        self._start_installation = start_installation
        self._start_batch = start_batch
        self._resumable = resumable
        self._begin_at_once = begin_at_once
        self._notice = notice
        self._preset_answers = self.answers
        self._saved_preset_answers: Answers | None = None
        self._batch_devices: tuple[Sighting, ...] = ()
        self._engine: asyncio.Task[Any] | None = None
        self._quitting = False
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = LIGHT.name if light else DARK.name

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our own variables, for themes that do not define them."""
        return DEFAULT_VARIABLES

    def get_default_screen(self) -> Screen[Any]:
        """The home screen is below all others."""
        return HomeScreen()

    def on_mount(self) -> None:
        if self._notice:
            self.notify(self._notice, severity="warning", timeout=NOTICE_SECONDS, markup=False)
        if self._begin_at_once:
            self.begin()
        elif self.ledger is not None:
            # The first frame does not wait for the ledger.
            ledger = self.ledger
            self.call_after_refresh(lambda: self.run_worker(deferred_call(self._offer_ledger_migration, ledger)))

    # --- one installation -------------------------------------------------------------

    @property
    def installing(self) -> bool:
        """Whether an engine is running."""
        return self._engine is not None

    @property
    def has_answers(self) -> bool:
        """Whether there are answers to save."""
        return any(self.answers.get(key) is not None for key in StepKey)

    def begin(self, resumable: Resumable | None = None) -> None:
        """Start an installation from the home or the finish screen, or resume an interrupted one."""
        if self.installing:
            return
        self.state, self.outcome = InstallationState(), None
        self.answers = self._preset_answers if resumable is None else Answers()
        self._stopping = self._quitting = False
        self.run_worker(self._install(resumable), name="installation", group="installation", exclusive=True)

    async def resumable_installations(self) -> Sequence[Resumable]:
        """The interrupted installations that can be resumed, newest first."""
        return await self._resumable.offers() if self._resumable is not None else ()

    async def dismiss_resumable(self, resumable: Resumable) -> None:
        """Stop offering to resume this one."""
        assert self._resumable is not None
        await self._resumable.dismiss(resumable)

    def begin_next_installation(self) -> None:
        """Start the next installation; a preset device address is dropped, because it was the last device's."""
        if self._preset_answers.find is not None and self._preset_answers.find.device is not None:
            self._preset_answers = self._preset_answers.without([StepKey.FIND])
        self.go_home()
        self.begin()

    def go_home(self) -> None:
        """Close all screens but the home screen."""
        while len(self.screen_stack) > 1:
            self.pop_screen()
        self.batch = None
        if self._saved_preset_answers is not None:
            self._preset_answers, self._saved_preset_answers = self._saved_preset_answers, None

    def begin_with_answers(self, answers: Answers) -> None:
        """Start one installation with these answers instead of the preset ones."""
        if self.installing:
            return
        self.go_home()
        self._saved_preset_answers, self._preset_answers = self._preset_answers, answers
        self.begin()

    def open_records(self) -> None:
        """Show the records, from the home screen."""
        from screens.records import RecordsScreen

        if self.ledger is not None and not self.installing:
            self.push_screen(RecordsScreen(self.ledger))

    async def _offer_ledger_migration(self, ledger: Ledger) -> None:
        from screens.ledger_migration import offer_ledger_migration

        await offer_ledger_migration(self, ledger, is_installing=lambda: self.installing)

    def _engine_for(self, resumable: Resumable | None) -> Installation:
        if resumable is None or self._resumable is None:
            return self._start_installation(self, self._preset_answers)
        return self._resumable.resume(self, resumable)

    async def _install(self, resumable: Resumable | None = None) -> None:
        from screens.progress import ProgressScreen

        await self.push_screen(ProgressScreen())
        engine = self._engine = asyncio.create_task(self._engine_for(resumable).run(), name="engine")
        problem: InstallerError | None = None
        try:
            await asyncio.wait([engine])
            self.outcome = engine.result()
            self.answers = self.outcome.answers
        except InstallerError as error:
            problem = error
            self.outcome = SimpleOutcome("failed", self.answers)
        except (Cancelled, asyncio.CancelledError):
            if not engine.done():  # the app ends, not the engine
                engine.cancel()
                await asyncio.wait([engine], timeout=ENGINE_STOP_SECONDS)
                raise
            self.outcome = SimpleOutcome("cancelled", self.answers)
        finally:
            self._engine = None
        batch_devices, self._batch_devices = self._batch_devices, ()
        if self._quitting:
            self.exit(self.outcome)
        elif batch_devices:
            self.go_home()
            await self._open_batch(batch_devices)
        elif self.outcome.outcome == "cancelled" and not self.state.credentials_sent:
            self.go_home()
        else:
            from screens.finish import FinishScreen

            self.go_home()
            await self.push_screen(FinishScreen(self.outcome, self.state, problem))

    # --- a batch ------------------------------------------------------------------------

    @property
    def can_batch(self) -> bool:
        """Whether several devices can be installed at once."""
        return self._start_batch is not None

    def begin_batch(self, sightings: Sequence[Sighting]) -> None:
        """Install these devices. First cancels the installation that asks for a single device."""
        self._batch_devices = tuple(sightings)
        self._stop(leave=False)

    def retry_batch(self) -> None:
        """Try again the devices of the batch that are not installed."""
        if self.batch is not None and not self.installing:
            self._stopping = self._quitting = False
            self.run_worker(self._run_batch(self.batch), name="batch", group="installation", exclusive=True)

    def quit_after_batch(self) -> None:
        """Quit as soon as the batch has ended."""
        self._quitting = True

    async def _open_batch(self, sightings: Sequence[Sighting]) -> None:
        from screens.batch import BatchScreen

        assert self._start_batch is not None
        self.state, self.outcome = InstallationState(), None
        self._stopping = self._quitting = False
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
                await asyncio.wait([engine], timeout=ENGINE_STOP_SECONDS)
                raise
        finally:
            self._engine = None
        if self._quitting:
            self.exit(self.outcome)
        elif not screen.progress.rows and screen.problem is None:
            self.go_home()
        else:
            self._close_answered_screen()
            screen.batch_ended()

    # --- stopping, leaving, saving ------------------------------------------------------

    def stop_installation(self, *, leave: bool = False) -> None:
        """Stop the installation; ask first if the device may have the credentials already. `leave`: then quit."""
        if self.batch is not None and self.batch.progress.rows:
            self.batch.ask_to_stop(leave=leave)
            return
        if not self.state.credentials_sent:
            self._stop(leave)
            return
        from screens.dialogs import ConfirmDialog

        dialog = ConfirmDialog(
            "Stop this installation?",
            "The credentials were sent already: the device may join the network even if you stop now. "
            "You can resume the installation later.",
            yes="Stop",
            no="Go on",
        )

        def decide(stop: bool | None) -> None:
            if stop:
                self._stop(leave)

        self.push_screen(dialog, decide)

    def _stop(self, leave: bool) -> None:
        self._stopping, self._quitting = True, leave
        if self._pending_answer is not None and not self._pending_answer.done():
            self._pending_answer.set_exception(Cancelled())
        elif self._engine is not None:
            self._engine.cancel()
        elif leave:
            self.exit(self.outcome)

    async def action_quit(self) -> None:
        """Leave the program; a running installation is stopped first."""
        if self.installing:
            self.stop_installation(leave=True)
        else:
            self.exit(self.outcome)

    def save_answers(self) -> None:
        """Ask for a path and save the answers there."""
        from screens.save_answers import SaveAnswersDialog

        def saved(path: str | None) -> None:
            if path:
                self.notify(path, title="Answers saved", markup=False)

        self.push_screen(SaveAnswersDialog(self.answers), saved)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The entries of the command palette."""
        yield SystemCommand("Light or dark colours", "Change between the two", self.action_change_colours)
        if isinstance(screen, WizardScreen):
            yield SystemCommand("Help", "All keys of this screen", screen.action_help)
            if self.has_answers:
                yield SystemCommand("Save answers", "Save the choices as a file for a script", self.save_answers)
        if self.installing:
            yield SystemCommand("Stop", "Stop this installation", self.stop_installation)
        yield SystemCommand("Quit", "Leave the program", self.action_quit)

    def action_change_colours(self) -> None:
        """Switch between the light and the dark theme."""
        self.theme = LIGHT.name if self.theme == DARK.name else DARK.name

    @property
    def unexpected_error(self) -> BaseException | None:
        """The unexpected exception that ended the app, if any; for the crash report."""
        error = self._exception
        return error.error if isinstance(error, WorkerFailed) else error

    def _fatal_error(self) -> None:
        """End after an unexpected exception without printing it: Textual would print local variables and secrets."""
        self.bell()
        self._close_messages_no_wait()


if TYPE_CHECKING:

    def _implements_wizard(app: WizardApp) -> Wizard:
        """Lets mypy check that the app has all that the screens need."""
        return app
