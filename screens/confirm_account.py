"""The confirm-account screen: whose account was signed in? Asked before anything is stored or linked."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Button

from installer.cloud.whose_account import SignedInPerson
from installer.flow.questions import ConfirmAccount
from screens.labels import shown
from screens.question_screen import QuestionScreen
from screens.widgets import ButtonRow, Callout, Facts, Text, button

WHY = (
    "A browser may still be signed in as somebody else. The device and its data go to this account, so compare it with "
    "the vendor's app."
)


class ConfirmAccountScreen(QuestionScreen[ConfirmAccount]):
    """Asks whether this is the account that is meant. The answer is True or False."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "confirm", "Yes", show=False, id="account.yes", tooltip="This is the right account"),
        Binding("n", "refuse", "No", show=False, id="account.no", tooltip="Nothing is stored"),
    ]

    def heading(self) -> str:
        return "Is this your account?" if not self.question.person.warning else "Is this the right account?"

    def hint(self) -> str:
        return "Nothing is stored or linked before you say so."

    def body(self) -> Iterable[Widget]:
        person = self.question.person
        if person.warning:
            yield Callout(f"{shown(person.warning, 400)} Is that meant?", "warning")
        yield Facts(_facts(person))
        yield Text(WHY)
        with ButtonRow():
            # What does not fit is not confirmed by one careless Enter: the button that refuses comes first.
            if person.warning:
                yield button("No, sign in again", "no", "primary")
                yield button("Yes, store it", "yes")
            else:
                yield button("Yes, this one", "yes", "primary")
                yield button("No, sign in again", "no")

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.answer(event.button.id == "yes")

    def action_confirm(self) -> None:
        """Yes, this one."""
        self.answer(True)

    def action_refuse(self) -> None:
        """No: nothing is stored."""
        self.answer(False)


def _facts(person: SignedInPerson) -> list[tuple[str, str]]:
    devices = "not known" if person.devices is None else ", ".join(map(shown, person.devices)) or "none"
    return [
        ("Signed in at", shown(person.cloud)),
        ("User", shown(person.userid) or "the cloud does not say"),
        ("Devices there", devices),
        ("Name here", shown(person.account)),
    ]
