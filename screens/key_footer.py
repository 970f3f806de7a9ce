"""The key footer: the bottom line with the keys of the current screen, drawn as one widget."""

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
    """One key of the footer. `start` and `end`: its cells."""

    key: str
    label: str
    description: str
    enabled: bool
    start: int
    end: int


class KeyFooter(Widget, can_focus=False):
    """Shows what Textual's `Footer` shows. One widget, because a widget a key is styled again at every focus change."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"keys--key", "keys--description", "keys--disabled"}
    DEFAULT_CSS = """
    KeyFooter {
        dock: bottom;
        height: 1;
        color: $footer-foreground;
        background: $footer-background;
        .keys--key { color: $footer-key-foreground; background: $footer-key-background; text-style: bold; }
        .keys--description { color: $footer-description-foreground; background: $footer-description-background; }
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
        """The keys that are shown, one for each action. Keys that do not fit whole are left out; F1 lists all."""
        seen: set[str] = set()
        start = 0
        for _, binding, enabled, _tooltip in self.screen.active_bindings.values():
            if not binding.show or binding.action in seen:
                continue
            seen.add(binding.action)
            label = self.app.get_key_display(binding)
            end = start + cell_len(f" {label} {binding.description} ")
            if end > self.size.width:
                return
            yield Key(binding.key, label, binding.description, enabled, start, end)
            start = end

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        base = self.rich_style
        key_style = base + self.get_component_rich_style("keys--key")
        description_style = base + self.get_component_rich_style("keys--description")
        dim = self.get_component_rich_style("keys--disabled")
        segments: list[Segment] = []
        for key in self._keys():
            dimmed = Style() if key.enabled else Style(dim=dim.dim)
            segments.append(Segment(f" {key.label} ", key_style + dimmed))
            segments.append(Segment(f"{key.description} ", description_style + dimmed))
        return Strip(segments).adjust_cell_length(width, base).crop(0, width)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """A click does what the key does."""
        for key in self._keys():
            if key.start <= event.x < key.end:
                if key.enabled:
                    self.app.simulate_key(key.key)
                else:
                    self.app.bell()
