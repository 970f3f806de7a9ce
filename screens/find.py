"""The find step: the live list of devices in reach, to choose one or to tick several; and the step's progress."""

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
from installer.timing.durations import minutes_and_seconds
from screens.choice_list import ChoiceColumn, ChoiceList, ChoiceRow, ChoiceTable, FilterInput
from screens.device_order import DeviceOrder, matches, selectable
from screens.installation_state import InstallationState, ProgressView
from screens.labels import protocol_label, shown, signal, strength
from screens.question_screen import QuestionScreen
from screens.widgets import Text

REFRESH_SECONDS = 0.25
CHECKLIST_AFTER_SECONDS = 4.0
COLUMNS = (
    ChoiceColumn("Name"),
    ChoiceColumn("Model", 18),
    ChoiceColumn("How sure", 8),
    ChoiceColumn("Set-up", 14),
    ChoiceColumn("Signal", 6),
)
SETUP_STATE_LABELS = {SetupState.NEW: "new", SetupState.SET_UP: "already set up", SetupState.UNKNOWN: "not known"}
NOTHING_FOUND_CHECKLIST = (
    "Nothing found yet. Check that the device\n\n"
    "  •  has power: charged, or with fresh batteries\n"
    "  •  is awake: step on the scale, press the button\n"
    "  •  is near: within 2 or 3 metres\n"
    "  •  is not connected to a phone: close the vendor's app\n\n"
    "and that Bluetooth is on in this computer."
)


class FindScreen(QuestionScreen[ChooseDevice]):
    """Asks which device to install."""

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
        self._model_names = {m.id: m.name for m in question.catalogue.models}
        self._sightings: dict[str, Sighting] = {}
        self._ticked: dict[str, Sighting] = {}
        self._show_all = False
        self._filter = ""
        self._started_at = 0.0
        self._status = ""
        self._stopped = False  # the search; it may go on by itself

    def heading(self) -> str:
        wanted = self.question.wanted
        return f"Which {wanted.name} is it?" if wanted else "Which device do you want to install?"

    def hint(self) -> str:
        return "Looking for devices…"

    def body(self) -> Iterable[Widget]:
        yield FilterInput(id="filter", placeholder="words of the name, model or address")
        yield ChoiceTable(COLUMNS, list_id="devices")
        yield Text(NOTHING_FOUND_CHECKLIST, id="empty")
        yield Text("", id="detail")

    def on_mount(self) -> None:
        self._started_at = self.wizard.clock()
        self.query_one("#filter").display = False
        self.query_one(ChoiceList).focus()
        self.refresh_list()
        self.set_interval(REFRESH_SECONDS, self.refresh_list)

    def refresh_list(self) -> None:
        """Show what the scan sees now."""
        if self.result.done():
            return
        question, now = self.question, self.wizard.clock()
        devices = self.query_one(ChoiceList)
        sightings = self._order.arrange(question.sightings.current(), now, devices.user_moved)
        self._sightings = {s.address: s for s in sightings}
        selectable_sightings = [s for s in sightings if selectable(s, question.wanted)]
        offered = sightings if self._show_all else selectable_sightings
        visible = [s for s in offered if matches(s, self._model_name(s), self._filter)]
        devices.set_rows([self._row(s) for s in visible])
        failure = question.sightings.failure
        if failure is not None:
            self.show_problem(f"{failure.what} {failure.todo}")
        elif self._stopped:
            self.show_problem("")
        self._stopped = failure is not None
        self._update_status(len(visible), len(offered), len(selectable_sightings), len(sightings), now, failure)

    def _update_status(
        self, visible: int, offered: int, usable: int, near: int, now: float, failure: InstallerError | None
    ) -> None:
        others = near - usable
        waited = now - self._started_at
        status = "The search has stopped." if failure else f"{usable} to choose from, {others} other devices near."
        if others == 1:
            status = status.replace("devices", "device")
        if not near and not failure:
            status = f"Looking for devices…  {minutes_and_seconds(waited)}"
        if self._show_all:
            status += "  Showing all."
        if self._ticked:
            status += f"  {len(self._ticked)} ticked: B installs them."
        if self._filter:
            status += f"  Filter: {visible} of {offered}."
        if status != self._status:
            self._status = status
            self.set_header(hint=status)
        self.query_one(ChoiceTable).display = bool(visible)
        self.query_one("#detail").display = bool(visible)
        empty = self.query_one("#empty", Text)
        empty.display = not visible
        if not visible:
            empty.update(Content(self._empty_text(offered, others, waited, failure)))

    def _empty_text(self, offered: int, others: int, waited: float, failure: InstallerError | None) -> str:
        if offered:
            return f"No device has “{shown(self._filter)}”. Esc in the filter clears it."
        if failure and self.question.sightings.restarts:
            return "The search goes on by itself when Bluetooth works again."
        if failure:
            return "When that is fixed: Esc, then install again."
        if not others:
            return (
                NOTHING_FOUND_CHECKLIST
                if waited >= CHECKLIST_AFTER_SECONDS
                else "Looking for devices near this computer…"
            )
        near = "1 device is" if others == 1 else f"{others} devices are"
        return f"{near} near, but none that can be set up here; press A to see all.\n\n{NOTHING_FOUND_CHECKLIST}"

    def _model_name(self, sighting: Sighting) -> str:
        model = sighting.detection.model_id
        return self._model_names.get(model, model) if model else ""

    def _row(self, sighting: Sighting) -> ChoiceRow:
        detection = sighting.detection
        sure = "" if detection.certainty is Certainty.UNKNOWN else detection.certainty.value
        known = selectable(sighting)
        return ChoiceRow(
            sighting.address,
            (
                ("[x] " if sighting.address in self._ticked else "[ ] " if self._ticked else "")
                + (sighting.name or "(no name)"),
                self._model_name(sighting)
                or (protocol_label(detection.protocol) if detection.protocol else "not known"),
                sure,
                SETUP_STATE_LABELS[sighting.state] if known else "",
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
            # While devices are ticked, Enter must not install just one of them and drop the others.
            self.action_tick()
            return
        self.answer(FindAnswer(device=event.row.key))

    @on(Input.Changed, "#filter")
    def _filtered(self, event: Input.Changed) -> None:
        self._filter = event.value.strip()
        self.refresh_list()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Ticking needs batches; installing a batch needs a ticked device."""
        if action == "tick":
            return self.wizard.can_batch
        if action == "batch":
            return bool(self._ticked)
        return super().check_action(action, parameters)

    def action_tick(self) -> None:
        """Tick or untick the row under the cursor."""
        devices = self.query_one(ChoiceList)
        row = devices.row
        sighting = self._sightings.get(row.key) if row is not None else None
        if sighting is None or row is None:
            return
        devices.user_moved = True
        reason = row.reason or _reason_against_batch(sighting)
        if self._ticked.pop(row.key, None) is None:
            if reason:
                self.app.bell()
                self.query_one("#detail", Text).update(Content(shown(reason, 140)))
                return
            self._ticked[row.key] = sighting
        self.refresh_bindings()
        self.refresh_list()

    def action_batch(self) -> None:
        """Install all that are ticked."""
        if self._ticked:
            self.wizard.begin_batch(tuple(self._ticked.values()))

    def action_code(self, text: str = "") -> None:
        """Ask for the text of the device's QR code."""
        from screens.qr_text_dialogs import DeviceQrTextDialog

        self.app.push_screen(DeviceQrTextDialog(text, self._is_in_reach), self._answer_from_code)

    def _is_in_reach(self, name: str) -> bool:
        return any(s.name.casefold() == name.casefold() for s in self._sightings.values())

    def _answer_from_code(self, answer: FindAnswer | None) -> None:
        if answer is not None:
            self.answer(answer)

    def on_paste(self, event: events.Paste) -> None:
        """Open the dialog for QR text pasted anywhere on this screen. It also explains codes of other kinds."""
        if kind_of(event.text) not in (QrKind.OTHER, QrKind.URL):
            event.stop()
            self.action_code(event.text.strip())

    def action_filter(self) -> None:
        """Open the filter."""
        field = self.query_one("#filter", FilterInput)
        field.display = True
        field.focus()

    def action_toggle_all(self) -> None:
        """Show all devices, or only those that can be set up."""
        self._show_all = not self._show_all
        self.refresh_list()

    def action_sort(self) -> None:
        """Sort the rows once more."""
        self._order.sort()
        self.refresh_list()


def _reason_against_batch(sighting: Sighting) -> str:
    """Why this device cannot be part of a batch; empty if it can."""
    if sighting.detection.protocol == "guided":
        return "Only the vendor's app sets this device up: install it alone."
    if sighting.detection.model_id is None:
        return "Its model is not known yet: install it alone."
    return ""


def progress_view(state: InstallationState) -> ProgressView:
    """The progress while the device is looked for and connected."""
    if state.device is None:
        return ProgressView("Looking for the device", hint="Listening for Bluetooth devices near this computer.")
    name = shown(state.device.name) or state.device.address
    if state.connected is None:
        return ProgressView(f"Connecting to {name}", hint="Keep it near this computer.")
    return ProgressView(f"Connected to {name}", hint="Reading its model and version.")
