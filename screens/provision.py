"""Consent: to what somebody else wrote, and to send the credentials; and the progress of the device that joins."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable

from textual import on
from textual.widget import Widget
from textual.widgets import Button

from installer.answers import ProvisionAnswer
from installer.flow.questions import AcceptUnproved, ConfirmForeign, ConfirmSending
from installer.provisioning.provisioner import Stage
from installer.text import capitalized, quoted
from screens.cards import Card, CardChoice, Cards
from screens.installation_state import InstallationState, Mark, ProgressView
from screens.labels import protocol_label, security_label, shown, shown_ssid
from screens.question_screen import QuestionScreen
from screens.widgets import ButtonRow, Callout, Facts, Text, button


class SendScreen(QuestionScreen[ConfirmSending]):
    """Asks for consent to send the credentials."""

    def heading(self) -> str:
        return f"Send the Wi-Fi credentials to {self.question.model.name}?"

    def hint(self) -> str:
        return "This cannot be undone."

    def body(self) -> Iterable[Widget]:
        question = self.question
        device = question.device
        yield Facts(
            [
                ("Device", shown(device.text, 120) if device is not None else question.model.name),
                ("Chosen by", shown(device.chosen_by, 120) if device is not None else ""),
                ("Network", f"{question.network.in_quotes}, {security_label(question.network.security)}"),
                ("Protocol", protocol_label(question.protocol)),
            ]
        )
        safe = question.encrypted and question.proved and question.safe_from_relays
        yield Callout(question.protection, "note" if safe else "warning")
        yield Callout(shown(question.warning, 300), "warning", id="band")
        with ButtonRow():
            yield button("Send", "send", "primary")
            if question.can_go_back:
                yield button("Back", "back")

    @on(Button.Pressed, "#send")
    def _send(self) -> None:
        self.answer(ProvisionAnswer(send=True))

    @on(Button.Pressed, "#back")
    def _back(self) -> None:
        self.action_back()


class UnprovedScreen(QuestionScreen[AcceptUnproved]):
    """Asks whether a device that has not proved itself may get the passphrase. The answer is True or False."""

    def heading(self) -> str:
        return "The device has not proved itself"

    def hint(self) -> str:
        return "Nothing was sent. Go on only if nobody else can be within radio reach."

    def body(self) -> Iterable[Widget]:
        question = self.question
        yield Facts(
            [
                ("Device", f"{question.address} {shown(quoted(question.name)) or question.model.name}"),
                ("Asked for", capitalized(question.asked)),
                ("It offers", question.offered),
            ]
        )
        yield Callout(question.consequence, "warning")
        with ButtonRow():
            yield button("Do not send", "refuse", "primary")
            yield button("Send anyway", "accept")

    @on(Button.Pressed, "#refuse")
    def _refuse(self) -> None:
        self.answer(False)

    @on(Button.Pressed, "#accept")
    def _accept(self) -> None:
        self.answer(True)


class ConfirmForeignScreen(QuestionScreen[ConfirmForeign]):
    """Asks whether what somebody else wrote may be used. The marked choice is no."""

    def heading(self) -> str:
        return self.question.title

    def hint(self) -> str:
        return "Somebody else may have written this. Say yes only if you know who it was, and why."

    def body(self) -> Iterable[Widget]:
        for line in self.question.lines:
            yield Text(shown(line, 500), classes="paragraph")
        yield Cards([CardChoice("no", self.question.no), CardChoice("yes", self.question.yes)])

    def on_mount(self) -> None:
        self.query(Card).first().focus()

    @on(Card.Chosen)
    def _chosen(self, event: Card.Chosen) -> None:
        self.answer(event.choice.key == "yes")


def progress_view(state: InstallationState) -> ProgressView:
    """The stages of provisioning, and the current one."""
    name = shown(state.device.name) if state.device and state.device.name else "the device"
    network = shown_ssid(state.network.ssid) if state.network else "the network"
    stage = state.stage
    order = [Stage.AUTHORIZED, Stage.SENDING, Stage.JOINING, Stage.JOINED]
    # The label of each stage before and after it is done.
    labels = {
        Stage.AUTHORIZED: ("Press of the button", "Button pressed"),
        Stage.SENDING: ("Send the credentials", "Credentials sent"),
        Stage.JOINING: (f"Join {network}", f"Joined {network}"),
        Stage.JOINED: ("Online", "Online"),
    }
    if not state.asked_for_button:
        order.remove(Stage.AUTHORIZED)
    if stage is None:
        current = -1
    elif stage is Stage.AUTHORIZATION_NEEDED:
        current = 0
    else:
        current = order.index(stage) if stage in order else -1
        current += stage in (Stage.AUTHORIZED, Stage.JOINED)
    stages = tuple(
        (Mark.DONE if i < current else Mark.NOW if i == current else Mark.TODO, labels[s][i < current])
        for i, s in enumerate(order)
    )
    titles = {
        None: f"Preparing {name}",
        Stage.AUTHORIZATION_NEEDED: f"{name} waits for you",
        Stage.AUTHORIZED: f"{name} allows it",
        Stage.SENDING: f"Sending the credentials to {name}",
        Stage.JOINING: f"{name} joins {network}",
        Stage.JOINED: f"{name} is on {network}",
        Stage.STORED: f"{name} keeps the credentials of {network}",
    }
    hint = "The device asks for a press, so that nobody else can set it up." if stage is order[0] else ""
    if stage is Stage.JOINING:
        hint = state.attempts_left or "The credentials are there. The device tries them now."
    return ProgressView(titles[stage], hint, stages, state.todo)
