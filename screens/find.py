"""Find: the devices in reach, live, and which one it shall be."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input

from installer.answers import FindAnswer
from installer.bluetooth.sighting import Certainty, SetupState, Sighting
from installer.errors import InstallerError
from installer.flow.questions import ChooseDevice
from installer.qr.classify import QrKind, kind_of
from installer.text import without_score
from screens.choice_list import ChoiceList, ChoiceTable, Column, Row
from screens.device_order import DeviceOrder, matches, selectable
from screens.frame import QuestionScreen
from screens.progress import View
from screens.run_state import RunState
from screens.widgets import Text, protocol_label, shown, signal, spoken, strength

POLL = 0.25
PATIENCE = 4.0
COLUMNS = (Column("Name"), Column("Model", 18), Column("How sure", 8), Column("Set-up", 14), Column("Signal", 6))
STATES = {SetupState.NEW: "new", SetupState.SET_UP: "already set up", SetupState.UNKNOWN: "not known"}
CHECK = (
    "Nothing found yet. Check that the device\n\n"
    "  •  has power: charged, or with fresh batteries\n"
    "  •  is awake: step on the scale, press the button\n"
    "  •  is near: within 2 or 3 metres\n"
    "  •  is not connected to a phone: close the vendor's app\n\n"
    "and that Bluetooth is on in this computer."
)


class FilterInput(Input):
    """The field for words to filter by; escape clears and leaves it, enter and down go back to the list."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "done(True)", "Clear filter", id="filter.clear", tooltip="Show all rows again"),
        Binding("enter,down", "done(False)", "To the list", id="filter.done", tooltip="Back to the list"),
    ]

    def on_blur(self) -> None:
        """An empty filter needs no room."""
        if not self.value:
            self.display = False

    def action_done(self, clear: bool) -> None:
        """Back to the list."""
        if clear:
            self.value = ""
        self.screen.query_one(ChoiceList).focus()


class FindScreen(QuestionScreen[ChooseDevice]):
    """Asks which device."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "slash", "filter", "Filter", key_display="/", id="find.filter", tooltip="Show only what has these words"
        ),
        Binding("a", "toggle_all", "All devices", id="find.all", tooltip="All devices, or only those to set up"),
        Binding("space", "tick", "Tick", id="find.tick", tooltip="Tick devices, to install several at once"),
        Binding("b", "batch", "Install", id="find.batch", tooltip="Install all that are ticked"),
        Binding("p", "code", "QR text", id="find.code", tooltip="Take the device from the text of its QR code"),
        Binding("o", "sort", "Sort", show=False, id="find.sort", tooltip="Sort: new devices first, then by signal"),
    ]

    def __init__(self, question: ChooseDevice) -> None:
        super().__init__(question)
        self._order = DeviceOrder()
        self._names = {m.id: m.name for m in question.catalogue.models}
        self._sightings: dict[str, Sighting] = {}
        self._ticked: dict[str, Sighting] = {}
        self._everything = False
        self._words = ""
        self._began = 0.0
        self._status = ""

    def heading(self) -> str:
        wanted = self.question.wanted
        return f"Which {wanted.name} is it?" if wanted else "Which device do you want to install?"

    def hint(self) -> str:
        return "Looking for devices…"

    def body(self) -> Iterable[Widget]:
        yield FilterInput(id="filter", placeholder="words of the name, model or address")
        yield ChoiceTable(COLUMNS, list_id="devices")
        yield Text(CHECK, id="empty")
        yield Text("", id="detail")

    def on_mount(self) -> None:
        self._began = self.wizard.clock()
        self.query_one("#filter").display = False
        self.query_one(ChoiceList).focus()
        self.poll()
        self.set_interval(POLL, self.poll)

    def poll(self) -> None:
        """Draw what the scan sees now."""
        if self.result.done():
            return
        question, now = self.question, self.wizard.clock()
        devices = self.query_one(ChoiceList)
        sightings = self._order.arrange(question.sightings.current(), now, devices.touched)
        self._sightings = {s.address: s for s in sightings}
        usable = [s for s in sightings if selectable(s, question.wanted)]
        offered = sightings if self._everything else usable
        visible = [s for s in offered if matches(s, self._model(s), self._words)]
        devices.set_rows([self._row(s) for s in visible])
        failure = question.sightings.failure
        if failure is not None:
            self.say_problem(f"{failure.what} {failure.todo}")
        self._tell(len(visible), len(offered), len(usable), len(sightings), now, failure)

    def _tell(
        self, visible: int, offered: int, usable: int, near: int, now: float, failure: InstallerError | None
    ) -> None:
        others = near - usable
        waited = now - self._began
        status = "The search has stopped." if failure else f"{usable} to choose from, {others} other devices near."
        if others == 1:
            status = status.replace("devices", "device")
        if not near and not failure:
            status = f"Looking for devices…  {spoken(waited)}"
        if self._everything:
            status += "  Showing all."
        if self._ticked:
            status += f"  {len(self._ticked)} ticked: B installs them."
        if self._words:
            status += f"  Filter: {visible} of {offered}."
        if status != self._status:
            self._status = status
            self.say(hint=status)
        self.query_one(ChoiceTable).display = bool(visible)
        self.query_one("#detail").display = bool(visible)
        empty = self.query_one("#empty", Text)
        empty.display = not visible
        if not visible:
            empty.update(Content(self._empty_text(offered, others, waited, failure)))

    def _empty_text(self, offered: int, others: int, waited: float, failure: InstallerError | None) -> str:
        if offered:
            return f"No device has “{shown(self._words)}”. Esc in the filter clears it."
        if failure:
            return "When that is mended: Esc, then install again."
        if not others:
            return CHECK if waited >= PATIENCE else "Looking for devices near this computer…"
        near = "1 device is" if others == 1 else f"{others} devices are"
        return f"{near} near, but none that can be set up here; press A to see all.\n\n{CHECK}"

    def _model(self, sighting: Sighting) -> str:
        model = sighting.detection.model_id
        return self._names.get(model, model) if model else ""

    def _row(self, sighting: Sighting) -> Row:
        detection = sighting.detection
        sure = "" if detection.certainty is Certainty.UNKNOWN else detection.certainty.value
        known = selectable(sighting)
        return Row(
            sighting.address,
            (
                ("[x] " if sighting.address in self._ticked else "[ ] " if self._ticked else "")
                + (sighting.name or "(no name)"),
                self._model(sighting) or (protocol_label(detection.protocol) if detection.protocol else "not known"),
                sure,
                STATES[sighting.state] if known else "",
                signal(sighting.bars),
            ),
            self._reason(sighting),
        )

    def _reason(self, sighting: Sighting) -> str:
        wanted = self.question.wanted
        if selectable(sighting, wanted):
            return ""
        if wanted is not None and sighting.detection.model_id is not None:
            return f"This is not a {wanted.name}."
        return sighting.detection.note or "This program does not know how to set up this device."

    @on(ChoiceList.Moved)
    def _moved(self, event: ChoiceList.Moved) -> None:
        sighting = self._sightings.get(event.row.key) if event.row else None
        if event.row is None or sighting is None:
            return
        first = f"{sighting.address}   {sighting.rssi} dBm, {strength(sighting.bars)} signal"
        if sighting.detection.protocol:
            first += f"   set up by {protocol_label(sighting.detection.protocol)}"
        why = "; ".join(shown(without_score(r)) for r in sighting.detection.reasons)
        second = event.row.reason or sighting.detection.note or (f"Recognised by {why}" if why else "")
        self.query_one("#detail", Text).update(Content(f"{first}\n{shown(second, 140)}"))

    @on(ChoiceList.Chosen)
    def _chosen(self, event: ChoiceList.Chosen) -> None:
        if self._ticked:
            # Enter with a choice of several would install one of them, and drop the rest.
            self.action_tick()
            return
        self.answer(FindAnswer(device=event.row.key))

    @on(Input.Changed, "#filter")
    def _filtered(self, event: Input.Changed) -> None:
        self._words = event.value.strip()
        self.poll()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Several devices at once: where that is possible, and something is ticked."""
        if action == "tick":
            return self.wizard.can_batch
        if action == "batch":
            return bool(self._ticked)
        return super().check_action(action, parameters)

    def action_tick(self) -> None:
        """Tick the row under the cursor, or take the tick away."""
        devices = self.query_one(ChoiceList)
        row = devices.row
        sighting = self._sightings.get(row.key) if row is not None else None
        if sighting is None or row is None:
            return
        devices.touched = True
        reason = row.reason or _alone(sighting)
        if self._ticked.pop(row.key, None) is None:
            if reason:
                self.app.bell()
                self.query_one("#detail", Text).update(Content(shown(reason, 140)))
                return
            self._ticked[row.key] = sighting
        self.refresh_bindings()
        self.poll()

    def action_batch(self) -> None:
        """Install all that are ticked."""
        if self._ticked:
            self.wizard.begin_batch(tuple(self._ticked.values()))

    def action_code(self, text: str = "") -> None:
        """Take the device from the text of its QR code."""
        from screens.find_dialogs import DeviceCodeDialog

        self.app.push_screen(DeviceCodeDialog(text, self._near), self._take)

    def _near(self, name: str) -> bool:
        return any(s.name.casefold() == name.casefold() for s in self._sightings.values())

    def _take(self, answer: FindAnswer | None) -> None:
        if answer is not None:
            self.answer(answer)

    def on_paste(self, event: events.Paste) -> None:
        """The text of a code pasted anywhere on this screen is read at once; also to say what another one is."""
        if kind_of(event.text) not in (QrKind.OTHER, QrKind.URL):
            event.stop()
            self.action_code(event.text.strip())

    def action_filter(self) -> None:
        """Open the filter."""
        field = self.query_one("#filter", FilterInput)
        field.display = True
        field.focus()

    def action_toggle_all(self) -> None:
        """All devices, or only those that can be set up."""
        self._everything = not self._everything
        self.poll()

    def action_sort(self) -> None:
        """Sort the rows once more."""
        self._order.sort()
        self.poll()

    def forget(self) -> None:
        """Nothing here is secret."""


def _alone(sighting: Sighting) -> str:
    """Why this device cannot be one of several, if so."""
    if sighting.detection.protocol == "guided":
        return "Only the vendor's app sets this device up: install it alone."
    if sighting.detection.model_id is None:
        return "Its model is not known yet: install it alone."
    return ""


def view(state: RunState) -> View:
    """What goes on while the device is found and connected."""
    if state.device is None:
        return View("Looking for the device", hint="Bluetooth is listening to what is near.")
    name = shown(state.device.name) or state.device.address
    if state.connected is None:
        return View(f"Connecting to {name}", hint="Keep it near this computer.")
    return View(f"Connected to {name}", hint="Reading what it says of itself.")
