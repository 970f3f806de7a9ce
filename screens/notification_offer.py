"""Notifications: shall the cloud tell a receiver of new data? Most people say no."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable

from textual import on
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Input

from installer.flow.questions import OfferNotifications
from installer.notifications.callback_url import problem
from screens.cards import Card, Cards, Choice
from screens.frame import QuestionScreen
from screens.widgets import Callout, Text, shown

NO, KNOWN, OTHER = "no", "known", "other"


class NotifyScreen(QuestionScreen[OfferNotifications]):
    """Asks whether to subscribe, and where."""

    def heading(self) -> str:
        return "Shall the cloud tell you of new data?"

    def hint(self) -> str:
        return f"The device is linked. A program of yours can be told of new data: {self.question.kinds}."

    def body(self) -> Iterable[Widget]:
        question = self.question
        choices = [Choice(NO, "No", "Right for most people. The data is found by looking, too, only later.")]
        if question.known:
            words = f"{shown(question.known)} is told of it."
            choices.insert(0, Choice(KNOWN, "Yes, at the address that is known here", words))
        title = "Yes, at another address" if question.known else "Yes"
        choices.append(Choice(OTHER, title, "You have a receiver, such as `device-installer notifications serve`."))
        yield Cards(choices)
        with Vertical(id="new-address"):
            yield Text("Its address. {path} stands for its secret part, which is kept in a file of its own:")
            yield Input(question.proposal or "https://", id="address", max_length=255)
            yield Callout("", "error", id="address-problem")

    def on_mount(self) -> None:
        self.query_one("#new-address").display = False
        self.query(Card).first().focus()

    @on(Card.Chosen)
    def _chosen(self, event: Card.Chosen) -> None:
        if event.choice.key == OTHER:
            self.query_one("#new-address").display = True
            self.query_one("#address", Input).focus()
        else:
            self.answer(event.choice.key == KNOWN)

    @on(Input.Submitted)
    def _typed(self, event: Input.Submitted) -> None:
        address = event.value.strip()
        wrong = problem(address.replace("{path}", ""))
        self.query_one("#address-problem", Callout).say(wrong)
        if not wrong:
            self.answer(address)

    def forget(self) -> None:
        # An address may hold its secret.
        self.query_one("#address", Input).value = ""
