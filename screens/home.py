"""Home: what the program does, the models it knows, and the way in."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widget import Widget

from installer.catalogue.catalogue import Catalogue, SyncMethod
from installer.errors import InstallerError
from installer.flow.resumable import Resumable
from screens.cards import Card, Cards, Choice
from screens.frame import Frame
from screens.widgets import Text, later, shown

MAX_MODELS = 9
NAME = 24  # columns


def models_text(catalogue: Catalogue) -> str:
    """The models and how each can sync, one a line."""
    models = [m for m in catalogue.models if not m.generic]
    width = max((len(m.name) for m in models), default=0) + 2
    lines = []
    for model in models[:MAX_MODELS]:
        ways = " or ".join("Wi-Fi" if m is SyncMethod.WIFI else "Bluetooth" for m in SyncMethod if model.allows(m))
        lines.append(f"{shown(model.name).ljust(width)}{ways}{'' if len(model.sync) > 1 else ' only'}")
    more = len(models) - MAX_MODELS
    generic = sum(m.generic for m in catalogue.models)
    if more > 0 or generic:
        lines.append("and others that speak an open protocol" if generic else f"and {more} more")
    return "\n".join(lines)


def offer_name(offer: Resumable, catalogue: Catalogue) -> str:
    """The device of an offer, short: its own name, or the model's."""
    models = {model.id: model.name for model in catalogue.models}
    name = shown(offer.name or models.get(offer.model, offer.model))
    return name if len(name) <= NAME else name[: NAME - 1] + "…"


def offer_text(offers: Sequence[Resumable]) -> str:
    """Where the newest stopped, and when."""
    newest = offers[0]
    text = f"{shown(newest.address)}, stopped at the {newest.step} step {newest.ago(datetime.now(UTC))}."
    return text if len(offers) == 1 else f"{text} One of {len(offers)}."


class HomeScreen(Frame):
    """The first screen."""

    TRAIL = False
    _offers: tuple[Resumable, ...] = ()

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "install", "Install", id="home.install", tooltip="Install a device"),
        Binding("c", "go_on", "Continue", id="home.continue", tooltip="Go on with what was cut off"),
        Binding("f", "forget", "Forget", id="home.forget", tooltip="Do not offer it any more"),
        Binding("r", "records", "Records", id="home.records", tooltip="What was installed, and what failed"),
        Binding("q", "app.quit", "Quit", id="home.quit", tooltip="Leave the program"),
    ]

    def heading(self) -> str:
        return "Set up a connected health device"

    def hint(self) -> str:
        return "Find it, choose how it syncs, bring it online, and see its first data."

    def body(self) -> Iterable[Widget]:
        with Horizontal(id="home"):
            yield Cards(
                [
                    Choice(
                        "install", "Install a device", "Have it at hand, and the name and passphrase of your Wi-Fi."
                    ),
                    *([Choice("records", "Records")] if self.wizard.desk is not None else []),
                    Choice("help", "Keys", "Everything works with the keyboard alone."),
                    Choice("quit", "Quit"),
                ]
            )
            yield Text("Models\n\n" + models_text(self.wizard.catalogue), id="models")

    def on_screen_resume(self) -> None:
        """Look for what was cut off, also by what has just ended."""
        self.call_after_refresh(lambda: self.run_worker(later(self._look), group="offers", exclusive=True))

    async def _look(self) -> None:
        await self._offer(await self.wizard.offers())

    async def _offer(self, offers: Sequence[Resumable]) -> None:
        """Show the newest; the focus stays where it is, so that nobody goes on with something by accident."""
        self._offers = tuple(offers)
        offer = self._offers[0] if self._offers else None
        choice = (
            None
            if offer is None
            else Choice("continue", f"Continue {offer_name(offer, self.wizard.catalogue)}", offer_text(self._offers))
        )
        await self.query_one(Cards).put_first(choice)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing is there to be saved; going on and forgetting is there with what was cut off."""
        if action in ("go_on", "forget"):
            return bool(self._offers)
        if action == "records":
            return self.wizard.desk is not None
        return False if action == "save" else super().check_action(action, parameters)

    @on(Card.Chosen)
    def _chosen(self, event: Card.Chosen) -> None:
        match event.choice.key:
            case "install":
                self.action_install()
            case "continue":
                self.action_go_on()
            case "records":
                self.action_records()
            case "help":
                self.action_help()
            case _:
                self.run_worker(self.wizard.action_quit())

    def action_install(self) -> None:
        """Start an installation."""
        self.wizard.begin()

    def action_go_on(self) -> None:
        """Go on with the newest of what was cut off."""
        if self._offers:
            self.wizard.begin(self._offers[0])

    def action_forget(self) -> None:
        """Ask, then offer it no more."""
        from screens.dialogs import ConfirmDialog

        if not self._offers:
            return
        offer = self._offers[0]
        sent = "It may have its Wi-Fi already; nothing is undone. " if offer.sent else "Nothing is undone. "
        dialog = ConfirmDialog(
            f"Forget {offer_name(offer, self.wizard.catalogue)}?",
            f"{sent}It is only not offered here any more. Its record stays, and `device-installer resume {offer.id}` "
            "still goes on with it.",
            yes="Forget it",
            no="Keep it",
        )

        def decide(forget: bool | None) -> None:
            if forget:
                self.run_worker(self._forget(offer), group="offers", exclusive=True)

        self.app.push_screen(dialog, decide)

    async def _forget(self, offer: Resumable) -> None:
        try:
            await self.wizard.forget(offer)
        except InstallerError as error:
            self.notify(str(error), title="It was not forgotten", severity="error", markup=False)
        await self._look()

    def action_records(self) -> None:
        """Look at the records."""
        self.wizard.open_records()
