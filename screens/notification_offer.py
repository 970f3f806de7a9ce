"""The screen that offers notifications: should the cloud notify a receiver of new data? Most people say no."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable

from textual import on
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Input

from installer.flow.questions import OfferNotifications
from installer.notifications.callback_url import url_problem
from screens.cards import Card, CardChoice, Cards
from screens.labels import shown
from screens.question_screen import QuestionScreen
from screens.widgets import Callout, Text

# Keys of the cards.
NO, KNOWN_ADDRESS, OTHER_ADDRESS = "no", "known", "other"


class NotificationOfferScreen(QuestionScreen[OfferNotifications]):
    """Asks whether to subscribe, and where."""

    def heading(self) -> str:
        return "Should the cloud tell you of new data?"

    def hint(self) -> str:
        return f"The device is linked. A program of yours can be told of new data: {self.question.kinds}."

    def body(self) -> Iterable[Widget]:
        question = self.question
        choices = [CardChoice(NO, "No", "Right for most people. The data is found without it too, only later.")]
        if question.known:
            text = f"{shown(question.known)} is notified."
            choices.insert(0, CardChoice(KNOWN_ADDRESS, "Yes, at the address that is known here", text))
        title = "Yes, at another address" if question.known else "Yes"
        choices.append(
            CardChoice(OTHER_ADDRESS, title, "You have a receiver, such as `device-installer notifications serve`.")
        )
        yield Cards(choices)
        with Vertical(id="new-address"):
            yield Text("Its address. {path} stands for its secret part, which is kept in a separate file:")
            yield Input(question.proposal or "https://", id="address", max_length=255)
            yield Callout("", "error", id="address-problem")

    def on_mount(self) -> None:
        self.query_one("#new-address").display = False
        self.query(Card).first().focus()

    @on(Card.Chosen)
    def _chosen(self, event: Card.Chosen) -> None:
        if event.choice.key == OTHER_ADDRESS:
            self.query_one("#new-address").display = True
            self.query_one("#address", Input).focus()
        else:
            self.answer(event.choice.key == KNOWN_ADDRESS)

    @on(Input.Submitted)
    def _typed(self, event: Input.Submitted) -> None:
        address = event.value.strip()
        wrong = url_problem(address.replace("{path}", ""))
        self.query_one("#address-problem", Callout).show_text(wrong)
        if not wrong:
            self.answer(address)

    def clear_secrets(self) -> None:
        # The address may contain its secret part.
        self.query_one("#address", Input).value = ""
