"""Passphrase: the one of a Wi-Fi network, checked while it is typed."""

# ruff: noqa: D102 (hooks of the base class, which documents them)

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from installer.errors import InstallerError
from installer.flow.questions import AskPassphrase
from installer.wifi.networks import passphrase_problem
from screens.secret_screen import SecretScreen, Verdict
from screens.widgets import security_label


class PassphraseScreen(SecretScreen[AskPassphrase]):
    """Asks for the passphrase of the network."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f4", "of_host", "This computer's", id="passphrase.host", tooltip="Use the one that this computer has"),
    ]

    def heading(self) -> str:
        return f"The passphrase of {self.question.network.label}"

    def hint(self) -> str:
        security = security_label(self.question.network.security)
        if self.question.of_host is not None:
            return f"Security: {security}. This computer is on that network itself: F4 uses its passphrase."
        return f"Security: {security}. Often printed on the router. Kept in no file, in no log."

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """This computer's own passphrase, where it is on that network."""
        if action == "of_host":
            return self.question.of_host is not None and not self.result.done()
        return super().check_action(action, parameters)

    def action_of_host(self) -> None:
        """Ask the system for the passphrase that it uses itself."""
        self.say_problem("")
        self.say(hint="Asking this computer for its passphrase; it may want your permission…")
        self.run_worker(self._of_host(), group="host", exclusive=True)

    async def _of_host(self) -> None:
        ask = self.question.of_host
        if ask is None:
            return
        try:
            secret = await ask()
        except InstallerError as error:
            if not self.result.done():
                self.say(hint=self.hint())
                self.say_problem(f"{error.what} Type it instead.")
            return
        verdict = self.judge(secret.get_secret_value())
        if verdict.possible:
            self.answer(secret)
        else:
            self.say_problem(verdict.words)

    def judge(self, value: str) -> Verdict:
        problem = passphrase_problem(value, self.question.network.security)
        if not value and problem is not None:
            return Verdict(False, "8 to 63 characters. Capital and small letters differ.")
        if not value:
            return Verdict(True, "Leave it empty if the network has none.")
        return Verdict(problem is None, problem or f"{len(value)} characters. Enter goes on.")
