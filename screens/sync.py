"""Sync: by Wi-Fi or by Bluetooth only; the method that the model lacks says why."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable

from textual import on
from textual.widget import Widget

from installer.answers import SyncAnswer
from installer.catalogue.catalogue import DeviceType, Model, SyncMethod
from installer.flow.questions import ChooseSync, SyncChoice
from installer.text import sentence
from screens.cards import Card, Cards, Choice
from screens.frame import QuestionScreen


def consequence(model: Model, method: SyncMethod) -> str:
    """What choosing this method means from day to day."""
    thing = "device" if model.type is DeviceType.OTHER else str(model.type)
    if method is SyncMethod.WIFI:
        bands = f" ({', '.join(model.bands)})" if model.bands else ""
        return f"{_goes_to(model, thing)} It needs your Wi-Fi{bands} where it stands, and its name and passphrase now."
    return (
        f"The {thing} needs no Wi-Fi. A gateway or phone collects its data over Bluetooth: "
        "it must be running, online and within reach of the device."
    )


def _goes_to(model: Model, thing: str) -> str:
    if model.cloud.data is None:
        return f"The {thing} joins your Wi-Fi, and is used there: this program knows no cloud for it."
    return f"The {thing} sends its data to your account by itself."


class SyncScreen(QuestionScreen[ChooseSync]):
    """Asks for the sync method."""

    def heading(self) -> str:
        whose = "its" if self.question.count == 1 else "their"
        return f"How shall {self.question.model.name} deliver {whose} data?"

    def hint(self) -> str:
        if sum(c.allowed for c in self.question.choices) > 1:
            both = "" if self.question.model.cloud.data is None else "Both ways end in your account. "
            return both + "To change it later, install it again."
        return "This model has one way only."

    def body(self) -> Iterable[Widget]:
        yield Cards([self._card(c) for c in self.question.choices])

    def _card(self, choice: SyncChoice) -> Choice:
        method = choice.method
        text = consequence(self.question.model, method)
        return Choice(
            method.value, method.label, text, "" if choice.allowed else sentence(choice.reason) or "Not available."
        )

    @on(Card.Chosen)
    def _chosen(self, event: Card.Chosen) -> None:
        self.answer(SyncAnswer(method=SyncMethod(event.choice.key)))
