"""Sign in: in a browser here, or on a phone by QR code, or by pasting the address that one was sent to."""

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
from screens.frame import QuestionScreen
from screens.widgets import SecretInput, Text, button, shown, spoken

TICK = 0.5
ELSEWHERE = "Signed in on the phone, and its browser ends on an error page? Paste the address of that page here:"
ROOM_BESIDE = 40  # cells that the words beside the QR code need
ROWS_AROUND = 8  # lines of the bar, title, hint, spaces and footer


class SignInScreen(QuestionScreen[SignIn]):
    """Asks to sign in. Goes away by itself when the browser came back; else the answer is the pasted address."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o,f3", "open", "Open browser", id="sign_in.open", tooltip="Open the page in a browser here"),
        Binding("l,f4", "by_itself", "Practice user", id="sign_in.lab", tooltip="Sign in the lab's user, by itself"),
    ]

    AUTO_FOCUS = "#open, #pasted"

    def heading(self) -> str:
        return "Sign in to your account"

    def hint(self) -> str:
        return "In the browser: sign in and allow access. This page then goes on by itself."

    def body(self) -> Iterable[Widget]:
        with Horizontal(id="sign-in"):
            yield Text("", id="qr")
            with Vertical():
                yield Text(self._ways(), id="ways")
                if self.question.open_browser is not None:
                    with Horizontal(classes="buttons"):
                        yield button("Open the browser (O)", "open", "primary")
                        if self.question.by_itself is not None:
                            yield button("Sign in for me (L)", "by-itself")
                yield Text("", id="phone")
                yield Text(ELSEWHERE, id="elsewhere")
                yield SecretInput("address that the browser was sent to", id="pasted")
                yield Text("", id="remaining")

    def _ways(self) -> Content:
        return Content.assemble(
            "In a browser on this computer, open:\n",
            (shown(self.question.short_url, 200), "bold"),
            "\nThis short address works on this computer only.",
        )

    def on_mount(self) -> None:
        self._ends = self.wizard.clock() + self.question.seconds
        self._draw_qr()
        self._tick()
        self.set_interval(TICK, self._tick)

    def on_resize(self) -> None:
        self._draw_qr()

    def _draw_qr(self) -> None:
        from installer.qr.draw import qr_lines

        size = self.app.size
        lines = qr_lines(self.question.url, size.width - ROOM_BESIDE - 6, size.height - ROWS_AROUND)
        code = self.query_one("#qr", Text)
        code.display = lines is not None
        code.update(Content("\n".join(lines or [])))
        phone = self.query_one("#phone", Text)
        phone.display = lines is None
        phone.update(Content(self._enlarge() if lines is None else ""))

    def _enlarge(self) -> str:
        """What to do for a phone where the code does not fit."""
        from installer.qr.draw import qr_lines

        whole = qr_lines(self.question.url, 400, 400)
        if whole is None:
            return "To sign in on a phone, send it the address that the browser shows here."
        width, height = len(whole[0]) + ROOM_BESIDE + 6, len(whole) + ROWS_AROUND
        return f"On a phone: enlarge this window to {width} × {height} characters, and a QR code to scan appears."

    def _tick(self) -> None:
        left = self._ends - self.wizard.clock()
        words = f"{spoken(left)} left." if left > 0 else "The time is over."
        self.query_one("#remaining", Text).update(Content(words))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Opening a browser, where there is one."""
        if action == "open":
            return self.question.open_browser is not None
        if action == "by_itself":
            return self.question.by_itself is not None
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
            self.say_problem("" if opened else "No browser could be opened here. Open the address yourself.")

    @on(Button.Pressed, "#by-itself")
    async def action_by_itself(self) -> None:
        """Let the lab's practice user sign in, through the same page and redirect as a browser."""
        if self.question.by_itself is not None:
            self.run_worker(self._by_itself(self.question.by_itself), group="browser", exclusive=True)

    async def _by_itself(self, sign_in: Callable[[], Awaitable[None]]) -> None:
        try:
            await sign_in()
        except InstallerError as error:
            if not self.result.done():
                self.say_problem(f"{error.what} {error.todo}")

    @on(Input.Submitted)
    def _pasted(self, event: Input.Submitted) -> None:
        address = event.value.strip()
        if address:
            self.answer(address)

    def forget(self) -> None:
        """The address holds a code."""
        for field in self.query(SecretInput):
            field.forget()
