"""The finish screen: what was installed, its first measurement in large digits, and what comes next."""

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

from installer.catalogue.model import SyncMethod
from installer.errors import InstallerError
from installer.gateway.sync_advice import GATEWAY_NEEDED, PHONE_NEEDED
from installer.measurement import Measurement, Quantity, Reading
from installer.timing.durations import minutes_and_seconds
from screens.engine_interface import Outcome
from screens.installation_state import InstallationState
from screens.labels import shown
from screens.progress import settled_facts
from screens.widgets import ButtonRow, Callout, Facts, Text, button
from screens.wizard_screen import WizardScreen


def digits_text(reading: Reading) -> str:
    """A reading as digits."""
    if reading.quantity is Quantity.SLEEP and reading.unit == "s":
        minutes = round(reading.value / 60)
        return f"{minutes // 60}:{minutes % 60:02d}"
    return f"{reading.value.normalize():f}"


def digits_caption(reading: Reading) -> str:
    """The unit and quantity of the digits."""
    if reading.quantity is Quantity.SLEEP and reading.unit == "s":
        return "hours asleep"
    unit = "" if reading.unit == str(reading.quantity) else f"{reading.unit}   "
    return f"{unit}{reading.quantity}"


class FinishScreen(WizardScreen):
    """The end of an installation."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "another", "Install another", id="finish.another", tooltip="Install the next device"),
        Binding("h,escape", "home", "Home", id="finish.home", tooltip="Back to the first screen"),
        Binding("q", "app.quit", "Quit", id="finish.quit", tooltip="Leave the program"),
    ]

    def __init__(self, outcome: Outcome, state: InstallationState, problem: InstallerError | None = None) -> None:
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
        if self._can_wait_for_data():
            self.run_worker(self._wait_for_data(), name="first data", exclusive=True, exit_on_error=False)

    def _can_wait_for_data(self) -> bool:
        """Whether the first measurement has not arrived yet, and can be waited for."""
        possible = self.wizard.wait_for_first_data is not None and self.state.linked is not None
        return possible and self.outcome.outcome == "installed" and self.state.measurement is None

    async def _wait_for_data(self) -> None:
        """Show the first measurement when it arrives. After leaving this screen, `data fetch` still gets it."""
        assert self.wizard.wait_for_first_data is not None
        try:
            measurement = await self.wizard.wait_for_first_data(self.outcome)
        except InstallerError as error:
            self.set_header(hint=f"The wait for its first data has ended: {error.what}")
            return
        if measurement is None:
            self.set_header(hint="Everything is set. Its data comes when it has measured.")
            return
        self.state.measurement, self.state.first_data_later = measurement, ""
        await self.query("#later").remove()
        await self.query_one("#finish").mount(self._measurement_widget(measurement))
        self.set_header(hint=self.hint())

    def hint(self) -> str:
        took = f" It took {minutes_and_seconds(self.state.done.took)}." if self.state.done else ""
        match self.outcome.outcome:
            case "installed" if self.state.measurement is not None:
                return f"Its first data arrived.{took}"
            case "installed" if self._can_wait_for_data():
                return f"Everything is set. Its first measurement is shown here when it comes.{took}"
            case "installed":
                return f"Everything is set; no data was waited for.{took}"
            case "planned":
                return "A dry run: nothing was sent, nothing was changed."
            case "cancelled":
                return "The device may have the credentials already. You can resume the installation later."
            case _:
                return ""

    def body(self) -> Iterable[Widget]:
        state = self.state
        with Horizontal(id="finish"):
            yield Facts(self._finish_facts())
            if state.measurement is not None and state.measurement.readings:
                yield self._measurement_widget(state.measurement)
        failure = self.problem or state.failure
        if self.outcome.outcome == "failed" and failure is not None:
            yield Callout(f"{failure.what} {failure.todo}", "error")
        if self.outcome.outcome == "planned":
            yield Text("\n".join(f"{p.step.value.title():<11}{p.text}" for p in state.plans), id="plans")
        if self.outcome.outcome == "installed" and state.sync is SyncMethod.BLUETOOTH:
            # The engine's notice also says whether a gateway runs on this computer.
            yield Callout((state.gateway_notice or GATEWAY_NEEDED) if state.guide is None else PHONE_NEEDED, "note")
        if self.outcome.outcome == "installed" and state.first_data_later:
            yield Callout(state.first_data_later, "note", id="later")
        with ButtonRow():
            yield button("Install another", "another", "primary")
            yield button("Home", "home")
            yield button("Quit", "quit")

    def _finish_facts(self) -> list[tuple[str, str]]:
        pairs = settled_facts(self.state)
        if self.state.device is not None:
            pairs.insert(1, ("Model", f"{shown(self.state.device.model)} ({self.state.device.certainty})"))
        return pairs

    def _measurement_widget(self, measurement: Measurement) -> Widget:
        widgets: list[Widget] = []
        for reading in measurement.readings[:2]:
            widgets += [Digits(digits_text(reading)), Text(digits_caption(reading), classes="caption")]
        rest = ", ".join(str(r) for r in measurement.readings[2:])
        if rest:
            widgets.append(Text(Content(rest), classes="caption"))
        return Vertical(*widgets, id="measurement")

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
        self.wizard.begin_next_installation()

    def action_home(self) -> None:
        """Back to the first screen."""
        self.wizard.go_home()
