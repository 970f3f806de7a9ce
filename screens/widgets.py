"""Small parts that several screens share."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.widgets import Button, Checkbox, Input, RadioButton, Static

from installer.text import printable
from installer.wifi.networks import Security
from screens.choice_list import steady

_BARS = "▂▄▆█"
_STRENGTH = ("very weak", "weak", "fair", "good", "very good")


def bars_of(rssi: int | None) -> int:
    """0 to 4 bars for a signal in dBm, with the limits of `Sighting.bars`."""
    return 0 if rssi is None else sum(rssi >= limit for limit in (-90, -80, -70, -60))


def signal(bars: int) -> str:
    """Four cells: as many bars as the signal has, dots for the missing ones."""
    return _BARS[:bars] + "·" * (4 - bars)


def strength(bars: int) -> str:
    """The signal in words."""
    return _STRENGTH[max(0, min(bars, 4))]


def security_label(security: Security) -> str:
    """How a network is protected, in the words of a router's label."""
    return {
        Security.OPEN: "open",
        Security.WEP: "WEP",
        Security.WPA: "WPA",
        Security.WPA2: "WPA2",
        Security.WPA_WPA2: "WPA/WPA2",
        Security.WPA3: "WPA3",
        Security.WPA2_WPA3: "WPA2/WPA3",
        Security.ENTERPRISE: "company (802.1X)",
        Security.UNKNOWN: "not known",
    }[security]


def protocol_label(protocol: str) -> str:
    """A provisioning protocol by the name that its makers use."""
    names = {
        "improv": "Improv Wi-Fi",
        "espressif": "Espressif provisioning",
        "shelly": "Shelly RPC",
        "nordic": "Nordic provisioning",
        "guided": "the vendor's app",
    }
    return names.get(protocol, shown(protocol))


def spoken(seconds: float) -> str:
    """A duration for a person: `45 s`, `2 min`, `1 min 30 s`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def shown(text: str, limit: int = 80) -> str:
    """Text that came from outside, safe and of a steady width."""
    return steady(printable(text, limit))


def later(work: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    """Work for `run_worker`. Not the coroutine itself: of a worker that is cancelled before it starts none is left."""
    return partial(work, *arguments)


class Text(Static):
    """A text that is never markup."""

    def __init__(self, text: str | Content = "", *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(text, id=id, classes=classes, markup=False)


class Callout(Text):
    """A sentence or two that must not be overlooked. `kind`: note, warning, error, action; empty texts take no room."""

    _WORDS: ClassVar[dict[str, str]] = {"note": "Note", "warning": "Careful", "error": "Problem", "action": "Now"}

    def __init__(self, text: str = "", kind: str = "note", *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=f"callout -{kind}")
        self.kind = kind
        self.text = text

    def on_mount(self) -> None:
        self.say(self.text)

    def say(self, text: str) -> None:
        """Show this text, or nothing."""
        self.text = text
        self.display = bool(text)
        self.update(Content.assemble((self._WORDS[self.kind] + "  ", "bold"), text))


class Facts(Text):
    """Names and values, one pair a line, long values hanging; pairs without a value are left out."""

    def __init__(self, pairs: Sequence[tuple[str, str]] = (), *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes="facts")
        self._pairs = [(name, value) for name, value in pairs if value]

    def tell(self, pairs: Sequence[tuple[str, str]]) -> None:
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
    """A hidden input; F2 shows and hides it. What it holds cannot be copied out, and is gone with `forget()`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2,ctrl+t", "reveal", "Show/hide", id="secret.reveal", tooltip="Show or hide what was typed"),
    ]

    def __init__(self, placeholder: str = "", *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(placeholder=placeholder, password=True, id=id, max_length=1024)

    def action_reveal(self) -> None:
        """Show what was typed, or hide it again."""
        self.password = not self.password

    def action_copy(self) -> None:
        """Nothing: a clipboard is no place for a passphrase."""

    def action_cut(self) -> None:
        """Delete the selected part without copying it."""
        self.delete_selection()

    def forget(self) -> None:
        """Hide and clear."""
        self.password = True
        self.clear()


class Radio(RadioButton):
    """A radio button that shows by its sign, not by colour alone, whether it is on."""

    BUTTON_LEFT = ""
    BUTTON_RIGHT = ""

    @property
    def _button(self) -> Content:
        return Content("●" if self.value else "○")


class Box(Checkbox):
    """A box that shows by its sign, not by colour alone, whether it is ticked."""

    @property
    def _button(self) -> Content:
        return Content("[x]" if self.value else "[ ]")


def button(label: str, key: str, variant: str = "default") -> Button:
    """A flat button with the id `key`; its label is never markup."""
    made = Button(Content(label), id=key, flat=False, compact=False)
    made.add_class(f"-{variant}")
    return made
