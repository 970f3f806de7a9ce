"""Small widgets that several screens use: text, callout, facts, secret input, radio option, tick box, button."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.events import Resize
from textual.geometry import Size
from textual.visual import VisualType
from textual.widgets import Button, Checkbox, Input, RadioButton, Static

from installer.output import harmless
from installer.text.written_by_people import without_mark


def deferred_call(function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    """A call for `run_worker`. A coroutine would never be awaited if the worker is cancelled before it starts."""
    return partial(function, *arguments)


def safe(content: str | Content) -> Content:
    """Content without characters that act on the terminal: Textual writes them as they are. Never markup."""
    if isinstance(content, str):
        return Content(harmless(content))
    plain = harmless(content.plain)
    return content if plain == content.plain else Content(plain, list(content.spans))


class Text(Static):
    """A text that is never markup, and acts on no terminal, whoever wrote it."""

    def __init__(self, text: str | Content = "", *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(safe(text), id=id, classes=classes, markup=False)

    def update(self, content: VisualType = "", *, layout: bool = True) -> None:
        """Show this instead."""
        super().update(safe(content) if isinstance(content, str | Content) else content, layout=layout)


class QrCode(Text):
    """A QR code in black on white, whatever the theme; hidden if it does not fit."""

    DEFAULT_CSS = "QrCode { width: auto; height: auto; }"

    def show_code(self, text: str, max_width: int, max_height: int) -> bool:
        """Show the code of this text if it fits into so many characters and lines; whether it does."""
        from installer.qr.draw import coloured, qr_lines

        lines = qr_lines(text, max_width, max_height) if text else None
        self.display = lines is not None
        drawn = [[(piece, f"{ink} on {ground}") for piece, ink, ground in coloured(line)] for line in lines or ()]
        self.update(Content("\n").join(Content.assemble(*pieces) for pieces in drawn))
        return lines is not None


class Callout(Text):
    """A highlighted message. `kind`: note, warning, error, action. An empty message takes no room."""

    _LABELS: ClassVar[dict[str, str]] = {"note": "Note", "warning": "Careful", "error": "Problem", "action": "Now"}

    def __init__(self, text: str = "", kind: str = "note", *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=f"callout -{kind}")
        self.kind = kind
        self.text = text

    def on_mount(self) -> None:
        self.show_text(self.text)

    def show_text(self, text: str) -> None:
        """Show this text; an empty one hides the widget."""
        self.text = text
        self.display = bool(text)
        self.update(Content.assemble((self._LABELS[self.kind] + "  ", "bold"), text))


class Facts(Text):
    """Names and values, one pair a line; long values wrap below themselves, pairs without a value are left out."""

    def __init__(self, pairs: Sequence[tuple[str, str]] = (), *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes="facts")
        self._pairs = [(name, value) for name, value in pairs if value]

    def set_pairs(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Show these pairs."""
        self._pairs = [(name, value) for name, value in pairs if value]
        self.refresh(layout=True)

    def _lines(self, width: int) -> list[Content]:
        muted = self.app.theme_variables.get("muted", "#9fabbd")
        indent = max((len(name) for name, _ in self._pairs), default=0) + 3
        lines = []
        for name, value in self._pairs:
            parts = Content(value).wrap(max(width - indent, 10)) or [Content("")]
            lines += [Content.assemble((name.ljust(indent), muted), parts[0])]
            lines += [Content(" " * indent) + part for part in parts[1:]]
        return lines

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines(width))

    def render(self) -> Content:
        return Content("\n").join(self._lines(self.content_size.width))


class SecretInput(Input):
    """A hidden input; F2 shows and hides it. Its text cannot be copied; `clear_secret()` deletes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2,ctrl+t", "reveal", "Show/hide", id="secret.reveal", tooltip="Show or hide what was typed"),
    ]

    def __init__(self, placeholder: str = "", *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(placeholder=placeholder, password=True, id=id, max_length=1024)

    def validate_value(self, value: str) -> str:
        """The text without a byte order mark, with which a pasted text may begin. Nobody sees it."""
        return without_mark(value)

    def action_reveal(self) -> None:
        """Show what was typed, or hide it again."""
        self.password = not self.password

    def action_copy(self) -> None:
        """Do nothing: a secret does not go to the clipboard."""

    def action_cut(self) -> None:
        """Delete the selected part without copying it."""
        self.delete_selection()

    def clear_secret(self) -> None:
        """Hide and clear."""
        self.password = True
        self.clear()


class RadioOption(RadioButton):
    """A radio button whose sign shows whether it is on, so that colour is not needed."""

    BUTTON_LEFT = ""
    BUTTON_RIGHT = ""

    @property
    def _button(self) -> Content:
        return Content("●" if self.value else "○")


class TickBox(Checkbox):
    """A check box whose sign shows whether it is ticked, so that colour is not needed."""

    @property
    def _button(self) -> Content:
        return Content("[x]" if self.value else "[ ]")


class ButtonRow(Horizontal):
    """Buttons side by side; below each other where the terminal is too narrow for that, so that none is cut off."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,up", "app.focus_previous", "Previous button", show=False, id="buttons.previous"),
        Binding("right,down", "app.focus_next", "Next button", show=False, id="buttons.next"),
    ]

    def __init__(self) -> None:
        super().__init__(classes="buttons")
        self._needed = 0

    def on_resize(self, event: Resize) -> None:
        # Before the first layout the buttons have no size yet.
        self.call_after_refresh(self._arrange)

    def _arrange(self) -> None:
        if not self.has_class("-stacked"):
            # Measured only side by side: below each other they are narrower.
            margins = [child.styles.margin.right for child in self.displayed_children]
            self._needed = sum(child.outer_size.width for child in self.displayed_children) + sum(margins[:-1])
        self.set_class(self._needed > self.size.width, "-stacked")


def button(label: str, key: str, variant: str = "default") -> Button:
    """A flat button with the id `key`; its label is never markup."""
    widget = Button(Content(label), id=key, flat=False, compact=False)
    widget.add_class(f"-{variant}")
    return widget
