"""Scenes: the wizard driven to a certain screen, with fixed data and a stopped clock; for snapshots and pictures."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from pydantic import SecretStr
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import Input

from installer.answers import StepKey
from installer.bluetooth.pairing import bond_lost
from installer.catalogue.model import SyncMethod
from installer.cloud.whose_account import SignedInPerson
from installer.errors import ErrorCode, InstallerError
from installer.flow.pairing_questions import AskPasskey, CompareNumbers, RenewBond, ShowPasskey
from installer.flow.questions import (
    AcceptUnproved,
    ChooseReading,
    ConfirmAccount,
    ConfirmForeign,
    OfferNotifications,
    Question,
)
from installer.qr.wifi_text import parse
from screens.app import WizardApp
from screens.confirm_account import ConfirmAccountScreen
from screens.confirm_device import ConfirmDeviceScreen
from screens.dialogs import ConfirmDialog
from screens.failure_dialog import FailureDialog
from screens.find import FindScreen
from screens.help import HelpDialog
from screens.home import HomeScreen
from screens.link import AccountScreen
from screens.network import CardReadingScreen, NetworkScreen, OtherNetworkDialog
from screens.notification_offer import NotificationOfferScreen
from screens.pairing import CompareScreen, PasskeyScreen, RenewBondScreen, ShowPasskeyScreen
from screens.provision import ConfirmForeignScreen, SendScreen, UnprovedScreen
from screens.qr_text_dialogs import WifiQrTextDialog
from screens.save_answers import SaveAnswersDialog
from screens.secret_screens import PassphraseScreen
from screens.sign_in import SignInScreen
from screens.sync import SyncScreen
from tests.screens.driver import (
    answer_account,
    answer_find,
    answer_network,
    answer_sync,
    ask_question,
    begin,
    choose_card,
    choose_row,
    confirm_sending,
    type_text,
    wait_for_finish,
    wait_for_progress,
    wait_for_screen,
    wait_for_text,
    wizard,
)
from tests.screens.fake_engine import ADDRESS, BODY_PLUS, CATALOGUE, Script, Sightings, Starter, offers

PASSPHRASE = "tiefgruene-See 42"
SLEEP_ADDRESS = "00:24:E4:77:20:51"
Scene = Callable[[Pilot[Any]], Awaitable[None]]


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def running(
    script: Script | None = None,
    *,
    size: tuple[int, int] = (80, 24),
    lab: bool = True,
    light: bool = False,
    **more: Any,
) -> AsyncIterator[tuple[Pilot[Any], Starter]]:
    """The wizard with the fake engine and a stopped clock."""
    starter = Starter(script)
    app = WizardApp(starter, lab=lab, catalogue=CATALOGUE, light=light, clock=Clock(), resumable=starter, **more)
    app.animation_level = "none"
    async with app.run_test(size=size) as pilot:
        yield pilot, starter


async def still(pilot: Pilot[Any]) -> None:
    """Stop the blinking of cursors."""
    for field in pilot.app.screen.query(Input):
        field.cursor_blink = False
    await pilot.pause()


_TEXT = re.compile(r'<text([^>]*?) x="([\d.]+)" y="([\d.]+)" textLength="([\d.]+)"([^>]*)>([^<]*)</text>')


def _words(match: re.Match[str]) -> str:
    """Split a text element into words, so that every viewer puts each word where the terminal has it."""
    before, x, y, length, after, text = match.groups()
    text = html.unescape(text)
    cell = float(length) / max(len(text), 1)  # the exporter counts characters there, not cells
    parts = []
    for word in re.finditer(r"[^\xa0\s]+", text):
        start, width = float(x) + cell_len(text[: word.start()]) * cell, cell_len(word[0]) * cell
        parts.append(f'<text{before} x="{start:g}" y="{y}" textLength="{width:g}"{after}>{html.escape(word[0])}</text>')
    return "".join(parts)


def without_fonts(svg: str) -> str:
    """The exported picture without external fonts, and the same each time."""
    svg = re.sub(r"@font-face\s*\{.*?\}", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace")
    svg = svg.replace("font-family: Fira Code;", "font-family: ui-monospace, monospace;")
    svg = re.sub(r"\bterminal-\d+-([\w-]+)", r"terminal-\1", svg)
    return _TEXT.sub(_words, svg)


async def to_device(pilot: Pilot[Any]) -> None:
    await begin(pilot)
    await answer_find(pilot, ADDRESS, confirm=False)
    await wait_for_screen(pilot, ConfirmDeviceScreen)


async def to_sync(pilot: Pilot[Any], address: str = ADDRESS) -> None:
    await begin(pilot)
    await answer_find(pilot, address)
    await wait_for_screen(pilot, SyncScreen)


async def to_network(pilot: Pilot[Any]) -> None:
    await to_sync(pilot)
    await answer_sync(pilot, SyncMethod.WIFI)
    await wait_for_screen(pilot, NetworkScreen)


async def to_passphrase(pilot: Pilot[Any]) -> None:
    await to_network(pilot)
    await answer_network(pilot, "Home", None)
    await wait_for_screen(pilot, PassphraseScreen)


async def to_sending(pilot: Pilot[Any]) -> None:
    await to_network(pilot)
    await answer_network(pilot, "Home", PASSPHRASE)
    await wait_for_screen(pilot, SendScreen)


async def to_account(pilot: Pilot[Any]) -> None:
    await to_sending(pilot)
    await confirm_sending(pilot)
    await wait_for_screen(pilot, AccountScreen)


async def home(pilot: Pilot[Any]) -> None:
    await wait_for_screen(pilot, HomeScreen)


async def home_offer(pilot: Pilot[Any]) -> None:
    await home(pilot)
    await wait_for_text(pilot, "Continue Body+ 3C")


async def home_dismiss(pilot: Pilot[Any]) -> None:
    await home_offer(pilot)
    await pilot.press("d")
    await wait_for_screen(pilot, ConfirmDialog)


async def find(pilot: Pilot[Any]) -> None:
    await begin(pilot)
    await wait_for_screen(pilot, FindScreen)
    await wait_for_text(pilot, "5 to choose from")


async def find_all(pilot: Pilot[Any]) -> None:
    await find(pilot)
    await pilot.press("a", "end")
    await wait_for_text(pilot, "does not know how")


async def find_filter(pilot: Pilot[Any]) -> None:
    await find(pilot)
    await pilot.press("slash")
    await type_text(pilot, "body")
    await wait_for_text(pilot, "Filter: 2 of 5")


async def find_empty(pilot: Pilot[Any]) -> None:
    await begin(pilot)
    await wait_for_screen(pilot, FindScreen)
    pilot.app.clock.now += 5  # type: ignore[attr-defined]
    await wait_for_text(pilot, "Nothing found yet")


async def find_failed(pilot: Pilot[Any]) -> None:
    await begin(pilot)
    await wait_for_screen(pilot, FindScreen)
    await wait_for_text(pilot, "switched off")


async def sync_sleep(pilot: Pilot[Any]) -> None:
    await to_sync(pilot, SLEEP_ADDRESS)


async def passphrase_short(pilot: Pilot[Any]) -> None:
    await to_passphrase(pilot)
    await type_text(pilot, "secre")
    await wait_for_text(pilot, "3 more")


async def network_refused(pilot: Pilot[Any]) -> None:
    await to_network(pilot)
    await pilot.press("down", "down")
    await wait_for_text(pilot, "802.1X")


async def network_other(pilot: Pilot[Any]) -> None:
    await to_network(pilot)
    await choose_row(pilot, "other")
    await wait_for_screen(pilot, OtherNetworkDialog)


async def network_text(pilot: Pilot[Any]) -> None:
    await to_network(pilot)
    await pilot.press("p")
    await wait_for_screen(pilot, WifiQrTextDialog)
    await type_text(pilot, f"WIFI:T:WPA;S:Home;P:{PASSPHRASE};;")
    await wait_for_text(pilot, "with its passphrase")


async def card_with_two_readings(pilot: Pilot[Any]) -> None:
    await to_network(pilot)
    readings = parse(r"WIFI:T:WPA;S:back\slash;P:C:\temp\x1;;")
    ask_question(pilot, ChooseReading(readings=readings, heard=frozenset([r"back\slash"]), can_go_back=True))
    await wait_for_screen(pilot, CardReadingScreen)


async def joining(pilot: Pilot[Any]) -> None:
    await to_sending(pilot)
    await confirm_sending(pilot)
    await wait_for_progress(pilot, "joins “Home”")
    pilot.app.clock.now += 12  # type: ignore[attr-defined]
    await wait_for_text(pilot, "12 s of at most")


async def press_the_button(pilot: Pilot[Any]) -> None:
    await to_sending(pilot)
    await confirm_sending(pilot)
    await wait_for_progress(pilot, "Press the button below")
    pilot.app.clock.now += 7  # type: ignore[attr-defined]
    await wait_for_text(pilot, "7 s of at most")


async def recover(pilot: Pilot[Any]) -> None:
    await to_sending(pilot)
    await confirm_sending(pilot)
    await wait_for_screen(pilot, FailureDialog)


async def wrong_passphrase(pilot: Pilot[Any]) -> None:
    await recover(pilot)
    await pilot.press("c")
    await wait_for_screen(pilot, PassphraseScreen)


async def stopping(pilot: Pilot[Any]) -> None:
    await joining(pilot)
    await pilot.press("escape")
    await wait_for_screen(pilot, ConfirmDialog)


async def account_name(pilot: Pilot[Any]) -> None:
    await to_account(pilot)
    await pilot.press("down", "enter")
    await wait_for_text(pilot, "A name for it")


async def sign_in(pilot: Pilot[Any]) -> None:
    await to_account(pilot)
    await answer_account(pilot, None)
    await wait_for_screen(pilot, SignInScreen)


def person(**changes: Any) -> SignedInPerson:
    values = {"account": "alex", "cloud": "the Withings cloud", "userid": "40000001", "devices": ("Body+", "Sleep")}
    return SignedInPerson(**{**values, **changes})


async def confirm_account(pilot: Pilot[Any]) -> None:
    ask_question(pilot, ConfirmAccount(person=person()))
    await wait_for_screen(pilot, ConfirmAccountScreen)


async def confirm_changed_account(pilot: Pilot[Any]) -> None:
    ask_question(pilot, ConfirmAccount(person=person(stored_userid="40000002")))
    await wait_for_screen(pilot, ConfirmAccountScreen)


async def measuring(pilot: Pilot[Any]) -> None:
    await to_account(pilot)
    await answer_account(pilot, "alex")
    await wait_for_progress(pilot, "Step on the scale")


async def finished(pilot: Pilot[Any]) -> None:
    await to_account(pilot)
    await answer_account(pilot, "alex")
    await wait_for_finish(pilot)


async def finished_waiting(pilot: Pilot[Any]) -> None:
    async def first_data(_outcome: Any) -> None:
        await asyncio.sleep(3600)

    wizard(pilot).wait_for_first_data = first_data
    await finished(pilot)


async def finished_bluetooth(pilot: Pilot[Any]) -> None:
    await to_sync(pilot)
    await answer_sync(pilot, SyncMethod.BLUETOOTH)
    await wait_for_screen(pilot, AccountScreen)
    await answer_account(pilot, "alex")
    await wait_for_finish(pilot)


async def notify(pilot: Pilot[Any]) -> None:
    await to_account(pilot)
    await answer_account(pilot, "alex")
    await wait_for_screen(pilot, NotificationOfferScreen)


async def notify_address(pilot: Pilot[Any]) -> None:
    await notify(pilot)
    await choose_card(pilot, "other")
    await wait_for_text(pilot, "Its address")


def offer(**more: Any) -> OfferNotifications:
    return OfferNotifications(model=BODY_PLUS, account="alex", kinds="weight", **more)


def unproved() -> AcceptUnproved:
    return AcceptUnproved(
        model=BODY_PLUS,
        name="Body+ 3C",
        address=ADDRESS,
        asked="a proof of possession was given, and its label or user name states security 2",
        offered="security 0 of Espressif provisioning (no encryption, no proof)",
        encrypted=False,
    )


async def ask_unproved(pilot: Pilot[Any]) -> None:
    await home(pilot)
    ask_question(pilot, unproved())
    await wait_for_screen(pilot, UnprovedScreen)


def ask_for_passkey() -> AskPasskey:
    return AskPasskey(model=BODY_PLUS, name="Body+ 3C", address=ADDRESS, seconds=30.0)


def compare_numbers() -> CompareNumbers:
    return CompareNumbers(model=BODY_PLUS, name="Body+ 3C", address=ADDRESS, number="063140", seconds=30.0)


def show_passkey() -> ShowPasskey:
    return ShowPasskey(model=BODY_PLUS, name="Body+ 3C", address=ADDRESS, passkey=SecretStr("063140"), seconds=30.0)


def renew_bond() -> RenewBond:
    lost = bond_lost(ADDRESS, "Body+ 3C").with_advice("")
    return RenewBond(model=BODY_PLUS, name="Body+ 3C", address=ADDRESS, problem=lost, can_go_back=True)


def asking(question: Callable[[], Question], screen: type[Any]) -> Scene:
    async def scene(pilot: Pilot[Any]) -> None:
        await home(pilot)
        ask_question(pilot, question())
        await wait_for_screen(pilot, screen)

    return scene


def foreign() -> ConfirmForeign:
    return ConfirmForeign(
        step=StepKey.NETWORK,
        title="Use this passphrase?",
        lines=(
            "The passphrase is the variable CLINIC_WIFI, named by the answers file /home/nurse/Downloads/ward.toml. It "
            "would go to the network “Clinic” on the device 00:24:E4:5C:1B:3C.",
        ),
        yes="Use it: I trust who wrote the file",
        no="Do not use it; ask me instead",
    )


async def ask_foreign(pilot: Pilot[Any]) -> None:
    await home(pilot)
    ask_question(pilot, foreign())
    await wait_for_screen(pilot, ConfirmForeignScreen)


def refused() -> InstallerError:
    return InstallerError(
        ErrorCode.NOTIFICATIONS_REFUSED,
        "The cloud does not take https://clinic.example/…/**** as an address for notifications (status 293).",
        "The cloud asks the address itself (HTTP HEAD) and wants an answer of 2xx: check that the receiver runs, that "
        "its certificate is good, and that no firewall or proxy keeps HEAD back.",
    )


async def save(pilot: Pilot[Any]) -> None:
    await finished(pilot)
    await pilot.press("s")
    await wait_for_screen(pilot, SaveAnswersDialog)


async def help_keys(pilot: Pilot[Any]) -> None:
    await find(pilot)
    await pilot.press("f1")
    await wait_for_screen(pilot, HelpDialog)


def _off() -> InstallerError:
    return InstallerError(
        ErrorCode.BLUETOOTH_OFF, "Bluetooth is switched off.", "Switch it on; the search goes on then."
    )


LATER = "A sleep mat has something to tell after the first night: its data comes the next morning."

# Each scene: the script of the engine, and how to get there.
SCENES: dict[str, tuple[Callable[[], Script], Scene]] = {
    "home": (Script, home),
    "home_offer": (lambda: Script(offers=offers(3)), home_offer),
    "home_dismiss": (lambda: Script(offers=offers(1)), home_dismiss),
    "find": (Script, find),
    "find_all": (Script, find_all),
    "find_filter": (Script, find_filter),
    "find_empty": (lambda: Script(sightings=Sightings(())), find_empty),
    "find_failed": (lambda: Script(sightings=Sightings((), _off())), find_failed),
    "device": (Script, to_device),
    "sync": (Script, to_sync),
    "sync_sleep": (Script, sync_sleep),
    "network": (Script, to_network),
    "card_with_two_readings": (Script, card_with_two_readings),
    "network_refused": (Script, network_refused),
    "network_other": (Script, network_other),
    "network_text": (Script, network_text),
    "passphrase": (Script, to_passphrase),
    "passphrase_short": (Script, passphrase_short),
    "passphrase_wrong": (lambda: Script(failures=1), wrong_passphrase),
    "sending": (Script, to_sending),
    "sending_encrypted": (lambda: Script(encrypted=True), to_sending),
    "sending_proved": (lambda: Script(encrypted=True, proved=True), to_sending),
    "unproved": (Script, ask_unproved),
    "foreign": (Script, ask_foreign),
    "pairing_digits": (Script, asking(ask_for_passkey, PasskeyScreen)),
    "pairing_number": (Script, asking(compare_numbers, CompareScreen)),
    "pairing_shown": (Script, asking(show_passkey, ShowPasskeyScreen)),
    "pairing_lost": (Script, asking(renew_bond, RenewBondScreen)),
    "press_the_button": (lambda: Script(hold=asyncio.Event(), hold_at="button"), press_the_button),
    "joining": (lambda: Script(hold=asyncio.Event()), joining),
    "stopping": (lambda: Script(hold=asyncio.Event()), stopping),
    "recover": (lambda: Script(failures=1), recover),
    "account": (Script, to_account),
    "account_name": (Script, account_name),
    "sign_in": (lambda: Script(accounts=()), sign_in),
    "confirm_account": (Script, confirm_account),
    "confirm_changed_account": (Script, confirm_changed_account),
    "measuring": (lambda: Script(hold=asyncio.Event(), hold_at="verify"), measuring),
    "finished": (Script, finished),
    "finished_waiting": (lambda: Script(later=LATER), finished_waiting),
    "finished_bluetooth": (Script, finished_bluetooth),
    "notify": (lambda: Script(offer=offer()), notify),
    "notify_address": (lambda: Script(offer=offer(proposal="https://clinic.example/hooks/{path}")), notify_address),
    "notify_refused": (
        lambda: Script(offer=offer(known="https://clinic.example/…/****", problem=refused())),
        notify,
    ),
    "save": (Script, save),
    "help": (Script, help_keys),
}

__all__ = ["PASSPHRASE", "SCENES", "SLEEP_ADDRESS", "Clock", "Scene", "running", "still", "without_fonts"]
