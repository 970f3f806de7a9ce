"""Asks the questions of an installation as plain prompts on the terminal, for the steps of `--ask`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from pydantic import SecretStr

from installer import output
from installer.answers import FindAnswer, LinkAnswer, NetworkAnswer, ProvisionAnswer, SyncAnswer
from installer.bluetooth.pairing import is_passkey
from installer.bluetooth.sighting import Sighting
from installer.cli.terminal_lines import ask_line
from installer.errors import ErrorCode, InstallerError
from installer.flow.front_end import Cancelled, Failure, Recovery
from installer.flow.pairing_questions import AskPasskey, CompareNumbers, RenewBond, ShowPasskey
from installer.flow.questions import (
    AcceptUnproved,
    AskPassphrase,
    AskProof,
    ChooseAccount,
    ChooseDevice,
    ChooseNetwork,
    ChooseReading,
    ChooseSpelling,
    ChooseSync,
    ConfirmAccount,
    ConfirmDevice,
    ConfirmForeign,
    ConfirmSending,
    FollowGuide,
    OfferNotifications,
    Question,
    SignIn,
)
from installer.qr.device_setup_code import DevicePayload
from installer.storage.hidden_prompt import HiddenPrompt
from installer.text import capitalized, in_quotes, quoted
from installer.text.written_by_people import without_mark
from installer.wifi.card_readings import CardReading
from installer.wifi.credentials import passphrase_problem, passphrase_warning
from installer.wifi.near_names import difference
from installer.wifi.networks import Network, Security, check_network, check_typed_ssid

T = TypeVar("T")
SCAN_SECONDS = 4.0


async def prompt(question: Question) -> Any:
    """Ask one question on the terminal. Raises `Cancelled` at the end of input, or after a no."""
    if question.problem is not None:
        output.print_message(str(question.problem))
    match question:
        case ChooseDevice():
            return await _device(question)
        case ConfirmDevice():
            seen = question.sighting
            return await _in_thread(_confirm, f"Set up {seen.address} {quoted(seen.name)}, {question.model.name}?")
        case ChooseSync():
            return await _in_thread(_sync, question)
        case ChooseNetwork():
            return await _in_thread(_network, question)
        case ChooseReading():
            return await _in_thread(_reading, question)
        case ChooseSpelling():
            return await _in_thread(_spelling, question)
        case AskProof():
            return await _proof(question)
        case AskPasskey():
            return await _passkey(question)
        case CompareNumbers():
            output.print_message(f"{_device_line(question)} is being paired, and shows a number of six digits.")
            return await _in_thread(_yes, f"Is it {question.number}?")
        case ShowPasskey():
            output.print_message(f"{_device_line(question)} is being paired.")
            digits = question.passkey.get_secret_value()
            await _in_thread(_line, f"Type {digits} on the device, and confirm it there (Enter here when done): ")
            return True
        case RenewBond():
            output.print_message(question.consequence)
            return await _in_thread(_yes, f"Pair {_device_line(question)} anew?")
        case AskPassphrase():
            if question.device is not None:
                output.print_message(f"The device that gets it: {question.device.whole_text}.")
            return await _passphrase_or_host(question)
        case ConfirmForeign():
            for line in question.lines:
                output.print_message(line)
            return await _in_thread(_yes, question.title)
        case ConfirmSending():
            if question.device is not None:
                output.print_message(f"The device that gets them: {question.device.whole_text}.")
            output.print_message(question.protection)
            await _in_thread(_confirm, f"Send the credentials of {question.network.in_quotes}?")
            return ProvisionAnswer()
        case AcceptUnproved():
            return await _in_thread(_unproved, question)
        case ChooseAccount():
            return await _in_thread(_account, question)
        case OfferNotifications():
            return await _in_thread(_notifications, question)
        case FollowGuide():
            return await _guide(question)
        case SignIn():
            return await _pasted_address(question)
        case ConfirmAccount():
            return await _in_thread(_right_account, question)
        case _:
            raise InstallerError(
                ErrorCode.INTERNAL, f"No prompt for {type(question).__name__}.", "This is a defect; report it."
            )


async def choose_recovery(failure: Failure) -> Recovery:
    """Ask what to do about a failure."""
    output.print_message(f"{failure.error.what} {failure.error.todo}")
    names = {Recovery.RETRY: "try again", Recovery.CHANGE: "change it", Recovery.STOP: "stop"}
    return await _in_thread(pick, "What now?", failure.recoveries, lambda r: names[r])


async def _in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Run a blocking prompt in a daemon thread, so that a prompt without an answer does not block the program's end."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def set_outcome(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]
        else:
            future.set_exception(error)

    def call() -> None:
        try:
            result = function(*arguments)
        except BaseException as error:  # noqa: BLE001 - a failure of the thread is one of the prompt, not a wait
            outcome: tuple[T | None, BaseException | None] = (None, error)
        else:
            outcome = (result, None)
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(set_outcome, *outcome)

    threading.Thread(target=call, daemon=True).start()
    return await future


async def _device(question: ChooseDevice) -> FindAnswer:
    output.print_message("Scanning for devices …")
    await asyncio.sleep(SCAN_SECONDS)
    while True:
        if question.sightings.failure is not None:
            raise question.sightings.failure
        known = [s for s in question.sightings.current() if s.detection.model_id]
        if question.wanted is not None:
            known = [s for s in known if s.detection.model_id == question.wanted.id]
        known.sort(key=lambda s: (-s.rssi, s.address))
        if known:
            chosen = await _in_thread(pick, "Which device?", known, _sighting_line)
            return FindAnswer(device=chosen.address)
        await _in_thread(_line, "No device within range. Press Enter to scan again (Ctrl-C stops): ")
        await asyncio.sleep(SCAN_SECONDS)


def _sighting_line(sighting: Sighting) -> str:
    name = quoted(sighting.name) or "without a name"
    return f"{sighting.address}  {sighting.rssi} dBm  {sighting.detection.model_id}  {name}"


def _sync(question: ChooseSync) -> SyncAnswer:
    for choice in question.choices:
        if not choice.allowed:
            output.print_message(f"Not possible: {choice.method.label}. {choice.reason}")
    allowed = [c for c in question.choices if c.allowed]
    return SyncAnswer(method=pick("How will it sync?", allowed, lambda c: c.method.label).method)


def _network(question: ChooseNetwork) -> NetworkAnswer:
    other = Network(ssid="another network, by name")
    chosen = pick("Which network?", [*question.networks, other], _network_line)
    if chosen is not other:
        check_network(chosen)
        return NetworkAnswer(ssid=chosen.ssid, security=chosen.security)
    while True:
        typed = _line("Name of the network (SSID): ")
        try:
            check_typed_ssid(typed)
        except InstallerError as error:
            output.print_message(str(error))
        else:
            return NetworkAnswer(ssid=typed, hidden=True)


def _reading(question: ChooseReading) -> NetworkAnswer:
    chosen = pick(
        "The code of the network can be read in several ways. Which one is right?",
        question.readings.readings,
        lambda reading: reading_line(reading, heard=reading.ssid in question.heard),
    )
    return NetworkAnswer.from_reading(chosen)


def _spelling(question: ChooseSpelling) -> str:
    near = [network.ssid for network in question.heard]
    return pick(
        f"{capitalized(question.who)} does not hear {in_quotes(question.typed)}. Which name do you mean?",
        [*near, question.typed],
        lambda ssid: f"{in_quotes(ssid)}, {_spelling_words(question, ssid)}",
    )


def _spelling_words(question: ChooseSpelling, ssid: str) -> str:
    """What is to be known of one of the names."""
    if ssid == question.typed:
        return "as it was given: send it all the same"
    return f"which {question.who} hears: the names differ in {difference(question.typed, ssid)}"


def reading_line(reading: CardReading, *, heard: bool) -> str:
    """One reading of a card for a list: the whole SSID, how long the passphrase is, whether the network is in reach."""
    return f"{reading.network.in_quotes}  {reading.summary}{', in reach' if heard else ''}  ({reading.how})"


def _network_line(network: Network) -> str:
    if network.rssi is None:
        return network.label
    return f"{network.label}  {network.security}  {network.rssi} dBm"


async def _passphrase_or_host(question: AskPassphrase) -> SecretStr:
    if question.host_passphrase is not None and await _in_thread(
        _yes, f"This computer uses {question.network.in_quotes} too. Use its passphrase?"
    ):
        try:
            return await question.host_passphrase()
        except InstallerError as error:
            output.print_message(f"{error.what} Type it instead.")
    return await _passphrase(question.network)


async def _passphrase(network: Network) -> SecretStr:
    while True:
        typed = await _hidden_line(f"Passphrase of {network.in_quotes} (hidden): ")
        problem = passphrase_problem(typed, network.security if typed else Security.UNKNOWN)
        if problem is None:
            if warning := passphrase_warning(typed, network.security):
                output.print_message(warning)
            return SecretStr(typed)
        output.print_message(problem)


async def _proof(question: AskProof) -> SecretStr | DevicePayload:
    from installer.qr.classify import proof_in

    if question.address:
        output.print_message(f"The device: {question.address} {quoted(question.name)}, {question.model.name}.")

    while True:
        typed = await _hidden_line(
            "Proof of possession as printed on the device, or the text of its QR code (hidden): "
        )
        try:
            return proof_in(typed, question.name)
        except InstallerError as error:
            output.print_message(str(error))


async def _passkey(question: AskPasskey) -> SecretStr:
    output.print_message(f"{_device_line(question)} wants to be paired, and shows six digits now.")
    while True:
        typed = (await _hidden_line(f"The six digits, within {question.seconds:.0f} s (hidden): ")).replace(" ", "")
        if is_passkey(typed):
            return SecretStr(typed)
        output.print_message("These are not six digits. Zeros at the start count.")


def _device_line(question: AskPasskey | CompareNumbers | ShowPasskey | RenewBond) -> str:
    return f"{question.address} {quoted(question.name)}, {question.model.name}"


def _account(question: ChooseAccount) -> LinkAnswer:
    if question.accounts:
        damaged = {a.name for a in question.accounts if a.damage is not None}
        for account in question.accounts:
            if account.damage is not None:
                output.print_message(f"{account.damage.what} To choose it means to sign in again.")
        names = [a.name for a in question.accounts] + [""]
        chosen = pick(
            "Which account?",
            names,
            lambda n: (f"{n} (damaged)" if n in damaged else n) or "sign in to another one",
        )
        if chosen:
            return LinkAnswer(account=chosen)
    return LinkAnswer(account=_line("Name for the account [default]: ").strip() or "default")


def _unproved(question: AcceptUnproved) -> bool:
    device = f"{question.address} {quoted(question.name) or question.model.name}"
    output.print_message(
        f"{device} has not proved itself: {question.asked}, and the device offers {question.offered}. "
        f"{question.consequence}"
    )
    return _yes("Send the passphrase all the same?")


def _notifications(question: OfferNotifications) -> bool | str:
    if question.known and question.problem is None:
        typed = _line(f"Send notifications of new data ({question.kinds}) to {question.known}? [Y/n] ")
        return typed.strip().lower() in ("", "y", "yes")
    return _line(f"Address for notifications of new data ({question.kinds}; Enter: none): ").strip() or False


async def _guide(question: FollowGuide) -> bool:
    """The event has printed the steps. The wait also ends when the device is in the account."""
    await _in_thread(_line, f"Press Enter when {question.app} has finished (or just wait): ")
    return True


async def _pasted_address(question: SignIn) -> str:
    again = ", or r for a new link" if question.new_link is not None else ""
    while True:
        typed = await _in_thread(
            _line, f"Sign in in the browser, or paste the address where the browser ended{again}: "
        )
        if question.new_link is None or typed.strip().lower() != "r":
            return typed
        question.new_link()


def _right_account(question: ConfirmAccount) -> bool:
    person = question.person
    output.print_message(person.warning or f"Signed in: {person.text}.")
    if person.warning:
        return _yes(f"Store it as “{person.account}” all the same?")
    return _line(f"Is this the account that you mean, to be stored as “{person.account}”? [Y/n] ").strip().lower() in (
        "",
        "y",
        "yes",
    )


def _yes(text: str) -> bool:
    return _line(f"{text} [y/N] ").strip().lower() in ("y", "yes")


def _confirm(text: str) -> bool:
    if _line(f"{text} [Y/n] ").strip().lower() in ("", "y", "yes"):
        return True
    raise Cancelled


def pick(title: str, items: Sequence[T], label: Callable[[T], str]) -> T:
    """The item that a person chooses from a numbered list. Raises `Cancelled` at the end of input."""
    output.print_message(title)
    for number, item in enumerate(items, 1):
        output.print_message(f"  {number}. {label(item)}")
    while True:
        text = _line(f"Number [1-{len(items)}]: ").strip() or "1"
        if text.isdecimal() and 1 <= int(text) <= len(items):
            return items[int(text) - 1]
        output.print_message(f"Type a number from 1 to {len(items)}.")


def _line(text: str) -> str:
    return without_mark(_end_is_cancel(lambda: ask_line(text)))


async def _hidden_line(text: str) -> str:
    """A line that is not shown. If this is cancelled, the prompt is withdrawn, and the terminal is as before."""
    with HiddenPrompt(text) as hidden:
        return without_mark(await _in_thread(_end_is_cancel, hidden.read))


def _end_is_cancel(read: Callable[[], str]) -> str:
    try:
        return read()
    except EOFError:
        raise Cancelled from None
