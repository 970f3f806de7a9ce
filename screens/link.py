"""Link: which account, and the wait until the device is in it."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from textual import on
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Input

from installer.answers import LinkAnswer
from installer.flow.questions import ChooseAccount
from screens.cards import Card, Cards, Choice
from screens.frame import QuestionScreen
from screens.progress import View
from screens.run_state import Mark, RunState
from screens.widgets import Callout, Text, shown

NEW = "\n"  # no account has this name
LATER = "\n\n"


class AccountScreen(QuestionScreen[ChooseAccount]):
    """Asks for the account: a stored one, or a new name, which means to sign in."""

    def heading(self) -> str:
        return "Which account shall get the data?"

    def hint(self) -> str:
        host = urlsplit(self.question.cloud).netloc or self.question.cloud
        return f"Accounts of {shown(host)}."

    def body(self) -> Iterable[Widget]:
        choices = [Choice(a.name, shown(a.name), self._where(a.stored_in, a.userid)) for a in self.question.accounts]
        title = "Sign in with another account" if choices else "Sign in"
        choices.append(Choice(NEW, title, "In a browser on this computer or on your phone."))
        if self.question.later:
            words = "The user of each device links it, by the code on its label."
            choices.append(Choice(LATER, "Link them later", words))
        yield Cards(choices)
        with Vertical(id="new-account"):
            yield Text("A name for it on this computer, so that it can be chosen the next time:")
            yield Input(self._free_name(), id="account-name", max_length=64)
            yield Callout("", "error", id="account-problem")

    @staticmethod
    def _where(stored_in: str, userid: str) -> str:
        user = f"User {shown(userid)}. " if userid else ""
        return f"{user}Signed in; kept in {shown(stored_in)}."

    def _free_name(self) -> str:
        taken = {a.name for a in self.question.accounts}
        return next(n for n in ["default", *(f"account-{i}" for i in range(2, len(taken) + 3))] if n not in taken)

    def on_mount(self) -> None:
        self.query_one("#new-account").display = False
        self.query(Card).first().focus()

    @on(Card.Chosen)
    def _chosen(self, event: Card.Chosen) -> None:
        if event.choice.key == LATER:
            self.answer(LinkAnswer(later=True))
        elif event.choice.key != NEW:
            self.answer(LinkAnswer(account=event.choice.key))
        elif not self.question.accounts:
            self.answer(LinkAnswer())
        else:
            self.query_one("#new-account").display = True
            self.query_one("#account-name", Input).focus()

    @on(Input.Submitted)
    def _named(self, event: Input.Submitted) -> None:
        name = event.value.strip()
        problem = ""
        if not name:
            problem = "The name is empty."
        elif any(ord(c) < 32 for c in name):
            problem = "The name holds a control character."
        elif name in {a.name for a in self.question.accounts}:
            problem = "There is an account with this name already; choose it above."
        self.query_one("#account-problem", Callout).say(problem)
        if not problem:
            self.answer(LinkAnswer(account=name))


def view(state: RunState) -> View:
    """The wait until the device is in the account."""
    signed_in = Mark.DONE if state.signed_in or state.linking or state.linked else Mark.NOW
    linked = Mark.DONE if state.linked else Mark.NOW if signed_in is Mark.DONE else Mark.TODO
    stages = ((signed_in, "Signed in"), (linked, "The device is in the account"))
    if state.linking is None or state.linked is not None:
        title = "The device is in your account" if state.linked else "Connecting to your account"
        return View(title, "", stages)
    if state.linking.way == "link":
        return View("Linking the device to your account", "", stages)
    hint = "The cloud lets only its own app add devices. As soon as the device is there, it goes on by itself."
    return View("Waiting until the device shows up in your account", hint, stages, state.todo)
