"""The help dialog: all keys of a screen, from its bindings."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.cells import cell_len
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Button

from screens.dialogs import Dialog
from screens.widgets import Text, button

_KEY_NAMES = {
    "question_mark": "?",
    "escape": "Esc",
    "enter": "Enter",
    "space": "Space",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "slash": "/",
    "home": "Home",
    "end": "End",
    "tab": "Tab",
    "shift+tab": "Shift+Tab",
}


def key_name(key: str) -> str:
    """The name of a key as it is printed on a keyboard."""
    return _KEY_NAMES.get(key) or (
        key.replace("ctrl+", "Ctrl+") if "+" in key else key.upper() if len(key) > 1 else key
    )


def keys_of(screen: Screen[Any]) -> list[tuple[str, str]]:
    """Keys and what they do, one pair for each meaning, from the focused widget outwards."""
    meanings: dict[str, list[str]] = {}
    for _, binding, enabled, _ in screen.active_bindings.values():
        if enabled and (binding.tooltip or binding.description) and binding.id:
            meanings.setdefault(binding.tooltip or binding.description, []).append(key_name(binding.key))
    return [(" ".join(keys), meaning) for meaning, keys in meanings.items()]


class HelpDialog(Dialog[None]):
    """The keys that work on `screen` now."""

    def __init__(self, screen: Screen[Any]) -> None:
        super().__init__()
        self._keys = keys_of(screen)

    def title_text(self) -> str:
        return "Keys"

    def body(self) -> Iterable[Widget]:
        width = max((cell_len(keys) for keys, _ in self._keys), default=0) + 3
        lines = [Content.assemble((keys.ljust(width), "bold"), meaning) for keys, meaning in self._keys]
        with VerticalScroll(id="keys"):
            yield Text(Content("\n").join(lines))

    def buttons(self) -> Iterable[Button]:
        yield button("Close", "close", "primary")

    def on_button_pressed(self) -> None:
        self.dismiss(None)
