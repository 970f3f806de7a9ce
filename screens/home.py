"""Home: what the program does, the models it knows, and the way in."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widget import Widget

from installer.catalog import Catalogue, SyncMethod
from screens.cards import Card, Cards, Choice
from screens.frame import Frame
from screens.widgets import Text, shown

MAX_MODELS = 9


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


class HomeScreen(Frame):
    """The first screen."""

    TRAIL = False

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "install", "Install", id="home.install", tooltip="Install a device"),
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
                    Choice("help", "Keys", "Everything works with the keyboard alone."),
                    Choice("quit", "Quit"),
                ]
            )
            yield Text("Models\n\n" + models_text(self.wizard.catalogue), id="models")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing is there to be saved."""
        return False if action == "save" else super().check_action(action, parameters)

    @on(Card.Chosen)
    def _chosen(self, event: Card.Chosen) -> None:
        match event.choice.key:
            case "install":
                self.action_install()
            case "help":
                self.action_help()
            case _:
                self.run_worker(self.wizard.action_quit())

    def action_install(self) -> None:
        """Start an installation."""
        self.wizard.begin()
