"""Dialog of the find step: the text of a device's QR code, which names the device and holds its proof of possession."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

from pydantic import SecretStr
from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Input

from installer.answers import FindAnswer
from installer.errors import InstallerError
from installer.qr.classify import DevicePayload, device_of
from screens.dialogs import Dialog
from screens.widgets import Callout, SecretInput, Text, button, shown


class DeviceCodeDialog(Dialog[FindAnswer]):
    """The text of a device's code, typed or pasted. It may hold a proof, so it is hidden like one.

    `near(name)`: whether a device of this name is in reach now.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2,ctrl+t", "reveal", "Show/hide", show=False, id="code.reveal", tooltip="Show or hide the text"),
    ]

    def __init__(self, text: str, near: Callable[[str], bool]) -> None:
        super().__init__()
        self._text: SecretStr | None = SecretStr(text) if text else None
        self._near = near

    def title_text(self) -> str:
        return "The text of a device's QR code"

    def body(self) -> Iterable[Widget]:
        yield Text('Paste what a QR reader shows. It looks like  {"ver":"v1","name":"PROV_…","pop":"…"}')
        yield SecretInput("{…   (F2 shows it)", id="code-text")
        yield Text("", id="reading")
        yield Callout("", "error", id="code-problem")

    def buttons(self) -> Iterable[Button]:
        yield button("Use it", "use", "primary")
        yield button("Cancel", "cancel")

    def on_mount(self) -> None:
        if self._text is not None:
            self.query_one(SecretInput).value = self._text.get_secret_value()
            self._text = None
        self.query_one(SecretInput).focus()

    def _read(self, *, complain: bool) -> DevicePayload | None:
        value = self.query_one(SecretInput).value
        try:
            found = device_of(value)
        except InstallerError as error:
            self._tell("", f"{error.what} {error.todo}" if complain and value else "")
            return None
        words = f"Device: {shown(found.name)}"
        words += ", with its proof of possession" if found.has_secret else ", without a proof of possession"
        words += "; it is in reach." if self._near(found.name) else "; not in reach yet, it will be looked for."
        self._tell(words, "")
        return found

    def _tell(self, reading: str, problem: str) -> None:
        self.query_one("#reading", Text).update(Content(reading))
        self.query_one("#code-problem", Callout).say(problem)

    @on(Input.Changed)
    def _changed(self) -> None:
        self._read(complain=len(self.query_one(SecretInput).value) > 5)

    @on(Input.Submitted)
    @on(Button.Pressed, "#use")
    def _use(self) -> None:
        found = self._read(complain=True)
        if found is not None:
            self._leave(FindAnswer(name=found.name, username=found.username or None, secret=found.proof))

    def _leave(self, answer: FindAnswer | None) -> None:
        with self.prevent(Input.Changed):
            self.query_one(SecretInput).forget()
        self.dismiss(answer)

    @on(Button.Pressed, "#cancel")
    def _cancel(self) -> None:
        self._leave(None)

    def action_close(self) -> None:
        """Close with None, and forget the text."""
        self._leave(None)

    def action_reveal(self) -> None:
        """Show or hide the text."""
        self.query_one(SecretInput).action_reveal()
