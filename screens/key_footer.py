"""The line at the bottom: the keys that do something here, drawn as one widget."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget


class Key(NamedTuple):
    """One key of the line. `start` and `end`: its cells."""

    key: str
    label: str
    words: str
    enabled: bool
    start: int
    end: int


class KeyLine(Widget, can_focus=False):
    """What Textual's `Footer` shows, without a widget for each key: those are styled anew at every change of focus."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"keys--key", "keys--words", "keys--disabled"}
    DEFAULT_CSS = """
    KeyLine {
        dock: bottom;
        height: 1;
        color: $footer-foreground;
        background: $footer-background;
        .keys--key { color: $footer-key-foreground; background: $footer-key-background; text-style: bold; }
        .keys--words { color: $footer-description-foreground; background: $footer-description-background; }
        .keys--disabled { text-style: dim; }
    }
    """

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def on_unmount(self) -> None:
        self.screen.bindings_updated_signal.unsubscribe(self)

    def _changed(self, screen: Screen[object]) -> None:
        if self.is_attached and screen is self.screen:
            self.refresh()

    def _keys(self) -> Iterator[Key]:
        """The keys that are shown, one for each action, as far as there is room for them whole; F1 has all."""
        seen: set[str] = set()
        at = 0
        for _, binding, enabled, _tooltip in self.screen.active_bindings.values():
            if not binding.show or binding.action in seen:
                continue
            seen.add(binding.action)
            label = self.app.get_key_display(binding)
            end = at + cell_len(f" {label} {binding.description} ")
            if end > self.size.width:
                return
            yield Key(binding.key, label, binding.description, enabled, at, end)
            at = end

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        base = self.rich_style
        key_style = base + self.get_component_rich_style("keys--key")
        words_style = base + self.get_component_rich_style("keys--words")
        dim = self.get_component_rich_style("keys--disabled")
        segments: list[Segment] = []
        for key in self._keys():
            more = Style() if key.enabled else Style(dim=dim.dim)
            segments.append(Segment(f" {key.label} ", key_style + more))
            segments.append(Segment(f"{key.words} ", words_style + more))
        return Strip(segments).adjust_cell_length(width, base).crop(0, width)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """A click does what the key does."""
        for key in self._keys():
            if key.start <= event.x < key.end:
                if key.enabled:
                    self.app.simulate_key(key.key)
                else:
                    self.app.bell()
