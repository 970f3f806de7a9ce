"""The records screen: all installations, newest first, with a filter and the retry of a failed one."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input

from installer.errors import ErrorCode, InstallerError
from installer.ledger.query_types import Filter, Page
from installer.ledger.text_table import result
from installer.timing.durations import compact_duration, local_time_of_iso
from screens.choice_list import ChoiceColumn, ChoiceList, ChoiceRow, ChoiceTable, FilterInput
from screens.engine_interface import Ledger
from screens.labels import shown
from screens.record_details import RecordDetailsScreen, can_retry, retry_installation
from screens.widgets import Callout, Text, deferred_call
from screens.wizard_screen import WizardScreen

PAGE_SIZE = 100
FETCH_AHEAD_ROWS = 30  # the next page is fetched this many rows before the end
COLUMNS = (ChoiceColumn("Began", 16), ChoiceColumn("Result", 23), ChoiceColumn("Device"), ChoiceColumn("Site", 10))
# The filters that the key F switches through: name and outcomes.
OUTCOME_FILTERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("all", ()),
    ("failed", ("failed",)),
    ("interrupted", ("interrupted", "running")),
    ("to be linked", ("to_be_linked",)),
    ("installed", ("installed",)),
)
EMPTY_LEDGER_TEXT = (
    "Nothing was installed from here yet.\n\nEvery installation leaves a record: what, where, when, and why it failed."
)


class RecordsScreen(WizardScreen):
    """The list. Pages are fetched while the user goes down."""

    TRAIL = False

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/", id="records.filter", tooltip="Only what has these words"),
        Binding("f", "outcome", "Only failed…", id="records.outcome", tooltip="All, failed, interrupted, to be linked"),
        Binding("r", "again", "Try again", id="records.again", tooltip="Install that device again, with its choices"),
        Binding("h,escape", "home", "Home", id="records.home", tooltip="Back to the first screen"),
    ]

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger
        self._records: dict[str, dict[str, Any]] = {}
        self._next: tuple[str, str] | None = None
        self._total = 0
        self._filter = ""
        self._outcome_filter = 0
        self._query_number = 0
        self._loading = False

    def heading(self) -> str:
        return "Records"

    def hint(self) -> str:
        return "Reading the ledger…"

    def body(self) -> Iterable[Widget]:
        yield Callout("", "error", id="problem")
        yield FilterInput(id="filter", placeholder="words: name, address, site, operator, label, reason…")
        yield ChoiceTable(COLUMNS, list_id="records")
        yield Text("", id="empty")
        yield Text("", id="detail")

    def on_mount(self) -> None:
        self.query_one("#filter").display = False
        self.query_one("#empty").display = False
        self.query_one(ChoiceList).focus()
        self.reload()

    @property
    def wanted(self) -> Filter:
        """The filter of the shown records."""
        return Filter(outcome=OUTCOME_FILTERS[self._outcome_filter][1], text=self._filter.strip() or None)

    def reload(self) -> None:
        """Read the first page again. The answer to an older query is dropped."""
        self._query_number += 1
        self.run_worker(deferred_call(self._read, self._query_number), group="records", exclusive=True)

    async def _read(self, query_number: int, after: tuple[str, str] | None = None) -> None:
        self._loading = True
        try:
            page = await self._ledger.page(self.wanted, PAGE_SIZE, after)
        except InstallerError as error:
            if query_number == self._query_number:
                self.query_one("#problem", Callout).show_text(str(error))
                self.set_header(hint="")
            return
        finally:
            if query_number == self._query_number:
                self._loading = False
        if query_number == self._query_number and self.is_mounted:
            self._show_page(page, more=after is not None)

    def _show_page(self, page: Page, *, more: bool) -> None:
        self.query_one("#problem", Callout).show_text("")
        new = {record["id"]: record for record in page.records}
        self._records = self._records | new if more else new
        self._next = page.next
        # Keep the count of the first page: records that are newer come above it.
        self._total = self._total if more else page.total
        rows = self.query_one(ChoiceList)
        rows.set_rows([_row(record) for record in self._records.values()])
        if not more and rows.row is None and self._records:
            rows.cursor = 0
        self._update_hint()
        self.refresh_bindings()

    def _update_hint(self) -> None:
        has_records = bool(self._records)
        name, outcomes = OUTCOME_FILTERS[self._outcome_filter]
        count = "1 record" if self._total == 1 else f"{self._total:,} records"
        parts = [count + (f" {name}" if outcomes else "")]
        parts += [f"with “{shown(self._filter.strip(), 30)}”"] if self._filter.strip() else []
        rows = self.query_one(ChoiceList)
        position = (
            f"   {rows.cursor + 1:,} of {self._total:,}" if has_records and rows.user_moved and self._total > 1 else ""
        )
        self.set_header(hint=" ".join(parts) + "." + position)
        self.query_one(ChoiceTable).display = has_records
        self.query_one("#detail").display = has_records
        empty = self.query_one("#empty", Text)
        empty.display = not has_records
        if not has_records:
            filtered = outcomes or self._filter.strip()
            empty.update(
                Content(
                    "No record fits. F shows others; Esc in the filter clears it." if filtered else EMPTY_LEDGER_TEXT
                )
            )

    @on(Input.Changed, "#filter")
    def _filtered(self, event: Input.Changed) -> None:
        if event.value.split() == self._filter.split():
            self._filter = event.value
            return
        self._filter = event.value
        self._reload_from_top()

    def _reload_from_top(self) -> None:
        rows = self.query_one(ChoiceList)
        rows.user_moved = False
        self.reload()

    @on(ChoiceList.Moved)
    def _moved(self, event: ChoiceList.Moved) -> None:
        rows = self.query_one(ChoiceList)
        if self._next is not None and not self._loading and rows.cursor >= len(rows.rows) - FETCH_AHEAD_ROWS:
            self.run_worker(deferred_call(self._read, self._query_number, self._next), group="records", exclusive=True)
        record = self._records.get(event.row.key) if event.row is not None else None
        self.query_one("#detail", Text).update(Content(_detail(record) if record is not None else ""))
        self._update_hint()
        self.refresh_bindings()

    @on(ChoiceList.Chosen)
    def _chosen(self, event: ChoiceList.Chosen) -> None:
        self.app.push_screen(RecordDetailsScreen(self._ledger, event.row.key))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A failed installation can be tried again; there are no answers to save."""
        if action == "save":
            return False
        if action == "again":
            return self._retryable_record() is not None
        return super().check_action(action, parameters)

    def _retryable_record(self) -> dict[str, Any] | None:
        """The record under the cursor, if it can be tried again."""
        found = self.query(ChoiceList)
        row = found.first().row if found else None
        record = self._records.get(row.key) if row is not None else None
        return record if record is not None and can_retry(record) else None

    def action_filter(self) -> None:
        """Open the filter."""
        field = self.query_one("#filter", FilterInput)
        field.display = True
        field.focus()

    def action_outcome(self) -> None:
        """Switch to the next outcome filter."""
        self._outcome_filter = (self._outcome_filter + 1) % len(OUTCOME_FILTERS)
        self._reload_from_top()

    def action_again(self) -> None:
        """Install that device again."""
        record = self._retryable_record()
        if record is not None:
            self.run_worker(deferred_call(retry_installation, self, self._ledger, record["id"]), exclusive=True)

    def action_home(self) -> None:
        """Back to the first screen."""
        self.wizard.go_home()


def _row(record: dict[str, Any]) -> ChoiceRow:
    name = record["name"] or record["label"] or ""
    address = shown(str(record["address"] or ""), 40)
    device = f"{shown(name, 40)}  {address[-5:]}" if name else address or shown(record["model"] or "none was found", 40)
    cells = (local_time_of_iso(record["started"]), shown(result(record), 40), device, shown(record["site"] or "", 30))
    return ChoiceRow(record["id"], cells)


def _detail(record: dict[str, Any]) -> str:
    """Three lines: address and people, the error, and what can be done."""

    def named(word: str, name: str) -> str:
        return f"{word} {shown(str(record[name]), 24)}" if record.get(name) else ""

    where = "   ".join(
        part
        for part in (
            shown(str(record["address"] or ""), 40),
            named("by", "operator"),
            named("label", "label"),
            named("batch", "batch"),
            f"took {compact_duration(record['took'])}" if record.get("took") else "",
        )
        if part
    )
    lines = [where or "It had found no device."]
    if record["outcome"] == "failed":
        meaning = next((c.meaning for c in ErrorCode if c.value == record["error"]), "")
        lines.append(f"{meaning[:1].upper()}{meaning[1:]}." if meaning else "")
    elif record["outcome"] == "to_be_linked":
        lines.append(f"Its user links it: `device-installer link {shown(record['id'])}`, or the code on its label.")
    lines.append("Enter shows it whole" + ("; R tries it again." if can_retry(record) else "."))
    return "\n".join(line for line in lines if line)
