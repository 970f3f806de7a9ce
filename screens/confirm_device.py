"""The confirm-device screen: is it this one? Shows a picture of the model, what the device reports, and a blink."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import resources
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button

from installer.bluetooth.sighting import Certainty
from installer.catalogue.model import DeviceType, Model
from installer.errors import InstallerError
from installer.flow.questions import ConfirmDevice
from screens.labels import protocol_label, shown, strength
from screens.question_screen import QuestionScreen
from screens.widgets import ButtonRow, Callout, Facts, Text, button

CERTAINTY_LABELS = {
    Certainty.CERTAIN: "certain",
    Certainty.LIKELY: "likely; check that it is the model you hold",
    Certainty.POSSIBLE: "possible; check that it is the model you hold",
    Certainty.UNKNOWN: "not known",
}
ALREADY_ON_WIFI = (
    "It is set up already: it keeps its Wi-Fi network and is only linked. For another network, reset it first."
)
ALREADY_IN_ACCOUNT = (
    "It is in an account already. Go on only if that account is yours; else its owner must remove it there first."
)

# Pictures in `assets/pictures/`: at most 24 × 9 characters, each one cell wide.
PICTURE_WIDTH, PICTURE_HEIGHT = 24, 9
_DEFAULT_PICTURE = "device"
_PICTURE_OF_TYPE = {
    DeviceType.SCALE: "scale",
    DeviceType.BLOOD_PRESSURE_MONITOR: "cuff",
    DeviceType.SLEEP_MAT: "mat",
    DeviceType.THERMOMETER: "thermometer",
    DeviceType.WATCH: "watch",
}


def picture(model: Model) -> str:
    """The picture of a model: its own, or the one its catalogue entry names, or that of its type, or the default."""
    folder = resources.files("assets").joinpath("pictures")
    names = [model.id, model.picture, _PICTURE_OF_TYPE.get(model.type, _DEFAULT_PICTURE)]
    valid = [n for n in names if n != _DEFAULT_PICTURE and re.fullmatch(r"[a-z0-9-]+", n)]
    for name in [*valid, _DEFAULT_PICTURE]:
        file = folder.joinpath(f"{name}.txt")
        if file.is_file():
            return file.read_text("utf-8").rstrip("\n")
    return ""


class ConfirmDeviceScreen(QuestionScreen[ConfirmDevice]):
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
                yield Facts(self._device_facts())
                yield Text("", id="blinking")
        if question.set_up:
            yield Callout(ALREADY_IN_ACCOUNT if question.protocol == "guided" else ALREADY_ON_WIFI, "warning")
        with ButtonRow():
            yield button("Yes, this one", "yes", "primary")
            if question.identify is not None:
                yield button("Make it blink", "blink")
            if question.can_go_back:
                yield button("No, back to the list", "no")

    def _device_facts(self) -> list[tuple[str, str]]:
        question = self.question
        sighting, info = question.sighting, question.info
        model = question.model
        firmware = f"{shown(info.firmware)} {shown(info.firmware_version)}".strip()
        return [
            ("Name", shown(info.name) or sighting.name or "(no name)"),
            ("Model", f"{model.vendor} {model.name}, {model.type}".strip()),
            ("How sure", CERTAINTY_LABELS[sighting.detection.certainty]),
            ("Address", sighting.address),
            ("Signal", f"{strength(sighting.bars)}, {sighting.rssi} dBm"),
            ("Firmware", firmware),
            ("Hardware", shown(info.hardware)),
            ("Protocol", protocol_label(question.protocol)),
        ]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Blinking is offered only if the device can blink."""
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
        """Yes, this one."""
        self.answer(True)

    def action_blink(self) -> None:
        """Make the device blink or beep."""
        self._show_blink_status("Asking the device to blink…")
        self.run_worker(self._blink(), group="blink", exclusive=True)

    async def _blink(self) -> None:
        identify = self.question.identify
        if identify is None:
            return
        try:
            await identify()
        except InstallerError as error:
            self._show_blink_status("")
            self.show_problem(f"{error.what} {error.todo}")
        else:
            self.show_problem("")
            self._show_blink_status("It blinks or beeps now. Is it the one in front of you?")

    def _show_blink_status(self, text: str) -> None:
        self.query_one("#blinking", Text).update(Content(text))
