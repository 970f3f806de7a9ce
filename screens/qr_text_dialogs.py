"""Dialogs into which the text of a QR code is pasted: the code of a device, and that of a Wi-Fi network."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable
from typing import ClassVar

from pydantic import SecretStr
from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Input

from installer.answers import FindAnswer, NetworkAnswer
from installer.errors import InstallerError
from installer.qr.classify import device_of, network_of
from installer.wifi.card_readings import PASSWORD_IDENTIFIER
from installer.wifi.credentials import passphrase_warning
from installer.wifi.networks import Security
from screens.dialogs import Dialog, ResultT
from screens.labels import security_label, shown, shown_ssid
from screens.widgets import Callout, SecretInput, Text, button

MIN_CHARACTERS_FOR_ERRORS = 6  # while a shorter text is typed, nothing is called wrong


class QrTextDialog(Dialog[ResultT]):
    """Reads the typed or pasted text of a QR code as it changes. The text may hold a secret, so it is hidden."""

    EXAMPLE: ClassVar[str]
    PLACEHOLDER: ClassVar[str]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2,ctrl+t", "reveal", "Show/hide", show=False, id="qr_text.reveal", tooltip="Show or hide the text"),
    ]

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self._initial_text: SecretStr | None = SecretStr(text) if text else None

    @abc.abstractmethod
    def read_code(self, text: str) -> tuple[ResultT, str]:
        """The answer that the text gives, and a description of it. Raises `InstallerError` for other texts."""

    def body(self) -> Iterable[Widget]:
        yield Text(f"Paste what a QR reader shows. It looks like  {self.EXAMPLE}")
        yield SecretInput(f"{self.PLACEHOLDER}   (F2 shows it)", id="qr-text")
        yield Text("", id="reading")
        yield Callout("", "error", id="qr-problem")

    def buttons(self) -> Iterable[Button]:
        yield button("Use it", "use", "primary")
        yield button("Cancel", "cancel")

    def on_mount(self) -> None:
        field = self.query_one(SecretInput)
        if self._initial_text is not None:
            field.value = self._initial_text.get_secret_value()
            self._initial_text = None
        field.focus()

    def _read(self, *, show_errors: bool) -> ResultT | None:
        text = self.query_one(SecretInput).value
        answer, description, problem = None, "", ""
        try:
            answer, description = self.read_code(text)
        except InstallerError as error:
            problem = f"{error.what} {error.todo}" if show_errors and text else ""
        self.query_one("#reading", Text).update(Content(description))
        self.query_one("#qr-problem", Callout).show_text(problem)
        return answer

    @on(Input.Changed)
    def _changed(self) -> None:
        self._read(show_errors=len(self.query_one(SecretInput).value) >= MIN_CHARACTERS_FOR_ERRORS)

    @on(Input.Submitted)
    @on(Button.Pressed, "#use")
    def _use(self) -> None:
        answer = self._read(show_errors=True)
        if answer is not None:
            self._close_with(answer)

    @on(Button.Pressed, "#cancel")
    def _cancel(self) -> None:
        self._close_with(None)

    def _close_with(self, answer: ResultT | None) -> None:
        with self.prevent(Input.Changed):
            self.query_one(SecretInput).clear_secret()
        self.dismiss(answer)

    def action_close(self) -> None:
        """Close with None, and clear the text."""
        self._close_with(None)

    def action_reveal(self) -> None:
        """Show or hide the text."""
        self.query_one(SecretInput).action_reveal()


class DeviceQrTextDialog(QrTextDialog[FindAnswer]):
    """Takes the name and the proof of possession of a device.

    `is_in_reach(name)`: whether a device of this name is in the scan now.
    """

    EXAMPLE = '{"ver":"v1","name":"PROV_…","pop":"…"}'
    PLACEHOLDER = "{…"

    def __init__(self, text: str, is_in_reach: Callable[[str], bool]) -> None:
        super().__init__(text)
        self._is_in_reach = is_in_reach

    def title_text(self) -> str:
        return "The text of a device's QR code"

    def read_code(self, text: str) -> tuple[FindAnswer, str]:
        code = device_of(text)
        proof = "with its proof of possession" if code.has_secret else "without a proof of possession"
        reach = "it is in reach." if self._is_in_reach(code.name) else "not in reach yet, it will be looked for."
        answer = FindAnswer(name=code.name, username=code.username or None, secret=code.proof, security=code.security)
        return answer, f"Device: {shown(code.name)}, {proof}; {reach}"


class WifiQrTextDialog(QrTextDialog[NetworkAnswer]):
    """Takes the name, the security and the passphrase of a Wi-Fi network."""

    EXAMPLE = "WIFI:T:WPA;S:name;P:passphrase;;"
    PLACEHOLDER = "WIFI:…"

    def title_text(self) -> str:
        return "The text of a Wi-Fi QR code"

    def read_code(self, text: str) -> tuple[NetworkAnswer, str]:
        card = network_of(text)
        code = card.certain
        if code is None:
            # The names are shown on the next page only: a wrong one may hold a part of the passphrase.
            return NetworkAnswer.from_card(card), (
                f"This code can be read in {len(card.readings)} ways. Use it, then choose the right one."
            )
        description = f"Network: {shown_ssid(code.ssid)}, {security_label(code.security)}"
        description += ", with its passphrase" if code.passphrase.get_secret_value() else ""
        description += ", hides its name" if code.hidden else ""
        if not code.states_security and code.security is Security.OPEN:
            description += ", as far as the code says"
        if code.password_identifier:
            description += f". {PASSWORD_IDENTIFIER}"
        elif warning := passphrase_warning(code.passphrase.get_secret_value(), code.security):
            description += f". {warning}"
        return NetworkAnswer.from_card(card), description
