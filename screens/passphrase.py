"""Passphrase: the one of a Wi-Fi network, checked while it is typed."""

# ruff: noqa: D102 (hooks of the base class, which documents them)

from __future__ import annotations

from installer.questions import AskPassphrase
from installer.wifi import passphrase_problem
from screens.secret import SecretScreen, Verdict
from screens.widgets import security_label


class PassphraseScreen(SecretScreen[AskPassphrase]):
    """Asks for the passphrase of the network."""

    def heading(self) -> str:
        return f"The passphrase of {self.question.network.label}"

    def hint(self) -> str:
        security = security_label(self.question.network.security)
        return f"Security: {security}. Often printed on the router. Kept in no file, in no log."

    def judge(self, value: str) -> Verdict:
        problem = passphrase_problem(value, self.question.network.security)
        if not value and problem is not None:
            return Verdict(False, "8 to 63 characters. Capital and small letters differ.")
        if not value:
            return Verdict(True, "Leave it empty if the network has none.")
        return Verdict(problem is None, problem or f"{len(value)} characters. Enter goes on.")
