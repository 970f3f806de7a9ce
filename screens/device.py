"""Device: is it this one? Its picture, what it says of itself, and a blink to be sure."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button

from installer.bluetooth.sighting import Certainty
from installer.errors import InstallerError
from installer.flow.questions import ConfirmDevice
from screens.frame import QuestionScreen
from screens.pictures import picture
from screens.widgets import Callout, Facts, Text, button, protocol_label, shown, strength

SURE = {
    Certainty.CERTAIN: "certain",
    Certainty.LIKELY: "likely; check that it is the model you hold",
    Certainty.POSSIBLE: "possible; check that it is the model you hold",
    Certainty.UNKNOWN: "not known",
}

ON_WIFI = "It is set up already: it keeps its Wi-Fi network and is only linked. For another network, reset it first."
ON_AN_ACCOUNT = (
    "It is on an account already. Go on only if that account is yours; else its owner must remove it there first."
)


class DeviceScreen(QuestionScreen[ConfirmDevice]):
    """Asks whether this is the device. The answer is True."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "blink", "Make it blink", id="device.blink", tooltip="The device blinks or beeps"),
        Binding("y", "confirm", "Yes", show=False, id="device.yes", tooltip="This is the device"),
    ]

    def heading(self) -> str:
        return f"Is it this {self.question.model.name}?"

    def hint(self) -> str:
        return "Make sure that it is the device in front of you."

    def body(self) -> Iterable[Widget]:
        question = self.question
        with Horizontal(id="device"):
            yield Text(picture(question.model), id="picture")
            with Vertical():
                yield Facts(self._facts())
                yield Text("", id="blinking")
        if question.set_up:
            yield Callout(ON_AN_ACCOUNT if question.protocol == "guided" else ON_WIFI, "warning")
        with Horizontal(classes="buttons"):
            yield button("Yes, this one", "yes", "primary")
            if question.identify is not None:
                yield button("Make it blink", "blink")
            if question.can_go_back:
                yield button("No, back to the list", "no")

    def _facts(self) -> list[tuple[str, str]]:
        question = self.question
        sighting, info = question.sighting, question.info
        model = question.model
        firmware = f"{shown(info.firmware)} {shown(info.firmware_version)}".strip()
        return [
            ("Name", shown(info.name) or sighting.name or "(no name)"),
            ("Model", f"{model.vendor} {model.name}, {model.type}".strip()),
            ("How sure", SURE[sighting.detection.certainty]),
            ("Address", sighting.address),
            ("Signal", f"{strength(sighting.bars)}, {sighting.rssi} dBm"),
            ("Firmware", firmware),
            ("Hardware", shown(info.hardware)),
            ("Protocol", protocol_label(question.protocol)),
        ]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Blinking, where the device can."""
        if action == "blink":
            return self.question.identify is not None
        return super().check_action(action, parameters)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        match event.button.id:
            case "yes":
                self.action_confirm()
            case "blink":
                self.action_blink()
            case _:
                self.action_back()

    def action_confirm(self) -> None:
        """This one."""
        self.answer(True)

    def action_blink(self) -> None:
        """Ask the device to show itself."""
        self._say("Asking the device to blink…")
        self.run_worker(self._blink(), group="blink", exclusive=True)

    async def _blink(self) -> None:
        identify = self.question.identify
        if identify is None:
            return
        try:
            await identify()
        except InstallerError as error:
            self._say("")
            self.say_problem(f"{error.what} {error.todo}")
        else:
            self.say_problem("")
            self._say("It blinks or beeps now. Is it the one in front of you?")

    def _say(self, text: str) -> None:
        self.query_one("#blinking", Text).update(Content(text))
