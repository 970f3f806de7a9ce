"""Finish: what was installed, its first measurement in big, and what comes next."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Digits

from installer.catalogue.catalogue import SyncMethod
from installer.errors import InstallerError
from installer.measurement import Measurement, Quantity, Reading
from screens.engine_interface import Outcome
from screens.frame import Frame
from screens.progress import facts_of
from screens.run_state import RunState
from screens.widgets import Callout, Facts, Text, button, shown, spoken

GATEWAY = (
    "It syncs over Bluetooth only: a gateway or phone must be running, online and within reach of it, "
    "so that its data arrives."
)
PHONE = (
    "It syncs over Bluetooth only: the phone with the vendor's app must stay near it, be online, and keep the app "
    "running in the background."
)


def big(reading: Reading) -> str:
    """The number of a reading as digits."""
    if reading.quantity is Quantity.SLEEP and reading.unit == "s":
        minutes = round(reading.value / 60)
        return f"{minutes // 60}:{minutes % 60:02d}"
    return f"{reading.value.normalize():f}"


def caption(reading: Reading) -> str:
    """What the digits are."""
    if reading.quantity is Quantity.SLEEP and reading.unit == "s":
        return "hours asleep"
    unit = "" if reading.unit == str(reading.quantity) else f"{reading.unit}   "
    return f"{unit}{reading.quantity}"


class FinishScreen(Frame):
    """The end of an installation."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "another", "Install another", id="finish.another", tooltip="Install the next device"),
        Binding("h,escape", "home", "Home", id="finish.home", tooltip="Back to the first screen"),
        Binding("q", "app.quit", "Quit", id="finish.quit", tooltip="Leave the program"),
    ]

    def __init__(self, outcome: Outcome, state: RunState, problem: InstallerError | None = None) -> None:
        super().__init__()
        self.outcome = outcome
        self.state = state
        self.problem = problem

    def heading(self) -> str:
        name = self.state.device.name if self.state.device and self.state.device.name else "The device"
        return {
            "installed": f"{name} is installed",
            "planned": "This is what an installation would do",
            "cancelled": "The installation was stopped",
        }.get(self.outcome.outcome, "The installation did not succeed")

    def on_mount(self) -> None:
        if self._waits():
            self.run_worker(self._wait(), name="first data", exclusive=True, exit_on_error=False)

    def _waits(self) -> bool:
        """Whether the first measurement is still to come, and somebody can look for it."""
        can = self.wizard.first_data is not None and self.state.linked is not None
        return can and self.outcome.outcome == "installed" and self.state.measurement is None

    async def _wait(self) -> None:
        """Show the first measurement when it arrives; whoever leaves before finds it with `data fetch`."""
        assert self.wizard.first_data is not None
        try:
            measurement = await self.wizard.first_data(self.outcome)
        except InstallerError as error:
            self.say(hint=f"Its first data is not looked for any more: {error.what}")
            return
        if measurement is None:
            self.say(hint="Everything is set. Its data comes when it has measured.")
            return
        self.state.measurement, self.state.later = measurement, ""
        await self.query("#later").remove()
        await self.query_one("#finish").mount(self._measurement(measurement))
        self.say(hint=self.hint())

    def hint(self) -> str:
        took = f" It took {spoken(self.state.done.took)}." if self.state.done else ""
        match self.outcome.outcome:
            case "installed" if self.state.measurement is not None:
                return f"Its first data arrived.{took}"
            case "installed" if self._waits():
                return f"Everything is set. Its first measurement is shown here when it comes.{took}"
            case "installed":
                return f"Everything is set; no data was waited for.{took}"
            case "planned":
                return "A dry run: nothing was sent, nothing was changed."
            case "cancelled":
                return "The device may have the credentials already. It can be taken up again."
            case _:
                return ""

    def body(self) -> Iterable[Widget]:
        state = self.state
        with Horizontal(id="finish"):
            yield Facts(self._facts())
            if state.measurement is not None and state.measurement.readings:
                yield self._measurement(state.measurement)
        failure = self.problem or state.failure
        if self.outcome.outcome == "failed" and failure is not None:
            yield Callout(f"{failure.what} {failure.todo}", "error")
        if self.outcome.outcome == "planned":
            yield Text("\n".join(f"{p.step.value.title():<11}{p.text}" for p in state.plans), id="plans")
        if self.outcome.outcome == "installed" and state.sync is SyncMethod.BLUETOOTH:
            # The engine says also whether a gateway runs here.
            yield Callout((state.gateway or GATEWAY) if state.guide is None else PHONE, "note")
        if self.outcome.outcome == "installed" and state.later:
            yield Callout(state.later, "note", id="later")
        with Horizontal(classes="buttons"):
            yield button("Install another", "another", "primary")
            yield button("Home", "home")
            yield button("Quit", "quit")

    def _facts(self) -> list[tuple[str, str]]:
        pairs = facts_of(self.state)
        if self.state.device is not None:
            pairs.insert(1, ("Model", f"{shown(self.state.device.model)} ({self.state.device.certainty})"))
        return pairs

    def _measurement(self, measurement: Measurement) -> Widget:
        shown: list[Widget] = []
        for reading in measurement.readings[:2]:
            shown += [Digits(big(reading)), Text(caption(reading), classes="caption")]
        rest = ", ".join(str(r) for r in measurement.readings[2:])
        if rest:
            shown.append(Text(Content(rest), classes="caption"))
        return Vertical(*shown, id="measurement")

    @on(Button.Pressed)
    async def _pressed(self, event: Button.Pressed) -> None:
        match event.button.id:
            case "another":
                self.action_another()
            case "home":
                self.action_home()
            case _:
                await self.wizard.action_quit()

    def action_another(self) -> None:
        """Install the next device."""
        self.wizard.begin_another()

    def action_home(self) -> None:
        """Back to the first screen."""
        self.wizard.go_home()
