"""Whose account was signed in is shown before anything is stored or linked; who does not fit the name is not taken."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from installer import output
from installer.answers import LinkAnswer
from installer.cli import terminal_lines
from installer.cli.prompts import prompt
from installer.cloud.account import Account
from installer.cloud.lab_sign_in import sign_in_by_form
from installer.cloud.whose_account import Decide, SignedInPerson, accept_what_fits
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import SignedIn
from installer.events.json_lines import ADAPTER
from installer.flow.front_end import Recovery
from installer.flow.questions import ChooseAccount, ConfirmAccount, SignIn
from tests.flow.conftest import home, world
from tests.flow.support import Front, LabWorld, answers_for, install
from tests.flow.test_accounts import elsewhere, log_in
from tests.installer.cloud.conftest import _impatient, _no_keyring
from tests.installer.cloud.world import EMAIL, PASSWORD, SCALE, Lab, everything_in, in_time
from tests.installer.cloud.world import lab as cloud_lab

__all__ = ["_impatient", "_no_keyring", "elsewhere", "home", "world"]

OTHER = "kim@example.org"
USERS = [
    {"email": EMAIL, "password": PASSWORD.get_secret_value(), "devices": [SCALE]},
    {"email": OTHER, "password": PASSWORD.get_secret_value()},
]


@pytest.fixture
async def practice(tmp_path: Path) -> AsyncIterator[Lab]:
    """A cloud with two people."""
    async with cloud_lab(tmp_path / "accounts", {"users": USERS}) as running:
        yield running


async def sign_in(practice: Lab, name: str, email: str, decide: Decide | None = None) -> Account:
    async with practice.accounts.sign_in(name, seconds=20) as session:
        await sign_in_by_form(session.short_url, email, PASSWORD)
        return await in_time(session.result(decide=decide))  # type: ignore[no-any-return]


async def stored(practice: Lab) -> list[tuple[str, str]]:
    return [(account.name, account.userid) for account in await practice.accounts.stored()]


async def test_who_it_is_is_known_before_anything_is_stored(practice: Lab) -> None:
    seen: list[tuple[SignedInPerson, str]] = []

    async def look(person: SignedInPerson) -> None:
        seen.append((person, everything_in(practice.folder)))

    account = await sign_in(practice, "alex", EMAIL, look)
    [(person, on_disk)] = seen
    assert on_disk == ""
    assert person.userid == account.userid == "40000001"
    assert person.devices == ("Body+",)
    assert "user 40000001 of the lab's cloud; devices on that account: Body+" in person.text
    assert person.warning == ""
    assert (await sign_in(practice, "kim", OTHER)).userid != account.userid


async def test_a_no_stores_nothing(practice: Lab) -> None:
    async def refuse(person: SignedInPerson) -> None:
        raise InstallerError(ErrorCode.SIGN_IN_FAILED, "no", "no")

    with pytest.raises(InstallerError):
        await sign_in(practice, "alex", EMAIL, refuse)
    assert await stored(practice) == []
    assert everything_in(practice.folder) == ""


async def test_another_person_does_not_take_over_a_name_unless_that_is_allowed(practice: Lab) -> None:
    await sign_in(practice, "ward", EMAIL)
    before = everything_in(practice.folder)
    with pytest.raises(InstallerError) as caught:
        await sign_in(practice, "ward", OTHER)
    error = caught.value
    assert (error.code, error.exit_status) == (ErrorCode.ACCOUNT_CHANGED, 94)
    assert "belongs to user 40000001" in error.what
    assert "--replace" in error.todo
    assert (error.data["stored_userid"], error.data["userid"]) == ("40000001", "40000002")
    assert everything_in(practice.folder) == before
    # Each option allows one thing.
    with pytest.raises(InstallerError):
        await sign_in(practice, "ward", OTHER, accept_what_fits(second_name=True))
    await sign_in(practice, "ward", OTHER, accept_what_fits(replace=True))
    assert await stored(practice) == [("ward", "40000002")]


async def test_one_person_gets_no_second_name_unless_that_is_allowed(practice: Lab) -> None:
    await sign_in(practice, "alex", EMAIL)
    with pytest.raises(InstallerError) as caught:
        await sign_in(practice, "kim", EMAIL, accept_what_fits(replace=True))
    assert caught.value.code is ErrorCode.ACCOUNT_CHANGED
    assert "“alex”" in caught.value.what
    assert "--second-name" in caught.value.todo
    assert await stored(practice) == [("alex", "40000001")]
    await sign_in(practice, "kim", EMAIL, accept_what_fits(second_name=True))
    # Whoever has both names may renew each without being asked.
    await sign_in(practice, "alex", EMAIL)
    await sign_in(practice, "kim", EMAIL)
    assert await stored(practice) == [("alex", "40000001"), ("kim", "40000001")]


async def test_a_damaged_account_still_says_whose_it_was(practice: Lab) -> None:
    await sign_in(practice, "ward", EMAIL)
    [file] = practice.folder.glob("*.json")
    file.chmod(0o644)  # its tokens are not used any more, and a sign-in replaces them
    with pytest.raises(InstallerError) as caught:
        await sign_in(practice, "ward", OTHER)
    assert caught.value.code is ErrorCode.ACCOUNT_CHANGED
    assert (await sign_in(practice, "ward", EMAIL)).userid == "40000001"


def test_what_the_cloud_says_of_a_person_cannot_draw_on_the_terminal() -> None:
    person = SignedInPerson("a", "the cloud", "7\x1b[2J", ("\x1b]0;x\x07",) * 9, "8\n9", ("b\x1b[1m",))
    assert (person.text + person.warning).isprintable()
    assert "and 4 more" in person.text


# `account login` and an installation.


def test_a_script_that_signs_in_the_wrong_person_ends_with_94(
    world: LabWorld, elsewhere: list[str], home: Path
) -> None:
    status, said = log_in(world, elsewhere, "clinic")
    assert status == 0, said
    assert "Signed in: user 40000001" in said
    status, said = log_in(world, elsewhere, "second")
    assert status == ErrorCode.ACCOUNT_CHANGED.exit_status, said
    assert "This person is stored already, as “clinic”" in said


async def test_an_installation_tells_whose_account_it_is_before_it_links(world: LabWorld, home: Path) -> None:
    ended, front = await install(answers_for(world, "move", "bluetooth"))
    assert ended.outcome == "installed", front.text()
    [signed_in] = front.of(SignedIn)
    assert signed_in.userid == "40000001"
    assert signed_in.devices == ()
    kinds = [event.event for event in front.events]
    assert kinds.index("signed_in") < kinds.index("linking")
    assert "userid" in str(ADAPTER.json_schema())


async def test_a_person_who_says_no_links_nothing(world: LabWorld, home: Path) -> None:
    async def in_the_browser(question: SignIn) -> str:
        await sign_in_by_form(question.short_url, world.state.user.email, world.state.user.password)
        await asyncio.Event().wait()
        return ""

    asked: list[ConfirmAccount] = []

    def no(question: ConfirmAccount) -> bool:
        asked.append(question)
        return False

    front = Front(answers={ChooseAccount: LinkAnswer(account="mine"), SignIn: in_the_browser, ConfirmAccount: no})
    front.recoveries = [Recovery.STOP]
    ended, _ = await install(answers_for(world, "move", "bluetooth"), front, non_interactive=False)
    assert ended.outcome != "installed"
    assert asked[0].person.userid == "40000001"
    assert front.failures[0].error.code is ErrorCode.SIGN_IN_FAILED
    assert not world.device("move")["linked"]
    assert not list(home.rglob("lab-accounts/*.json"))


# The prompts of a terminal.

PERSON = SignedInPerson("ward", "the cloud", "2", ("Body+",), "")
ANOTHER = SignedInPerson("ward", "the cloud", "2", ("Body+",), "1")


@pytest.mark.parametrize(
    ("person", "typed", "answer"),
    [(PERSON, "", True), (PERSON, "n", False), (ANOTHER, "", False), (ANOTHER, "y", True), (ANOTHER, "n", False)],
)
async def test_what_does_not_fit_is_not_confirmed_by_enter(
    person: SignedInPerson, typed: str, answer: bool, terminal: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.write(typed + "\n")
    terminal.flush()
    assert await prompt(ConfirmAccount(person=person)) is answer
    assert "user 2 of the cloud" in capsys.readouterr().err


async def test_r_makes_a_new_link(terminal: Any) -> None:
    made: list[str] = []

    def new_link() -> tuple[str, str]:
        made.append("link")
        return "", ""

    terminal.write("r\nthe address\n")
    terminal.flush()
    question = SignIn(account="a", url="u", short_url="s", seconds=1, new_link=new_link)
    assert await prompt(question) == "the address"
    assert made == ["link"]


def test_a_prompt_that_was_withdrawn_does_not_swallow_the_answer_to_the_next_one(
    terminal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    got: list[str] = []
    first = threading.Thread(target=lambda: got.append(terminal_lines.ask_line("paste: ")), daemon=True)
    first.start()
    wait_for("paste: ", screen)
    second = threading.Thread(target=lambda: got.append(terminal_lines.ask_line("is it you? ")), daemon=True)
    second.start()
    wait_for("is it you? ", screen)
    terminal.write("y\n")
    terminal.flush()
    for thread in (first, second):
        thread.join(20)
    assert got == ["y", "y"]


def test_a_terminal_that_has_gone_ends_every_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    gone, entered = threading.Event(), threading.Event()
    failed: list[str] = []

    def read(_text: str) -> str:
        entered.set()
        gone.wait(20)
        raise OSError(errno.EIO, "Input/output error")

    def ask(text: str) -> None:
        try:
            terminal_lines.ask_line(text)
        except OSError:
            failed.append(text)

    monkeypatch.setattr(output, "ask_line", read)
    monkeypatch.setattr(sys, "stderr", screen := io.StringIO())
    threads = [threading.Thread(target=ask, args=(text,), daemon=True) for text in ("paste: ", "is it you? ")]
    threads[0].start()
    assert entered.wait(20)
    threads[1].start()
    wait_for("is it you? ", screen)
    gone.set()
    for thread in threads:
        thread.join(5)
    assert sorted(failed) == ["is it you? ", "paste: "]


def wait_for(text: str, screen: io.StringIO) -> None:
    end = time.monotonic() + 20
    while text not in screen.getvalue() and time.monotonic() < end:
        time.sleep(0.01)
    assert text in screen.getvalue()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a person types; standard input of this process."""
    reading, writing = os.pipe()
    monkeypatch.setattr(sys, "stdin", os.fdopen(reading))
    with os.fdopen(writing, "w") as keyboard:
        yield keyboard
