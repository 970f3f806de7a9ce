"""Dialogs above a screen: the base class `Dialog`, a message, and a yes-or-no question."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button

from screens.widgets import ButtonRow, Text, button

ResultT = TypeVar("ResultT")


class Dialog(ModalScreen[ResultT]):
    """A title, a body and buttons in the middle of the screen; escape closes it with None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Close", id="dialog.close", tooltip="Close without doing anything"),
    ]

    def title_text(self) -> str:
        """The title."""
        return ""

    def body(self) -> Iterable[Widget]:
        """The widgets between the title and the buttons."""
        return ()

    def buttons(self) -> Iterable[Button]:
        """The buttons, the default one first."""
        return ()

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Text(self.title_text(), id="dialog-title")
            yield from self.body()
            with ButtonRow():
                yield from self.buttons()

    def action_close(self) -> None:
        """Close with None."""
        self.dismiss(None)


class MessageDialog(Dialog[None]):
    """A message and an OK button."""

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title, self._text = title, text

    def title_text(self) -> str:
        return self._title

    def body(self) -> Iterable[Widget]:
        yield Text(self._text)

    def buttons(self) -> Iterable[Button]:
        yield button("OK", "ok", "primary")

    @on(Button.Pressed)
    def _pressed(self) -> None:
        self.dismiss(None)


class ConfirmDialog(Dialog[bool]):
    """A yes-or-no question; the safe answer (no) has the focus."""

    def __init__(self, title: str, text: str, *, yes: str, no: str) -> None:
        super().__init__()
        self._title, self._text, self._yes, self._no = title, text, yes, no

    def title_text(self) -> str:
        return self._title

    def body(self) -> Iterable[Widget]:
        yield Text(self._text)

    def buttons(self) -> Iterable[Button]:
        yield button(self._no, "no", "primary")
        yield button(self._yes, "yes", "danger")

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")
