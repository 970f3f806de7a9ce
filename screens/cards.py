"""Cards: a few choices with a title and a short text each. A card that cannot be chosen shows the reason."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from installer.output import harmless


@dataclass(frozen=True)
class CardChoice:
    """The content of a card. `reason`: why it cannot be chosen. Texts are never markup."""

    key: str
    title: str
    text: str = ""
    reason: str = ""


class Card(Vertical):
    """One choice, as a card. Posts `Chosen`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "choose", "Choose", id="card.choose", tooltip="Choose the marked card"),
    ]

    class Chosen(Message):
        """The card was chosen."""

        def __init__(self, choice: CardChoice) -> None:
            super().__init__()
            self.choice = choice

    def __init__(self, choice: CardChoice) -> None:
        super().__init__()
        self.choice = choice
        self.can_focus = not choice.reason
        self.set_class(bool(choice.reason), "-unavailable")
        self._title = Static(self._title_text(False), classes="card-title", markup=False)

    def compose(self) -> ComposeResult:
        yield self._title
        text = self.choice.reason or self.choice.text
        if text:
            yield Static(harmless(text), classes="card-text", markup=False)

    def _title_text(self, marked: bool) -> Content:
        # The marker shows the focus without colour.
        title = self.choice.title + ("  (not available)" if self.choice.reason else "")
        return Content(harmless(("❯ " if marked else "  ") + title))

    def watch_has_focus(self, has_focus: bool) -> None:
        super().watch_has_focus(has_focus)
        self._title.update(self._title_text(has_focus))

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.action_choose()

    def action_choose(self) -> None:
        """Choose this card if it is available."""
        if not self.choice.reason:
            self.post_message(self.Chosen(self.choice))


class Cards(Vertical):
    """Cards one below the other; the arrow keys move between those that can be chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "app.focus_previous", "Up", show=False, id="cards.up", tooltip="The card above or below"),
        Binding("down,j", "app.focus_next", "Down", show=False, id="cards.down", tooltip="The card above or below"),
    ]

    def __init__(self, choices: Sequence[CardChoice]) -> None:
        super().__init__()
        self._choices = choices

    def compose(self) -> ComposeResult:
        for choice in self._choices:
            yield Card(choice)

    async def put_first(self, choice: CardChoice | None) -> None:
        """Put a card above the others. It replaces the one put there before; None removes that one."""
        await self.query(".-first").remove()
        if choice is not None:
            card = Card(choice)
            card.add_class("-first")
            await self.mount(card, before=0)
