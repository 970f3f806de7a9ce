"""Drives the wizard with the keyboard. Waits for conditions, never for fixed times.

Used by the tests of the screens, and by whole installations against the lab.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, TypeVar, cast

from rich.terminal_theme import TerminalTheme
from textual import events
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Button, Input
from textual.worker import Worker

from installer.catalogue.model import SyncMethod
from installer.flow.front_end import Recovery
from installer.flow.questions import Question
from screens.app import WizardApp
from screens.cards import Card
from screens.choice_list import ChoiceList
from screens.confirm_account import ConfirmAccountScreen
from screens.confirm_device import ConfirmDeviceScreen
from screens.failure_dialog import FailureDialog
from screens.find import FindScreen
from screens.finish import FinishScreen
from screens.home import HomeScreen
from screens.link import AccountScreen
from screens.network import NetworkScreen, OtherNetworkDialog
from screens.notification_offer import NotificationOfferScreen
from screens.progress import ProgressScreen
from screens.provision import SendScreen
from screens.question_screen import QuestionScreen
from screens.secret_screens import PassphraseScreen
from screens.sign_in import SignInScreen
from screens.sync import SyncScreen
from tests.terminal_picture import DARK_TERMINAL, codes_in, picture

S = TypeVar("S", bound=Screen[Any])
TIMEOUT = 30.0


def wizard(pilot: Pilot[Any]) -> WizardApp:
    """The app under the pilot."""
    return cast(WizardApp, pilot.app)


def screen_text(pilot: Pilot[Any]) -> str:
    """The text on the terminal, as lines."""
    strips = pilot.app.screen._compositor.render_strips(pilot.app.size)
    return "\n".join(strip.text.rstrip() for strip in strips)


def read_codes(pilot: Pilot[Any], terminal: TerminalTheme = DARK_TERMINAL) -> list[str]:
    """The texts of the QR codes on the terminal, read from its picture."""
    return codes_in(picture(pilot.app.screen._compositor.render_strips(pilot.app.size), terminal))


def flat_text(pilot: Pilot[Any]) -> str:
    """The same on one line, without the borders of boxes, so that wrapped sentences are whole."""
    return " ".join(re.sub("[│█▐▌┃]", " ", screen_text(pilot)).split())


async def until(pilot: Pilot[Any], condition: Callable[[], bool], what: str, timeout: float = TIMEOUT) -> None:
    """Wait until `condition` is true. A failure shows what was waited for and the terminal."""
    try:
        async with asyncio.timeout(timeout):
            while not condition():
                await pilot.pause(0.01)
    except TimeoutError:
        raise AssertionError(f"waited {timeout} s for {what}; the terminal shows:\n{screen_text(pilot)}") from None
    await pilot.pause()


async def wait_for_screen(pilot: Pilot[Any], kind: type[S], timeout: float = TIMEOUT) -> S:
    """Wait until a screen of this kind is on top, drawn, and not answered yet."""

    def there() -> bool:
        screen = pilot.app.screen
        if not isinstance(screen, kind) or not screen.is_mounted:
            return False
        return not (isinstance(screen, QuestionScreen) and screen.result.done())

    await until(pilot, there, kind.__name__, timeout)
    return cast(S, pilot.app.screen)


async def wait_for_text(pilot: Pilot[Any], text: str, timeout: float = TIMEOUT) -> None:
    """Wait until the terminal shows this text, on one line or wrapped."""
    await until(pilot, lambda: text in screen_text(pilot) or text in flat_text(pilot), f"the text {text!r}", timeout)


async def type_text(pilot: Pilot[Any], text: str) -> None:
    """Type `text` into the field that has the focus, as one paste: a key press each would take seconds."""
    pilot.app.post_message(events.Paste(text))
    await pilot.pause()


async def press_button(pilot: Pilot[Any], key: str) -> None:
    """Tab to the button with this id and press enter."""
    button = pilot.app.screen.query_one(f"#{key}", Button)
    for _ in range(50):
        if pilot.app.focused is button:
            await pilot.press("enter")
            return
        await pilot.press("tab")
    raise AssertionError(f"no way to the button {key!r} by Tab:\n{screen_text(pilot)}")


async def choose_row(pilot: Pilot[Any], key: str, timeout: float = TIMEOUT) -> None:
    """Wait for the row with this key, go there by the arrow keys, and press enter."""
    rows = pilot.app.screen.query_one(ChoiceList)
    await until(pilot, lambda: any(r.key == key for r in rows.rows), f"the row {key!r}", timeout)
    rows.focus()
    await go_to_row(pilot, rows, key)
    await pilot.press("enter")


async def go_to_row(pilot: Pilot[Any], rows: ChoiceList, key: str) -> None:
    """Go to the row with this key by the arrow keys."""
    # Until the user has moved, the cursor is on the first row that can be chosen, which a new device may take over.
    await pilot.press("home")
    await until(pilot, lambda: rows.user_moved, "the cursor to be the user's")
    # New rows may move this row, so each step looks again. It waits until its key took effect: otherwise the next
    # key would go to another row.
    for _ in range(len(rows.rows) * 2 + 5):
        keys = [r.key for r in rows.rows]
        at = rows.cursor
        if at == keys.index(key):
            return
        await pilot.press("down" if at < keys.index(key) else "up")

        def moved(at: int | None = at, keys: list[str] = keys) -> bool:
            return rows.cursor != at or [r.key for r in rows.rows] != keys

        await until(pilot, moved, "the cursor to move")
    raise AssertionError(f"the cursor did not reach {key!r}:\n{screen_text(pilot)}")


async def choose_card(pilot: Pilot[Any], key: str) -> None:
    """Go to the card with this key by the arrow keys and press enter."""
    cards = [c for c in pilot.app.screen.query(Card) if c.can_focus]
    for _ in range(len(cards) + 1):
        focused = pilot.app.focused
        if isinstance(focused, Card) and focused.choice.key == key:
            await pilot.press("enter")
            return
        await pilot.press("down")
        if len(cards) > 1:
            await until(pilot, lambda before=focused: pilot.app.focused is not before, "the next card")
    raise AssertionError(f"no card {key!r} can be chosen:\n{screen_text(pilot)}")


def ask_question(pilot: Pilot[Any], question: Question) -> Worker[Any]:
    """Ask one question without an engine. The worker's result is the answer."""
    app = wizard(pilot)
    return app.run_worker(app.ask(question), exit_on_error=False)


async def begin(pilot: Pilot[Any]) -> None:
    """Start an installation from the home screen."""
    await wait_for_screen(pilot, HomeScreen)
    await choose_card(pilot, "install")


async def answer_find(pilot: Pilot[Any], address: str, *, confirm: bool = True, timeout: float = TIMEOUT) -> None:
    """Choose the device with this address, and confirm it."""
    await wait_for_screen(pilot, FindScreen, timeout)
    await choose_row(pilot, address, timeout)
    if confirm:
        await confirm_device(pilot, timeout)


async def confirm_device(pilot: Pilot[Any], timeout: float = TIMEOUT) -> None:
    """Yes, it is this device."""
    await wait_for_screen(pilot, ConfirmDeviceScreen, timeout)
    await press_button(pilot, "yes")


async def answer_sync(pilot: Pilot[Any], method: SyncMethod | str, timeout: float = TIMEOUT) -> None:
    """Choose the sync method."""
    await wait_for_screen(pilot, SyncScreen, timeout)
    await choose_card(pilot, str(method))


async def answer_network(
    pilot: Pilot[Any], ssid: str, passphrase: str | None, *, listed: bool = True, timeout: float = TIMEOUT
) -> None:
    """Choose the network, by its row or (not `listed`) by name, and type its passphrase; None: none is asked."""
    await wait_for_screen(pilot, NetworkScreen, timeout)
    if listed:
        await choose_row(pilot, f"n:{ssid}", timeout)
    else:
        await choose_row(pilot, "other", timeout)
        await wait_for_screen(pilot, OtherNetworkDialog)
        await type_text(pilot, ssid)
        await pilot.press("enter")
    if passphrase is not None:
        await answer_passphrase(pilot, passphrase, timeout)


async def answer_passphrase(pilot: Pilot[Any], passphrase: str, timeout: float = TIMEOUT) -> None:
    """Type the passphrase."""
    await wait_for_screen(pilot, PassphraseScreen, timeout)
    await type_text(pilot, passphrase)
    await pilot.press("enter")


async def confirm_sending(pilot: Pilot[Any], timeout: float = TIMEOUT) -> None:
    """Send the credentials."""
    await wait_for_screen(pilot, SendScreen, timeout)
    await press_button(pilot, "send")


async def answer_account(pilot: Pilot[Any], name: str | None, timeout: float = TIMEOUT) -> None:
    """Choose a stored account; None: sign in (as the name that is proposed)."""
    screen = await wait_for_screen(pilot, AccountScreen, timeout)
    await choose_card(pilot, name if name is not None else "\n")
    if name is None and screen.question.accounts:
        await pilot.press("enter")


async def answer_notification_offer(
    pilot: Pilot[Any], choice: str, timeout: float = TIMEOUT
) -> NotificationOfferScreen:
    """Answer whether to subscribe to notifications: `no`, `known`, or an address."""
    screen = await wait_for_screen(pilot, NotificationOfferScreen, timeout)
    if choice in ("no", "known"):
        await choose_card(pilot, choice)
        return screen
    if not screen.query_one("#new-address").display:
        await choose_card(pilot, "other")
    field = screen.query_one("#address", Input)
    field.focus()
    field.value = choice
    await pilot.press("enter")
    return screen


async def paste_address(pilot: Pilot[Any], address: str, timeout: float = TIMEOUT) -> None:
    """Finish signing in with the address of the page where the browser ended."""
    screen = await wait_for_screen(pilot, SignInScreen, timeout)
    screen.query_one("#pasted").focus()
    await type_text(pilot, address)
    await pilot.press("enter")


async def confirm_account(pilot: Pilot[Any], answer: str = "yes", timeout: float = TIMEOUT) -> ConfirmAccountScreen:
    """Say whether the account that was signed in is the right one: `yes` or `no`."""
    screen = await wait_for_screen(pilot, ConfirmAccountScreen, timeout)
    await press_button(pilot, answer)
    return screen


async def decide(pilot: Pilot[Any], recovery: Recovery, timeout: float = TIMEOUT) -> None:
    """Choose what to do about a failure."""
    await wait_for_screen(pilot, FailureDialog, timeout)
    await press_button(pilot, recovery.value)


async def wait_for_progress(pilot: Pilot[Any], text: str, timeout: float = TIMEOUT) -> None:
    """Wait until the progress screen shows this text."""
    await wait_for_screen(pilot, ProgressScreen, timeout)
    await wait_for_text(pilot, text, timeout)


async def wait_for_finish(pilot: Pilot[Any], timeout: float = TIMEOUT) -> FinishScreen:
    """Wait for the end of the installation."""

    def asked() -> bool:
        return isinstance(pilot.app.screen, NotificationOfferScreen) and not pilot.app.screen.result.done()

    await until(pilot, lambda: asked() or isinstance(pilot.app.screen, FinishScreen), "the end", timeout)
    if asked():
        await answer_notification_offer(pilot, "no")
    return await wait_for_screen(pilot, FinishScreen, timeout)
