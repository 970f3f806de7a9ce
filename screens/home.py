"""The home screen: install a device, resume an interrupted installation, open the records; the known models."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widget import Widget

from installer.catalogue.catalogue_file import Catalogue
from installer.catalogue.model import SyncMethod
from installer.errors import InstallerError
from installer.flow.resume import Resumable
from installer.output import harmless
from screens.cards import Card, CardChoice, Cards
from screens.labels import shown
from screens.widgets import Callout, Text, deferred_call
from screens.wizard_screen import WizardScreen

MAX_MODELS = 9
MAX_NAME_CHARACTERS = 24


def models_text(catalogue: Catalogue) -> str:
    """The models and their sync methods, one model a line."""
    models = [m for m in catalogue.models if not m.generic]
    width = max((len(m.name) for m in models), default=0) + 2
    lines = []
    for model in models[:MAX_MODELS]:
        methods = " or ".join("Wi-Fi" if m is SyncMethod.WIFI else "Bluetooth" for m in SyncMethod if model.allows(m))
        lines.append(f"{shown(model.name).ljust(width)}{methods}{'' if len(model.sync) > 1 else ' only'}")
    more = len(models) - MAX_MODELS
    generic = sum(m.generic for m in catalogue.models)
    if more > 0 or generic:
        lines.append("and others that speak an open protocol" if generic else f"and {more} more")
    return "\n".join(lines)


def resumable_name(resumable: Resumable, catalogue: Catalogue) -> str:
    """The device of an interrupted installation, short: its own name, or its model's."""
    models = {model.id: model.name for model in catalogue.models}
    name = shown(resumable.name or models.get(resumable.model, resumable.model))
    return name if len(name) <= MAX_NAME_CHARACTERS else name[: MAX_NAME_CHARACTERS - 1] + "…"


def resumable_text(resumable: Sequence[Resumable]) -> str:
    """Where and when the newest one stopped."""
    newest = resumable[0]
    text = f"{shown(newest.address)}, stopped at the {shown(newest.step, 16)} step {newest.ago(datetime.now(UTC))}."
    return text if len(resumable) == 1 else f"{text} One of {len(resumable)}."


class HomeScreen(WizardScreen):
    """The first screen."""

    TRAIL = False
    _resumable: tuple[Resumable, ...] = ()

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "install", "Install", id="home.install", tooltip="Install a device"),
        Binding("c", "resume", "Continue", id="home.continue", tooltip="Resume the interrupted installation"),
        Binding("d", "stop_offering", "Dismiss", id="home.dismiss", tooltip="Stop offering to resume it"),
        Binding("r", "records", "Records", id="home.records", tooltip="What was installed, and what failed"),
        Binding("q", "app.quit", "Quit", id="home.quit", tooltip="Leave the program"),
    ]

    def heading(self) -> str:
        return "Set up a connected health device"

    def hint(self) -> str:
        return "Find it, choose how it syncs, bring it online, and see its first data."

    def body(self) -> Iterable[Widget]:
        yield Callout("", "error", id="home-problem")
        with Horizontal(id="home"):
            yield Cards(
                [
                    CardChoice(
                        "install", "Install a device", "Have it at hand, and the name and passphrase of your Wi-Fi."
                    ),
                    *([CardChoice("records", "Records")] if self.wizard.ledger is not None else []),
                    CardChoice("help", "Keys", "Everything works with the keyboard alone."),
                    CardChoice("quit", "Quit"),
                ]
            )
            yield Text("Models\n\n" + models_text(self.wizard.catalogue), id="models")

    def on_screen_resume(self) -> None:
        """Look for interrupted installations, also after one that just ended."""
        self.call_after_refresh(
            lambda: self.run_worker(deferred_call(self._find_resumable), group="resumable", exclusive=True)
        )

    async def _find_resumable(self) -> None:
        """Show a card for the newest. The focus stays, so that nobody resumes an installation by accident."""
        problem = ""
        try:
            self._resumable = tuple(await self.wizard.resumable_installations())
        except InstallerError as error:
            self._resumable, problem = (), f"{error.what} {error.todo}"
        if not self.query("#home-problem"):
            return  # the screen was left in the meantime
        self.query_one("#home-problem", Callout).show_text(problem)
        newest = self._resumable[0] if self._resumable else None
        choice = (
            None
            if newest is None
            else CardChoice(
                "continue", f"Continue {resumable_name(newest, self.wizard.catalogue)}", resumable_text(self._resumable)
            )
        )
        await self.query_one(Cards).put_first(choice)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There are no answers to save; resuming and dismissing need an interrupted installation."""
        if action in ("resume", "stop_offering"):
            return bool(self._resumable)
        if action == "records":
            return self.wizard.ledger is not None
        return False if action == "save" else super().check_action(action, parameters)

    @on(Card.Chosen)
    def _chosen(self, event: Card.Chosen) -> None:
        match event.choice.key:
            case "install":
                self.action_install()
            case "continue":
                self.action_resume()
            case "records":
                self.action_records()
            case "help":
                self.action_help()
            case _:
                self.run_worker(self.wizard.action_quit())

    def action_install(self) -> None:
        """Start an installation."""
        self.wizard.begin()

    def action_resume(self) -> None:
        """Resume the newest interrupted installation."""
        if self._resumable:
            self.wizard.begin(self._resumable[0])

    def action_stop_offering(self) -> None:
        """Ask, then stop offering to resume the newest one."""
        from screens.dialogs import ConfirmDialog

        if not self._resumable:
            return
        newest = self._resumable[0]
        sent = "It may have its Wi-Fi already; nothing is undone. " if newest.sent else "Nothing is undone. "
        dialog = ConfirmDialog(
            f"Stop offering {resumable_name(newest, self.wizard.catalogue)}?",
            f"{sent}It is just not offered here any more. Its record stays, and "
            f"`device-installer resume {newest.id}` still resumes it. `device-installer records forget` erases it.",
            yes="Stop offering it",
            no="Keep offering it",
        )

        def decide(dismiss: bool | None) -> None:
            if dismiss:
                self.run_worker(self._dismiss(newest), group="resumable", exclusive=True)

        self.app.push_screen(dialog, decide)

    async def _dismiss(self, resumable: Resumable) -> None:
        try:
            await self.wizard.dismiss_resumable(resumable)
        except InstallerError as error:
            self.notify(harmless(str(error)), title="It is still offered", severity="error", markup=False)
        await self._find_resumable()

    def action_records(self) -> None:
        """Show the records."""
        self.wizard.open_records()
