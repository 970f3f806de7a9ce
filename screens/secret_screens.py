"""Screens that ask for a secret: the passphrase of a Wi-Fi network, and a device's proof of possession.

The secret is hidden and checked while it is typed, and cleared when the screen is left.
"""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

import abc
from collections.abc import Iterable
from typing import ClassVar, NamedTuple

from pydantic import SecretStr
from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Input

from installer.errors import InstallerError
from installer.flow.questions import AskPassphrase, AskProof
from installer.qr.classify import proof_in
from installer.qr.device_setup_code import DevicePayload
from installer.text import quoted
from installer.wifi.credentials import passphrase_problem, passphrase_warning
from screens.labels import security_label, shown
from screens.question_screen import QuestionScreen, QuestionT
from screens.widgets import ButtonRow, SecretInput, Text, button

MAX_PROOF_CHARACTERS = 128


class SecretCheck(NamedTuple):
    """Whether the typed secret can be used, and the message that is shown about it."""

    usable: bool
    message: str


class SecretScreen(QuestionScreen[QuestionT]):
    """Asks for one secret. The answer is a `SecretStr`, or the device's code that carries it."""

    PLACEHOLDER = "passphrase"

    @abc.abstractmethod
    def check_secret(self, value: str) -> SecretCheck:
        """Check `value`; the message never contains it."""

    def secret_in(self, value: str) -> SecretStr | DevicePayload:
        """The secret in a usable `value`, or the code that carries it."""
        return SecretStr(value)

    def body(self) -> Iterable[Widget]:
        yield SecretInput(self.PLACEHOLDER, id="passphrase")
        yield Text("", id="verdict")
        with ButtonRow():
            yield button("Go on", "go", "primary")
            yield button("Show it (F2)", "reveal")
            if self.question.can_go_back:
                yield button("Back", "back")

    def on_mount(self) -> None:
        self.query_one(SecretInput).focus()
        self._show_check("")

    def _show_check(self, value: str) -> None:
        check = self.check_secret(value)
        self.query_one("#go", Button).disabled = not check.usable
        text = self.query_one("#verdict", Text)
        text.set_class(not check.usable and bool(value), "-wrong")
        text.update(Content(check.message))

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        if not self.result.done():
            self._show_check(event.value)

    @on(Input.Submitted)
    @on(Button.Pressed, "#go")
    def _go(self) -> None:
        value = self.query_one(SecretInput).value
        if self.check_secret(value).usable:
            self.answer(self.secret_in(value))
        else:
            self._show_check(value)

    @on(Button.Pressed, "#reveal")
    def _reveal(self) -> None:
        field = self.query_one(SecretInput)
        field.action_reveal()
        field.focus()

    @on(Button.Pressed, "#back")
    def _back(self) -> None:
        self.action_back()

    def clear_secrets(self) -> None:
        """Hide and clear the field."""
        for field in self.query(SecretInput):
            with self.prevent(Input.Changed):
                field.clear_secret()


class PassphraseScreen(SecretScreen[AskPassphrase]):
    """Asks for the passphrase of the network."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f4", "of_host", "This computer's", id="passphrase.host", tooltip="Use the one that this computer has"),
    ]

    def heading(self) -> str:
        return f"The passphrase of {self.question.network.in_quotes}"

    def body(self) -> Iterable[Widget]:
        device = self.question.device
        if device is not None:
            yield Text(f"For {shown(device.whole_text, 240)}", id="target")
        yield from super().body()

    def hint(self) -> str:
        security = security_label(self.question.network.security)
        if self.question.host_passphrase is not None:
            return f"Security: {security}. This computer is on that network itself: F4 uses its passphrase."
        return f"Security: {security}. Often printed on the router. Kept in no file, in no log."

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The computer's own passphrase is offered only if the computer uses this network."""
        if action == "of_host":
            return self.question.host_passphrase is not None and not self.result.done()
        return super().check_action(action, parameters)

    def action_of_host(self) -> None:
        """Ask the operating system for the passphrase that it uses itself."""
        self.show_problem("")
        self.set_header(hint="Asking this computer for its passphrase; it may want your permission…")
        self.run_worker(self._of_host(), group="host", exclusive=True)

    async def _of_host(self) -> None:
        ask = self.question.host_passphrase
        if ask is None:
            return
        try:
            secret = await ask()
        except InstallerError as error:
            if not self.result.done():
                self.set_header(hint=self.hint())
                self.show_problem(f"{error.what} Type it instead.")
            return
        check = self.check_secret(secret.get_secret_value())
        if check.usable:
            self.answer(secret)
        else:
            self.show_problem(check.message)

    def check_secret(self, value: str) -> SecretCheck:
        problem = passphrase_problem(value, self.question.network.security)
        if not value and problem is not None:
            return SecretCheck(False, "8 to 63 characters. Capital and small letters differ.")
        if not value:
            return SecretCheck(True, "Leave it empty if the network has none.")
        if problem is not None:
            return SecretCheck(False, problem)
        warning = passphrase_warning(value, self.question.network.security)
        return SecretCheck(True, f"{len(value)} characters. Enter goes on. {warning}".rstrip())


class ProofScreen(SecretScreen[AskProof]):
    """Asks for the device's proof of possession, or its password."""

    PLACEHOLDER = "proof of possession, or the text of the device's QR code"

    def heading(self) -> str:
        return f"The proof of possession of {quoted(self.question.name) or self.question.model.name}"

    def body(self) -> Iterable[Widget]:
        if self.question.address:
            yield Text(f"For {self.question.address}, {shown(self.question.model.name)}", id="target")
        yield from super().body()

    def hint(self) -> str:
        where = "Printed on the device, on its box or in its manual, often beside a QR code (“pop”)."
        return f"{where} In the lab's own world it is abcd1234." if self.wizard.lab else where

    def check_secret(self, value: str) -> SecretCheck:
        if not value:
            return SecretCheck(False, "Capital and small letters differ.")
        try:
            found = proof_in(value, self.question.name)
        except InstallerError as error:
            return SecretCheck(False, f"{error.what} {error.todo}")
        if isinstance(found, DevicePayload):
            return SecretCheck(True, "The code of this device, with its proof. Enter goes on.")
        if len(value) > MAX_PROOF_CHARACTERS:
            return SecretCheck(False, f"At most {MAX_PROOF_CHARACTERS} characters.")
        return SecretCheck(True, "Enter goes on.")

    def secret_in(self, value: str) -> SecretStr | DevicePayload:
        return proof_in(value, self.question.name)
