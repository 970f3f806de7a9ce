"""The screens of pairing: the digits of the device, a number to compare, digits to type on it, and a lost bond."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from pydantic import SecretStr
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button

from installer.bluetooth.pairing import is_passkey
from installer.flow.pairing_questions import AskPasskey, CompareNumbers, RenewBond, ShowPasskey
from installer.text import quoted
from installer.timing.durations import minutes_and_seconds
from screens.cards import Card, CardChoice, Cards
from screens.labels import shown
from screens.question_screen import QuestionScreen, QuestionT
from screens.secret_screens import SecretCheck, SecretScreen
from screens.widgets import Text, button

REFRESH_SECONDS = 0.5


class PairingScreen(QuestionScreen[QuestionT]):
    """A question that the device waits for, with the time that is left. The engine withdraws it at the end."""

    def body(self) -> Iterable[Widget]:
        question = self._pairing
        yield Text(f"{question.address} {shown(quoted(question.name))}, {shown(question.model.name)}", id="target")
        yield from super().body()
        yield Text("", id="remaining")

    def on_mount(self) -> None:
        self._deadline = self.wizard.clock() + self._pairing.seconds
        self._show_time_left()
        self.set_interval(REFRESH_SECONDS, self._show_time_left)

    def _show_time_left(self) -> None:
        left = self._deadline - self.wizard.clock()
        text = f"The device waits {minutes_and_seconds(left)} more." if left > 0 else "The device waits no longer."
        self.query_one("#remaining", Text).update(Content(text))

    @property
    def _pairing(self) -> AskPasskey | CompareNumbers | ShowPasskey:
        question = self.question
        assert isinstance(question, AskPasskey | CompareNumbers | ShowPasskey)
        return question


class PasskeyScreen(PairingScreen[AskPasskey], SecretScreen[AskPasskey]):
    """Asks for the six digits that the device shows."""

    PLACEHOLDER = "six digits"

    def heading(self) -> str:
        return f"The digits that {quoted(self.question.name) or shown(self.question.model.name)} shows"

    def hint(self) -> str:
        return "The device wants to be paired with this computer, and shows six digits on its display now."

    def check_secret(self, value: str) -> SecretCheck:
        digits = value.replace(" ", "")
        if is_passkey(digits):
            return SecretCheck(True, "Enter goes on.")
        if digits and not digits.isdecimal():
            return SecretCheck(False, "Only digits. Zeros at the start count.")
        return SecretCheck(False, f"{len(digits)} of 6 digits. Zeros at the start count.")

    def secret_in(self, value: str) -> SecretStr:
        return SecretStr(value.replace(" ", ""))


class CompareScreen(PairingScreen[CompareNumbers]):
    """Asks whether the device shows the same number. The answer is True or False."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "same", "Yes", show=False, id="compare.yes", tooltip="The device shows this number"),
        Binding("n", "different", "No", show=False, id="compare.no", tooltip="Nothing is paired"),
    ]

    def heading(self) -> str:
        return "Does the device show this number?"

    def hint(self) -> str:
        return "Compare all six digits. If the device asks too, say yes there as well."

    def body(self) -> Iterable[Widget]:
        yield Text(Content.styled(f"{self.question.number[:3]} {self.question.number[3:]}", "bold"), id="number")
        yield from super().body()
        with Horizontal(classes="buttons"):
            yield button("Yes, the same", "yes", "primary")
            yield button("No", "no")

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.answer(event.button.id == "yes")

    def action_same(self) -> None:
        """The numbers are the same."""
        self.answer(True)

    def action_different(self) -> None:
        """They differ: nothing is paired."""
        self.answer(False)


class ShowPasskeyScreen(PairingScreen[ShowPasskey]):
    """Shows the digits that are to be typed on the device. Withdrawn when that is done."""

    def heading(self) -> str:
        return "Type these digits on the device"

    def hint(self) -> str:
        return "Then confirm on the device. This page goes on by itself."

    def body(self) -> Iterable[Widget]:
        digits = self.question.passkey.get_secret_value()
        yield Text(Content.styled(f"{digits[:3]} {digits[3:]}", "bold"), id="number")
        yield from super().body()

    def clear_secrets(self) -> None:
        """Remove the digits."""
        for text in self.query("#number").results(Text):
            text.update("")


class RenewBondScreen(QuestionScreen[RenewBond]):
    """Asks whether a device that has lost its keys is paired anew. The marked choice is no."""

    def heading(self) -> str:
        return "Pair the device anew?"

    def hint(self) -> str:
        return "This computer's old keys of the device are erased then."

    def body(self) -> Iterable[Widget]:
        yield Text(self.question.consequence, classes="paragraph")
        yield Cards([CardChoice("no", "No, stop here"), CardChoice("yes", "Yes, pair it anew")])

    def on_mount(self) -> None:
        self.query(Card).first().focus()

    @on(Card.Chosen)
    def _chosen(self, event: Card.Chosen) -> None:
        self.answer(event.choice.key == "yes")
