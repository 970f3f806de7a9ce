"""The link step: choose the account, and the progress until the device is in it."""

# ruff: noqa: D102 (hooks of Textual and of the base classes, which document them)

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from textual import on
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Input

from installer.answers import LinkAnswer
from installer.cloud.token_store import ListedAccount
from installer.flow.questions import ChooseAccount
from screens.cards import Card, CardChoice, Cards
from screens.installation_state import InstallationState, Mark, ProgressView
from screens.labels import shown
from screens.question_screen import QuestionScreen
from screens.widgets import Callout, Text

# Keys of cards; no account can have these names.
NEW_ACCOUNT_KEY = "\n"
LINK_LATER_KEY = "\n\n"


class AccountScreen(QuestionScreen[ChooseAccount]):
    """Asks for the account: a stored one, or a new name, which means to sign in."""

    def heading(self) -> str:
        return "Which account should get the data?"

    def hint(self) -> str:
        host = urlsplit(self.question.cloud).netloc or self.question.cloud
        return f"Accounts of {shown(host)}."

    def body(self) -> Iterable[Widget]:
        choices = [CardChoice(a.name, shown(a.name), self._account_text(a)) for a in self.question.accounts]
        title = "Sign in with another account" if choices else "Sign in"
        choices.append(CardChoice(NEW_ACCOUNT_KEY, title, "In a browser on this computer or on your phone."))
        if self.question.later:
            text = "The user of each device links it, by the code on its label."
            choices.append(CardChoice(LINK_LATER_KEY, "Link them later", text))
        yield Cards(choices)
        with Vertical(id="new-account"):
            yield Text("A name for it on this computer, so that it can be chosen the next time:")
            yield Input(self._unused_name(), id="account-name", max_length=64)
            yield Callout("", "error", id="account-problem")

    @staticmethod
    def _account_text(account: ListedAccount) -> str:
        user = f"User {shown(account.userid)}. " if account.userid else ""
        if account.damage is not None:
            return f"{user}Damaged: {account.damage.what} Choose it to sign in again."
        return f"{user}Signed in; kept in {shown(account.stored_in)}."

    def _unused_name(self) -> str:
        taken = {a.name for a in self.question.accounts}
        return next(n for n in ["default", *(f"account-{i}" for i in range(2, len(taken) + 3))] if n not in taken)

    def on_mount(self) -> None:
        self.query_one("#new-account").display = False
        self.query(Card).first().focus()

    @on(Card.Chosen)
    def _chosen(self, event: Card.Chosen) -> None:
        if event.choice.key == LINK_LATER_KEY:
            self.answer(LinkAnswer(later=True))
        elif event.choice.key != NEW_ACCOUNT_KEY:
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
            problem = "The name contains a control character."
        elif name in {a.name for a in self.question.accounts}:
            problem = "There is an account with this name already; choose it above."
        self.query_one("#account-problem", Callout).show_text(problem)
        if not problem:
            self.answer(LinkAnswer(account=name))


def progress_view(state: InstallationState) -> ProgressView:
    """The progress until the device is in the account."""
    signed_in = Mark.DONE if state.signed_in or state.linking or state.linked else Mark.NOW
    linked = Mark.DONE if state.linked else Mark.NOW if signed_in is Mark.DONE else Mark.TODO
    stages = ((signed_in, "Signed in"), (linked, "The device is in the account"))
    if state.linking is None or state.linked is not None:
        title = "The device is in your account" if state.linked else "Connecting to your account"
        return ProgressView(title, "", stages)
    if state.linking.way == "link":
        return ProgressView("Linking the device to your account", "", stages)
    hint = "The cloud lets only its own app add devices. As soon as the device is there, it goes on by itself."
    return ProgressView("Waiting until the device shows up in your account", hint, stages, state.todo)
