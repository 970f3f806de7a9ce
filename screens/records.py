"""Records: what was installed, the newest first; filtered while one types, with a failed one tried again."""

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
from installer.ledger.text_table import result, spoken, when
from screens.choice_list import ChoiceList, ChoiceTable, Column, Row
from screens.engine_interface import RecordsDesk
from screens.find import FilterInput
from screens.frame import Frame
from screens.widgets import Callout, Text, later, shown

PAGE = 100
AHEAD = 30  # rows before the end at which the next page is fetched
COLUMNS = (Column("Began", 16), Column("Result", 23), Column("Device"), Column("Site", 10))
# What F shows, one after the other.
OUTCOMES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("all", ()),
    ("failed", ("failed",)),
    ("interrupted", ("interrupted", "running")),
    ("to be linked", ("to_be_linked",)),
    ("installed", ("installed",)),
)
EMPTY = "Nothing was installed from here yet.\n\nEvery installation leaves a record: what, where, when, and why not."
TRIED_AGAIN = ("failed", "cancelled", "interrupted")


class RecordsScreen(Frame):
    """The list. Rows come a page at a time, as far as one goes down."""

    TRAIL = False

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/", id="records.filter", tooltip="Only what has these words"),
        Binding("f", "outcome", "Only failed…", id="records.outcome", tooltip="All, failed, interrupted, to be linked"),
        Binding("r", "again", "Try again", id="records.again", tooltip="Install that device again, with its choices"),
        Binding("h,escape", "home", "Home", id="records.home", tooltip="Back to the first screen"),
    ]

    def __init__(self, desk: RecordsDesk) -> None:
        super().__init__()
        self._desk = desk
        self._records: dict[str, dict[str, Any]] = {}
        self._next: tuple[str, str] | None = None
        self._total = 0
        self._words = ""
        self._outcome = 0
        self._asked = 0
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
        self.read()

    @property
    def wanted(self) -> Filter:
        """What is shown."""
        return Filter(outcome=OUTCOMES[self._outcome][1], text=self._words.strip() or None)

    def read(self) -> None:
        """Read the first page anew; an older question's answer is not waited for."""
        self._asked += 1
        self.run_worker(later(self._read, self._asked), group="records", exclusive=True)

    async def _read(self, asked: int, after: tuple[str, str] | None = None) -> None:
        self._loading = True
        try:
            page = await self._desk.page(self.wanted, PAGE, after)
        except InstallerError as error:
            if asked == self._asked:
                self.query_one("#problem", Callout).say(str(error))
                self.say(hint="")
            return
        finally:
            if asked == self._asked:
                self._loading = False
        if asked == self._asked and self.is_mounted:
            self._show(page, more=after is not None)

    def _show(self, page: Page, *, more: bool) -> None:
        self.query_one("#problem", Callout).say("")
        fresh = {record["id"]: record for record in page.records}
        self._records = self._records | fresh if more else fresh
        self._next = page.next
        # The count of the first page stands: newer records come in above it.
        self._total = self._total if more else page.total
        rows = self.query_one(ChoiceList)
        rows.set_rows([_row(record) for record in self._records.values()])
        if not more and rows.row is None and self._records:
            rows.cursor = 0
        self._tell()
        self.refresh_bindings()

    def _tell(self) -> None:
        there = bool(self._records)
        name, only = OUTCOMES[self._outcome]
        count = "1 record" if self._total == 1 else f"{self._total:,} records"
        parts = [count + (f" {name}" if only else "")]
        parts += [f"with “{shown(self._words.strip(), 30)}”"] if self._words.strip() else []
        rows = self.query_one(ChoiceList)
        place = f"   {rows.cursor + 1:,} of {self._total:,}" if there and rows.touched and self._total > 1 else ""
        self.say(hint=" ".join(parts) + "." + place)
        self.query_one(ChoiceTable).display = there
        self.query_one("#detail").display = there
        empty = self.query_one("#empty", Text)
        empty.display = not there
        if not there:
            filtered = only or self._words.strip()
            empty.update(Content("No record fits. F shows others; Esc in the filter clears it." if filtered else EMPTY))

    @on(Input.Changed, "#filter")
    def _filtered(self, event: Input.Changed) -> None:
        if event.value.split() == self._words.split():
            self._words = event.value
            return
        self._words = event.value
        self._anew()

    def _anew(self) -> None:
        rows = self.query_one(ChoiceList)
        rows.touched = False
        self.read()

    @on(ChoiceList.Moved)
    def _moved(self, event: ChoiceList.Moved) -> None:
        rows = self.query_one(ChoiceList)
        if self._next is not None and not self._loading and rows.cursor >= len(rows.rows) - AHEAD:
            self.run_worker(later(self._read, self._asked, self._next), group="records", exclusive=True)
        record = self._records.get(event.row.key) if event.row is not None else None
        self.query_one("#detail", Text).update(Content(_detail(record) if record is not None else ""))
        self._tell()
        self.refresh_bindings()

    @on(ChoiceList.Chosen)
    def _chosen(self, event: ChoiceList.Chosen) -> None:
        from screens.record_details import RecordScreen

        self.app.push_screen(RecordScreen(self._desk, event.row.key))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What failed can be tried again; there are no answers to save."""
        if action == "save":
            return False
        if action == "again":
            return self._marked() is not None
        return super().check_action(action, parameters)

    def _marked(self) -> dict[str, Any] | None:
        """The record under the cursor, if it can be tried again."""
        found = self.query(ChoiceList)
        row = found.first().row if found else None
        record = self._records.get(row.key) if row is not None else None
        return record if record is not None and can_try_again(record) else None

    def action_filter(self) -> None:
        """Type words to filter by."""
        field = self.query_one("#filter", FilterInput)
        field.display = True
        field.focus()

    def action_outcome(self) -> None:
        """The next kind of outcome."""
        self._outcome = (self._outcome + 1) % len(OUTCOMES)
        self._anew()

    def action_again(self) -> None:
        """Install that device again."""
        record = self._marked()
        if record is not None:
            self.run_worker(later(try_again, self, self._desk, record["id"]), exclusive=True)

    def action_home(self) -> None:
        """Back to the first screen."""
        self.wizard.go_home()


def can_try_again(record: dict[str, Any]) -> bool:
    """Whether it ended without success."""
    return record["outcome"] in TRIED_AGAIN


async def try_again(screen: Frame, desk: RecordsDesk, installation: str) -> None:
    """Start an installation with the choices of a record; the passphrase is asked for."""
    from installer.ledger.wizard_access import answers_of

    try:
        answers = answers_of(await desk.one(installation))
    except InstallerError as error:
        screen.query_one("#problem", Callout).say(str(error))
        return
    screen.wizard.begin_with(answers)


def _row(record: dict[str, Any]) -> Row:
    name = record["name"] or record["label"] or ""
    address = str(record["address"] or "")
    device = f"{shown(name, 40)}  {address[-5:]}" if name else address or str(record["model"] or "none was found")
    cells = (when(record["started"]), shown(result(record), 40), device, shown(record["site"] or "", 30))
    return Row(record["id"], cells)


def _detail(record: dict[str, Any]) -> str:
    """Three lines: where and who, why it failed, and what can be done."""

    def named(word: str, name: str) -> str:
        return f"{word} {shown(str(record[name]), 24)}" if record.get(name) else ""

    where = "   ".join(
        part
        for part in (
            str(record["address"] or ""),
            named("by", "operator"),
            named("label", "label"),
            named("batch", "batch"),
            f"took {spoken(record['took'])}" if record.get("took") else "",
        )
        if part
    )
    lines = [where or "It had found no device."]
    if record["outcome"] == "failed":
        meaning = next((c.meaning for c in ErrorCode if c.value == record["error"]), "")
        lines.append(f"{meaning[:1].upper()}{meaning[1:]}." if meaning else "")
    elif record["outcome"] == "to_be_linked":
        lines.append(f"Its user links it: `device-installer link {record['id']}`, or the code on its label.")
    lines.append("Enter shows it whole" + ("; R tries it again." if can_try_again(record) else "."))
    return "\n".join(line for line in lines if line)
