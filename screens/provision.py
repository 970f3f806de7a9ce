"""Provision: consent to send the credentials, and what the device does with them."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable

from textual import on
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Button

from installer.answers import ProvisionAnswer
from installer.flow.questions import ConfirmSending
from installer.provisioning.provisioner import Stage
from screens.frame import QuestionScreen
from screens.progress import View
from screens.run_state import Mark, RunState
from screens.widgets import Callout, Facts, button, protocol_label, security_label, shown

UNENCRYPTED = (
    "The protocol {protocol} sends the passphrase over Bluetooth without encryption. For the second that this takes, "
    "someone within radio range who records it could read it. If that is not acceptable, go back."
)
ENCRYPTED = "The protocol {protocol} encrypts the credentials on their way to the device."


class SendScreen(QuestionScreen[ConfirmSending]):
    """Asks for consent to send the credentials."""

    def heading(self) -> str:
        return f"Send the Wi-Fi credentials to {self.question.model.name}?"

    def hint(self) -> str:
        return "From then on it cannot be taken back."

    def body(self) -> Iterable[Widget]:
        question = self.question
        yield Facts(
            [
                ("Network", question.network.label),
                ("Security", security_label(question.network.security)),
                ("Device", question.model.name),
            ]
        )
        words = (ENCRYPTED if question.encrypted else UNENCRYPTED).format(protocol=protocol_label(question.protocol))
        yield Callout(words, "note" if question.encrypted else "warning")
        yield Callout(shown(question.warning, 300), "warning", id="band")
        with Horizontal(classes="buttons"):
            yield button("Send", "send", "primary")
            if question.can_go_back:
                yield button("Back", "back")

    @on(Button.Pressed, "#send")
    def _send(self) -> None:
        self.answer(ProvisionAnswer(send=True))

    @on(Button.Pressed, "#back")
    def _back(self) -> None:
        self.action_back()


def view(state: RunState) -> View:
    """The stages of the hand-over, and where it is."""
    name = shown(state.device.name) if state.device and state.device.name else "the device"
    network = shown(state.network.ssid) if state.network else "the network"
    stage = state.stage
    order = [Stage.AUTHORIZED, Stage.SENDING, Stage.JOINING, Stage.JOINED]
    # What each stage is called before, and after it is done.
    words = {
        Stage.AUTHORIZED: ("Press of the button", "Button pressed"),
        Stage.SENDING: ("Send the credentials", "Credentials sent"),
        Stage.JOINING: (f"Join {network}", f"Joined {network}"),
        Stage.JOINED: ("Online", "Online"),
    }
    if not state.asked_for_button:
        order.remove(Stage.AUTHORIZED)
    if stage is None:
        at = -1
    elif stage is Stage.AUTHORIZATION_NEEDED:
        at = 0
    else:
        at = order.index(stage) if stage in order else -1
        at += stage in (Stage.AUTHORIZED, Stage.JOINED)
    stages = tuple(
        (Mark.DONE if i < at else Mark.NOW if i == at else Mark.TODO, words[s][i < at]) for i, s in enumerate(order)
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
        hint = state.tries or "The credentials are there. The device tries them now."
    return View(titles[stage], hint, stages, state.todo)
