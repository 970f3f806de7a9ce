"""Proof of possession: what is printed on the device, so that only somebody who has it can set it up."""

# ruff: noqa: D102 (hooks of the base class, which documents them)

from __future__ import annotations

from pydantic import SecretStr

from installer.errors import InstallerError
from installer.flow.questions import AskProof
from installer.qr.classify import proof_in
from screens.secret_screen import SecretScreen, Verdict

LONGEST = 128


class ProofScreen(SecretScreen[AskProof]):
    """Asks for the device's proof of possession, or its password."""

    PLACEHOLDER = "proof of possession, or the text of the device's QR code"

    def heading(self) -> str:
        return f"The proof of possession of {self.question.name or self.question.model.name}"

    def hint(self) -> str:
        where = "Printed on the device, on its box or in its manual, often beside a QR code (“pop”)."
        return f"{where} In the lab's own world it is abcd1234." if self.wizard.lab else where

    def judge(self, value: str) -> Verdict:
        if not value:
            return Verdict(False, "Capital and small letters differ.")
        try:
            found = proof_in(value, self.question.name).get_secret_value()
        except InstallerError as error:
            return Verdict(False, f"{error.what} {error.todo}")
        if found != value:
            return Verdict(True, "The code of this device, with its proof. Enter goes on.")
        if len(value) > LONGEST:
            return Verdict(False, f"At most {LONGEST} characters.")
        return Verdict(True, "Enter goes on.")

    def secret(self, value: str) -> SecretStr:
        return proof_in(value, self.question.name)
