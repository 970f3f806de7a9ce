"""What goes on between the questions: a title, stages, what to do now, the time, and what was settled so far."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import ClassVar, cast

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget

from installer.answers import StepKey
from installer.wifi.networks import Security
from screens.frame import Frame
from screens.run_state import Mark, RunState
from screens.widgets import Callout, Facts, Text, security_label, shown, spoken

TICK = 0.5
BAR = 30
# The modules whose `view(state)` tells the progress of a step.
_VIEWS = {
    StepKey.FIND: "screens.find",
    StepKey.PROVISION: "screens.provision",
    StepKey.LINK: "screens.link",
    StepKey.VERIFY: "screens.verify",
}


@dataclass(frozen=True)
class View:
    """One moment: its title, a sentence, the stages with their marks, and what the person must do now, if anything."""

    title: str
    hint: str = ""
    stages: tuple[tuple[Mark, str], ...] = ()
    todo: str = ""


def view_of(state: RunState) -> View:
    """What to show for this state."""
    module = _VIEWS.get(state.step) if state.step else None
    if state.step is StepKey.PROVISION and (state.guide or (state.connected and state.connected.protocol == "guided")):
        module = "screens.guide"
    if module is not None:
        return cast("View", import_module(module).view(state))
    if state.step is None:
        return View("Starting…", "Opening Bluetooth.")
    if state.step is StepKey.NETWORK:
        return View("Asking the device which networks it sees", "It looks around by itself; this takes some seconds.")
    return View("One moment…")


def facts_of(state: RunState) -> list[tuple[str, str]]:
    """What is settled so far, as names and values."""
    pairs: list[tuple[str, str]] = []
    if state.device is not None:
        pairs.append(("Device", f"{shown(state.device.name) or 'no name'}   {state.device.address}"))
    if state.sync is not None:
        pairs.append(("Sync", state.sync.label))
    if state.network is not None:
        security = security_label(Security(state.network.security)) if state.network.security else ""
        pairs.append(("Network", f"{shown(state.network.ssid)}   {security}"))
    if state.linked is not None:
        pairs.append(("Account", shown(state.linked.account)))
    elif state.signed_in is not None:
        pairs.append(("Account", f"{shown(state.signed_in.account)}   signed in"))
    if state.notified:
        pairs.append(("News to", shown(state.notified)))
    return pairs


def time_text(elapsed: float, expected: float | None) -> str:
    """A bar and words for how long it has taken, of how long it takes at most as a rule."""
    if not expected:
        return f"{spoken(elapsed)}"
    filled = min(int(BAR * elapsed / expected), BAR)
    bar = "━" * filled + "─" * (BAR - filled)
    if elapsed > expected:
        return f"{bar}  {spoken(elapsed)}, longer than usual"
    return f"{bar}  {spoken(elapsed)} of at most {spoken(expected)}"


class ProgressScreen(Frame):
    """Below the questions of an installation; shows what the engine does."""

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
        self.set_interval(TICK, self._tick)

    def _tick(self) -> None:
        if self.is_current:
            state = self.wizard.state
            self.query_one("#time", Text).update(Content(time_text(self.wizard.clock() - state.since, state.seconds)))

    def state_changed(self) -> None:
        """Draw the state of the installation."""
        state = self.wizard.state
        view = view_of(state)
        self.say(view.title, view.hint)
        colours = self.app.theme_variables
        styles = {Mark.DONE: colours["success"], Mark.NOW: "bold", Mark.TODO: colours.get("muted", "#9fabbd")}
        lines = [Content.styled(f"{mark.value} {text}", styles[mark]) for mark, text in view.stages]
        stages = self.query_one("#stages", Text)
        stages.update(Content("\n").join(lines))
        stages.display = bool(lines)
        self.query_one("#todo", Callout).say(view.todo)
        self.query_one("#notice", Callout).say(shown(state.notice, 300))
        self.query_one("#facts", Facts).tell(facts_of(state))
        time = self.query_one("#time", Text)
        time.display = state.step is not None
        time.update(Content(time_text(self.wizard.clock() - state.since, state.seconds)))

    def action_stop(self) -> None:
        """Stop the installation."""
        self.wizard.stop_installation()
