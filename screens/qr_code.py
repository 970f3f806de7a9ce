"""A QR code over the whole window, for terminals where it does not fit beside other widgets."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from screens.labels import shown
from screens.widgets import QrCode, Text

LINES_BELOW_QR = 2  # the address, and how to close; the address is left out if the code then fits


class QrScreen(ModalScreen[None]):
    """Shows the QR code of an address. If the window is too small for all of it, it says so and shows none."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,space", "close", "Close", id="qr.close", tooltip="Back to the page"),
    ]
    CSS = """
    QrScreen { align: center middle; background: $background; }
    QrScreen #qr-page { width: auto; height: auto; align: center middle; }
    QrScreen .qr-text { width: auto; max-width: 100vw; }
    """

    def __init__(self, url: str, purpose: str) -> None:
        super().__init__()
        self._url, self._purpose = url, purpose

    def compose(self) -> ComposeResult:
        with Vertical(id="qr-page"):
            yield QrCode(id="qr-code")
            yield Text(shown(self._url, 200), id="qr-url", classes="qr-text")
            yield Text("", id="qr-hint", classes="qr-text")

    def on_mount(self) -> None:
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        size = self.app.size
        code, address = self.query_one(QrCode), self.query_one("#qr-url")
        address.display = True
        drawn = code.show_code(self._url, size.width, size.height - LINES_BELOW_QR)
        if not drawn:
            drawn = code.show_code(self._url, size.width, size.height - 1)
            address.display = not drawn
        hint = (
            f"Scan it with a phone: {self._purpose}." if drawn else "The window is too small for its QR code: type it."
        )
        self.query_one("#qr-hint", Text).update(Content(f"{hint}  Esc closes."))

    def action_close(self) -> None:
        """Back to the page."""
        self.dismiss(None)
