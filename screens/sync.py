"""The sync step: choose Wi-Fi or Bluetooth only. A method that the model lacks shows the reason."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable

from textual import on
from textual.widget import Widget

from installer.answers import SyncAnswer
from installer.catalogue.model import Model, SyncMethod
from installer.flow.questions import ChooseSync, SyncChoice
from installer.gateway.sync_advice import where_data_goes
from installer.text import capitalized
from screens.cards import Card, CardChoice, Cards
from screens.question_screen import QuestionScreen


def consequence(model: Model, method: SyncMethod) -> str:
    """What this method means in daily use."""
    text = where_data_goes(model, method)
    if method is SyncMethod.BLUETOOTH:
        return text
    bands = f" ({', '.join(model.bands)})" if model.bands else ""
    return f"{text} It needs your Wi-Fi{bands} where it stands, and its name and passphrase now."


class SyncScreen(QuestionScreen[ChooseSync]):
    """Asks for the sync method."""

    def heading(self) -> str:
        whose = "its" if self.question.count == 1 else "their"
        return f"How should {self.question.model.name} deliver {whose} data?"

    def hint(self) -> str:
        if sum(c.allowed for c in self.question.choices) > 1:
            both = "" if self.question.model.cloud.data is None else "Both ways end in your account. "
            return both + "To change it later, install it again."
        return "This model has one way only."

    def body(self) -> Iterable[Widget]:
        yield Cards([self._card(c) for c in self.question.choices])

    def _card(self, choice: SyncChoice) -> CardChoice:
        method = choice.method
        text = consequence(self.question.model, method)
        return CardChoice(
            method.value, method.label, text, "" if choice.allowed else capitalized(choice.reason) or "Not available."
        )

    @on(Card.Chosen)
    def _chosen(self, event: Card.Chosen) -> None:
        self.answer(SyncAnswer(method=SyncMethod(event.choice.key)))
