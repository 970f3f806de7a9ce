"""The sign-in screen: in a browser here, on a phone by QR code, or by pasting the address of the last page."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Input

from installer.errors import InstallerError
from installer.flow.questions import SignIn
from installer.timing.durations import minutes_and_seconds
from screens.labels import shown
from screens.question_screen import QuestionScreen
from screens.widgets import ButtonRow, Callout, QrCode, SecretInput, Text, button

REFRESH_SECONDS = 0.5
PASTE_ADDRESS_TEXT = (
    "Signed in on the phone, and its browser ends on an error page? Paste the address of that page here:"
)
TEXT_WIDTH = 40  # cells that the text needs beside the QR code
ROWS_OUTSIDE_QR = 8  # top bar, heading, hint, spaces and footer


class SignInScreen(QuestionScreen[SignIn]):
    """Asks to sign in. It closes by itself when the browser was redirected; else the answer is the pasted address."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o,f3", "open", "Open browser", id="sign_in.open", tooltip="Open the page in a browser here"),
        Binding("r,f6", "new_link", "New link", id="sign_in.new", tooltip="Make a new link; the old one ends"),
        Binding("l,f4", "by_itself", "Practice user", id="sign_in.lab", tooltip="Sign in the lab's user, by itself"),
    ]

    AUTO_FOCUS = "#open, #pasted"

    def heading(self) -> str:
        return "Sign in to your account"

    def hint(self) -> str:
        return "In the browser: sign in and allow access. This page then goes on by itself."

    def body(self) -> Iterable[Widget]:
        yield Callout("", "warning", id="sign-in-warning")
        with Horizontal(id="sign-in"):
            yield QrCode(id="qr")
            with Vertical():
                yield Text(self._browser_text(), id="ways")
                if self.question.open_browser is not None:
                    with ButtonRow():
                        yield button("Open the browser (O)", "open", "primary")
                        if self.question.sign_in_lab_user is not None:
                            yield button("Sign in for me (L)", "by-itself")
                yield Text("", id="phone")
                yield Text(PASTE_ADDRESS_TEXT, id="elsewhere")
                yield SecretInput("address that the browser was sent to", id="pasted")
                yield Text("", id="remaining")

    def _browser_text(self) -> Content:
        return Content.assemble(
            "In a browser on this computer, open:\n",
            (shown(self.question.short_url, 200), "bold"),
            "\nThis short address works on this computer only.",
            "\nOne browser can open it; R makes a new one." if self.question.new_link is not None else "",
        )

    def on_mount(self) -> None:
        self._deadline = self.wizard.clock() + self.question.seconds
        self._draw_qr()
        self._update_time_left()
        self.set_interval(REFRESH_SECONDS, self._update_time_left)

    def on_resize(self) -> None:
        self._draw_qr()

    def _draw_qr(self) -> None:
        size = self.app.size
        room = (size.width - TEXT_WIDTH - 6, size.height - ROWS_OUTSIDE_QR)
        drawn = self.query_one(QrCode).show_code(self.question.url, *room)
        phone = self.query_one("#phone", Text)
        phone.display = not drawn
        phone.update(Content("" if drawn else self._text_without_qr()))

    def _text_without_qr(self) -> str:
        """How to sign in on a phone if the QR code does not fit."""
        from installer.qr.draw import qr_lines

        full_size = qr_lines(self.question.url, 400, 400)
        if full_size is None:
            return "To sign in on a phone, send it the address that the browser shows here."
        width, height = len(full_size[0]) + TEXT_WIDTH + 6, len(full_size) + ROWS_OUTSIDE_QR
        return f"On a phone: enlarge this window to {width} × {height} characters, and a QR code to scan appears."

    def _update_time_left(self) -> None:
        left = self._deadline - self.wizard.clock()
        text = f"{minutes_and_seconds(left)} left." if left > 0 else "The time is over."
        self.query_one("#remaining", Text).update(Content(text))
        warning = self.question.warning() if self.question.warning is not None else ""
        callout = self.query_one("#sign-in-warning", Callout)
        if callout.text != warning:
            callout.show_text(shown(warning, 300))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The browser and the practice user are offered only if they exist."""
        if action == "open":
            return self.question.open_browser is not None
        if action == "new_link":
            return self.question.new_link is not None
        if action == "by_itself":
            return self.question.sign_in_lab_user is not None
        return super().check_action(action, parameters)

    @on(Button.Pressed, "#open")
    def _pressed(self) -> None:
        self.action_open()

    def action_open(self) -> None:
        """Open the page in a browser."""
        self.run_worker(self._open, thread=True, group="browser", exclusive=True)

    def _open(self) -> None:
        opened = self.question.open_browser is not None and self.question.open_browser()
        self.app.call_from_thread(self._opened, opened)

    def _opened(self, opened: bool) -> None:
        if not self.result.done():
            self.show_problem("" if opened else "No browser could be opened here. Open the address yourself.")

    def action_new_link(self) -> None:
        """Make a new link and show it; the old one counts no more."""
        if self.question.new_link is None or self.result.done():
            return
        self.question.url, self.question.short_url = self.question.new_link()
        self.query_one("#ways", Text).update(self._browser_text())
        self._draw_qr()
        self._update_time_left()

    @on(Button.Pressed, "#by-itself")
    async def action_by_itself(self) -> None:
        """Sign in the lab's practice user, through the same page and redirect as a browser."""
        if self.question.sign_in_lab_user is not None:
            self.run_worker(self._by_itself(self.question.sign_in_lab_user), group="browser", exclusive=True)

    async def _by_itself(self, sign_in: Callable[[], Awaitable[None]]) -> None:
        try:
            await sign_in()
        except InstallerError as error:
            if not self.result.done():
                self.show_problem(f"{error.what} {error.todo}")

    @on(Input.Submitted)
    def _pasted(self, event: Input.Submitted) -> None:
        address = event.value.strip()
        if address:
            self.answer(address)

    def clear_secrets(self) -> None:
        """Clear the address: it contains a sign-in code."""
        for field in self.query(SecretInput):
            field.clear_secret()
