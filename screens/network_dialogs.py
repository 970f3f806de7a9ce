"""Dialogs of the network step: a network that is not in the list, and the text of a QR code."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from pydantic import SecretStr
from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Checkbox, Input, RadioSet

from installer.answers import NetworkAnswer
from installer.errors import InstallerError
from installer.qr.classify import network_of
from installer.qr.wifi_text import WifiText
from installer.wifi.networks import Security, check_ssid
from screens.dialogs import Dialog
from screens.widgets import Box, Callout, Radio, SecretInput, Text, button, security_label, shown

KINDS = (
    (Security.WPA2_WPA3, "It has a passphrase (WPA2 or WPA3)"),
    (Security.OPEN, "It is open, without a passphrase"),
    (Security.UNKNOWN, "I do not know"),
)


class OtherNetworkDialog(Dialog[NetworkAnswer]):
    """Name, security, and whether the network hides its name."""

    def __init__(self, *, hidden: bool) -> None:
        super().__init__()
        self._hidden = hidden

    def title_text(self) -> str:
        return "Another network"

    def body(self) -> Iterable[Widget]:
        yield Input(id="ssid", placeholder="name of the network (SSID), letter by letter")
        with RadioSet(id="security"):
            for index, (_, words) in enumerate(KINDS):
                yield Radio(Content(words), value=index == 0)
        yield Box(Content("It hides its name"), self._hidden, id="hidden")
        yield Callout("", "error", id="ssid-problem")

    def buttons(self) -> Iterable[Button]:
        yield button("Use it", "use", "primary")
        yield button("Cancel", "cancel")

    @on(Input.Changed)
    def _changed(self) -> None:
        self.query_one("#ssid-problem", Callout).say("")

    @on(Input.Submitted)
    @on(Button.Pressed, "#use")
    def _use(self) -> None:
        ssid = self.query_one("#ssid", Input).value
        try:
            check_ssid(ssid)
        except InstallerError as error:
            self.query_one("#ssid-problem", Callout).say(f"{error.what} {error.todo}")
            return
        security = KINDS[max(self.query_one(RadioSet).pressed_index, 0)][0]
        self.dismiss(NetworkAnswer(ssid=ssid, security=security, hidden=self.query_one(Checkbox).value))

    @on(Button.Pressed, "#cancel")
    def _cancel(self) -> None:
        self.dismiss(None)


class WifiTextDialog(Dialog[NetworkAnswer]):
    """A WIFI: text, typed or pasted. It holds a passphrase, so it is hidden like one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2,ctrl+t", "reveal", "Show/hide", show=False, id="wifi_text.reveal", tooltip="Show or hide the text"),
    ]

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self._text: SecretStr | None = SecretStr(text) if text else None

    def title_text(self) -> str:
        return "The text of a Wi-Fi QR code"

    def body(self) -> Iterable[Widget]:
        yield Text("Paste what a QR reader shows. It looks like  WIFI:T:WPA;S:name;P:passphrase;;")
        yield SecretInput("WIFI:…   (F2 shows it)", id="wifi-text")
        yield Text("", id="reading")
        yield Box(Content("Read % as an encoded character"), False, id="decoded")
        yield Callout("", "error", id="wifi-problem")

    def buttons(self) -> Iterable[Button]:
        yield button("Use it", "use", "primary")
        yield button("Cancel", "cancel")

    def on_mount(self) -> None:
        self.query_one("#decoded").display = False
        if self._text is not None:
            self.query_one(SecretInput).value = self._text.get_secret_value()
            self._text = None

    def _read(self, *, complain: bool) -> WifiText | None:
        value = self.query_one(SecretInput).value
        try:
            found = network_of(value)
        except InstallerError as error:
            self._tell("", f"{error.what} {error.todo}" if complain and value else "")
            self.query_one("#decoded").display = False
            return None
        self.query_one("#decoded").display = found.other is not None
        if found.other is not None and self.query_one("#decoded", Checkbox).value:
            found = found.other
        words = f"{shown(found.ssid)}, {security_label(found.security)}"
        words += ", with its passphrase" if found.passphrase.get_secret_value() else ""
        self._tell(f"Network: {words}{', hides its name' if found.hidden else ''}", "")
        return found

    def _tell(self, reading: str, problem: str) -> None:
        self.query_one("#reading", Text).update(Content(reading))
        self.query_one("#wifi-problem", Callout).say(problem)

    @on(Input.Changed)
    @on(Checkbox.Changed)
    def _changed(self) -> None:
        self._read(complain=len(self.query_one(SecretInput).value) > 5)

    @on(Input.Submitted)
    @on(Button.Pressed, "#use")
    def _use(self) -> None:
        found = self._read(complain=True)
        if found is None:
            return
        secret = found.passphrase if found.passphrase.get_secret_value() else None
        self._leave(NetworkAnswer(ssid=found.ssid, security=found.security, hidden=found.hidden, secret=secret))

    def _leave(self, answer: NetworkAnswer | None) -> None:
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
