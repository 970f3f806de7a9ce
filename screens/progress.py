"""The progress screen between the questions: stages, what to do now, the time, and the choices so far."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import ClassVar, cast

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget

from installer.answers import StepKey
from installer.timing.durations import minutes_and_seconds
from installer.wifi.networks import Security
from screens.installation_state import InstallationState, Mark, ProgressView
from screens.labels import security_label, shown, shown_ssid
from screens.widgets import Callout, Facts, Text
from screens.wizard_screen import WizardScreen

REFRESH_SECONDS = 0.5
BAR_WIDTH = 30
# The modules whose `progress_view(state)` describes the progress of a step.
_STEP_MODULES = {
    StepKey.FIND: "screens.find",
    StepKey.PROVISION: "screens.provision",
    StepKey.LINK: "screens.link",
    StepKey.VERIFY: "screens.verify",
}


def current_view(state: InstallationState) -> ProgressView:
    """What the progress screen shows for this state."""
    module = _STEP_MODULES.get(state.step) if state.step else None
    if state.step is StepKey.PROVISION and (state.guide or (state.connected and state.connected.protocol == "guided")):
        module = "screens.guide"
    if module is not None:
        return cast("ProgressView", import_module(module).progress_view(state))
    if state.step is None:
        return ProgressView("Starting…", "Opening Bluetooth.")
    if state.step is StepKey.NETWORK:
        return ProgressView(
            "Asking the device which networks it sees", "The device searches by itself; this takes some seconds."
        )
    return ProgressView("One moment…")


def settled_facts(state: InstallationState) -> list[tuple[str, str]]:
    """The choices and results so far, as names and values."""
    pairs: list[tuple[str, str]] = []
    if state.device is not None:
        pairs.append(("Device", f"{shown(state.device.name) or 'no name'}   {state.device.address}"))
    if state.sync is not None:
        pairs.append(("Sync", state.sync.label))
    if state.network is not None:
        security = security_label(Security(state.network.security)) if state.network.security else ""
        pairs.append(("Network", f"{shown_ssid(state.network.ssid)}   {security}"))
    if state.linked is not None:
        pairs.append(("Account", shown(state.linked.account)))
    elif state.signed_in is not None:
        pairs.append(("Account", f"{shown(state.signed_in.account)}   signed in"))
    if state.notification_url:
        pairs.append(("News to", shown(state.notification_url)))
    return pairs


def elapsed_text(elapsed: float, expected: float | None) -> str:
    """A bar and a text: the elapsed time, and how long it usually takes at most."""
    if not expected:
        return f"{minutes_and_seconds(elapsed)}"
    filled = min(int(BAR_WIDTH * elapsed / expected), BAR_WIDTH)
    bar = "━" * filled + "─" * (BAR_WIDTH - filled)
    if elapsed > expected:
        return f"{bar}  {minutes_and_seconds(elapsed)}, longer than usual"
    return f"{bar}  {minutes_and_seconds(elapsed)} of at most {minutes_and_seconds(expected)}"


class ProgressScreen(WizardScreen):
    """Shows what the engine does. It lies below the questions of an installation."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "stop", "Stop", id="progress.stop", tooltip="Stop this installation"),
    ]

    def body(self) -> Iterable[Widget]:
        yield Text("", id="stages")
        yield Callout("", "action", id="todo")
        yield Text("", id="time")
        yield Facts(id="facts")
        yield Callout("", "note", id="notice")

    def on_mount(self) -> None:
        self.state_changed()
        self.set_interval(REFRESH_SECONDS, self._update_time)

    def _update_time(self) -> None:
        if self.is_current:
            state = self.wizard.state
            self.query_one("#time", Text).update(
                Content(elapsed_text(self.wizard.clock() - state.phase_started_at, state.phase_seconds))
            )

    def state_changed(self) -> None:
        """Show the current state of the installation."""
        state = self.wizard.state
        view = current_view(state)
        self.set_header(view.title, view.hint)
        colours = self.app.theme_variables
        styles = {Mark.DONE: colours["success"], Mark.NOW: "bold", Mark.TODO: colours.get("muted", "#9fabbd")}
        lines = [Content.styled(f"{mark.value} {text}", styles[mark]) for mark, text in view.stages]
        stages = self.query_one("#stages", Text)
        stages.update(Content("\n").join(lines))
        stages.display = bool(lines)
        self.query_one("#todo", Callout).show_text(view.todo)
        self.query_one("#notice", Callout).show_text(shown(state.notice, 300))
        self.query_one("#facts", Facts).set_pairs(settled_facts(state))
        time = self.query_one("#time", Text)
        time.display = state.step is not None
        time.update(Content(elapsed_text(self.wizard.clock() - state.phase_started_at, state.phase_seconds)))

    def action_stop(self) -> None:
        """Stop the installation."""
        self.wizard.stop_installation()
