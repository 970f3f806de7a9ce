"""The guide for set-up with the vendor's app: a check list, a QR code of the app, and the watch of the account."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget

from installer.flow.questions import FollowGuide
from installer.timing.durations import minutes_and_seconds
from screens.installation_state import InstallationState, Mark, ProgressView
from screens.labels import shown
from screens.question_screen import QuestionScreen
from screens.widgets import Callout, QrCode, Text

REFRESH_SECONDS = 0.5
LIST_WIDTH = 56  # cells that the check list needs beside the QR code
ROWS_OUTSIDE_QR = 9  # top bar, heading, hint, watch and footer


class ChecklistItem(Text, can_focus=True):
    """One thing to do. Ticking it off only helps the user; nothing waits for it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,enter", "tick", "Tick off", id="guide.tick", tooltip="Done, or not done after all"),
        Binding("up", "app.focus_previous", "Previous", show=False, id="guide.up", tooltip="The one before"),
        Binding("down", "app.focus_next", "Next", show=False, id="guide.down", tooltip="The next one"),
    ]

    def __init__(self, text: str) -> None:
        super().__init__(classes="item")
        self._text = text
        self.done = False

    def render(self) -> Content:
        mark = Mark.DONE if self.done else Mark.TODO
        style = self.app.theme_variables["success"] if self.done else ""
        width = max(self.content_size.width - 2, 10)
        lines = [Content.styled(line.plain, style) for line in Content(self._text).wrap(width)]
        return Content.assemble((f"{mark.value} ", style), Content("\n  ").join(lines))

    def action_tick(self) -> None:
        """Tick or untick this item; after a tick, go to the next one."""
        self.done = not self.done
        self.refresh()
        if self.done:
            self.screen.focus_next(ChecklistItem)


class GuideScreen(QuestionScreen[FollowGuide]):
    """Shows the guide. It closes by itself when the device is in the account."""

    AUTO_FOCUS = "ChecklistItem"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "qr", "QR code", id="guide.qr", tooltip="The address as a QR code, over the whole window"),
    ]
    CSS = """
    GuideScreen #guide { height: auto; }
    GuideScreen #todo-list { height: auto; width: 1fr; }
    GuideScreen .item { padding: 0 1; height: auto; }
    GuideScreen .item:focus { background: $chosen; }
    GuideScreen #app { width: auto; height: auto; margin-left: 2; }
    GuideScreen #app Text { width: auto; }
    GuideScreen #watching { margin: 1 0 0 1; color: $muted; }
    GuideScreen #trouble { margin: 1 0 0 0; }
    """

    def heading(self) -> str:
        return f"Set up {self.question.model.name} with {shown(self.question.app)}"

    def hint(self) -> str:
        return "Nothing is sent from here; it goes on when the device is in your account."

    def body(self) -> Iterable[Widget]:
        with Horizontal(id="guide"):
            with Vertical(id="todo-list"):
                for step in self.question.steps:
                    yield ChecklistItem(shown(step, 300))
            with Vertical(id="app"):
                yield QrCode(id="qr")
                yield Text(shown(self.question.url), classes="small")
        yield Text("", id="watching")
        yield Callout("", "warning", id="trouble")

    def on_mount(self) -> None:
        self._deadline = self.wizard.clock() + self.question.seconds
        self._draw_qr()
        self._update_watch()
        self.set_interval(REFRESH_SECONDS, self._update_watch)

    def on_resize(self) -> None:
        self._draw_qr()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The QR code needs an address."""
        return bool(self.question.url) if action == "qr" else super().check_action(action, parameters)

    def action_qr(self) -> None:
        """The address as a QR code, over the whole window."""
        from screens.qr_code import QrScreen

        self.app.push_screen(QrScreen(self.question.url, f"it leads to {shown(self.question.app)}"))

    def _draw_qr(self) -> None:
        size = self.app.size
        room = (size.width - LIST_WIDTH - 6, size.height - ROWS_OUTSIDE_QR)
        self.query_one("#app").display = self.query_one(QrCode).show_code(self.question.url, *room)

    def _update_watch(self) -> None:
        watch, now = self.question.progress, self.wizard.clock()
        last = (
            ""
            if watch.last_checked is None
            else f" Looked {minutes_and_seconds(max(now - watch.last_checked, 0))} ago: not there yet."
        )
        left = f" {minutes_and_seconds(self._deadline - now)} left." if self._deadline > now else " The time is over."
        text = f"Watching account “{shown(self.question.account)}”.{last if watch.error is None else ''}{left}"
        self.query_one("#watching", Text).update(Content(text))
        self.query_one("#trouble", Callout).show_text(watch.error.what if watch.error is not None else "")


def progress_view(state: InstallationState) -> ProgressView:
    """The progress before and after the guide is shown."""
    name = shown(state.device.name) if state.device and state.device.name else "the device"
    stages = ((Mark.DONE if state.linked else Mark.NOW, "The device is in the account"),)
    return ProgressView(f"Waiting for {name}", "It is set up with its vendor's app.", stages)
