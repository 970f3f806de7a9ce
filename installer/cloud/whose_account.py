"""Whose account was signed in, and whether that fits the name under which it is to be stored.

A browser may still be signed in as somebody else, or somebody else may have used the link. So a person sees the user's
number and devices before anything is stored. The cloud tells no name and no email (`withings-cloud.md` §1.3, §2.1).
"""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from installer.errors import ErrorCode, InstallerError
from installer.text import printable

if TYPE_CHECKING:
    from installer.cloud.token_store import ListedAccount

MAX_DEVICES_SHOWN = 5


@dataclass(frozen=True)
class SignedInPerson:
    """Who signed in to be stored as `account`.

    `userid`: the cloud's number of the user, empty if it did not say. `devices`: the names of the devices on the
    account; None: not known. `stored_userid`: whose tokens are stored under this name; empty: nobody's, or not known.
    `other_names`: the other names under which this user is stored.
    """

    account: str
    cloud: str
    userid: str
    devices: tuple[str, ...] | None = None
    stored_userid: str = ""
    other_names: tuple[str, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether it is the person whose tokens the name holds already."""
        return bool(self.userid) and self.userid == self.stored_userid

    @property
    def is_another(self) -> bool:
        """Whether the name holds the tokens of another person."""
        return bool(self.stored_userid) and self.userid != self.stored_userid

    @property
    def has_other_name(self) -> bool:
        """Whether this person is stored under another name, and would get a second one."""
        return bool(self.other_names) and self.userid != self.stored_userid

    @property
    def text(self) -> str:
        """Who it is, as one line: the user's number and devices."""
        user = f"user {printable(self.userid, 40)}" if self.userid else "a user whose number the cloud does not say"
        if self.devices is None:
            return f"{user} of {self.cloud}"
        shown = ", ".join(printable(name, 40) for name in self.devices[:MAX_DEVICES_SHOWN]) or "none"
        more = len(self.devices) - MAX_DEVICES_SHOWN
        return f"{user} of {self.cloud}; devices on that account: {shown}{f' and {more} more' if more > 0 else ''}"

    @property
    def warning(self) -> str:
        """What does not fit, or an empty text."""
        if self.is_another:
            return (
                f"Account “{printable(self.account)}” belongs to user {printable(self.stored_userid, 40)}. "
                f"Now another person has signed in: {self.text}."
            )
        if self.has_other_name:
            names = ", ".join(f"“{printable(name)}”" for name in self.other_names)
            return f"This person is stored already, as {names}: {self.text}."
        return ""


# Raises an InstallerError if the account is not to be stored.
Decide = Callable[[SignedInPerson], Awaitable[None]]


def accept_what_fits(*, replace: bool = False, second_name: bool = False) -> Decide:
    """For a script: another person may take over a name (`replace`), a person may have two names (`second_name`)."""

    async def decide(person: SignedInPerson) -> None:
        if (person.is_another and not replace) or (person.has_other_name and not second_name):
            raise account_changed(person)

    return decide


def account_changed(person: SignedInPerson) -> InstallerError:
    """ACCOUNT_CHANGED: the person does not fit the name. Nothing was stored."""
    name = shlex.quote(person.account)
    if person.is_another:
        todo = (
            f"Sign in as the person to whom it belongs, or store this one under a name of its own. If "
            f"“{printable(person.account)}” is to belong to this person from now on: device-installer account login "
            f"{name} --replace."
        )
        reason = "another_person"
    else:
        todo = (
            "Sign out of the cloud in the browser and sign in as the person whom you mean, or use the name that is "
            f"stored. If the same person is to have both names: device-installer account login {name} --second-name."
        )
        reason = "second_name"
    return InstallerError(
        ErrorCode.ACCOUNT_CHANGED,
        f"{person.warning} Nothing was stored.",
        todo,
        account=person.account,
        userid=person.userid,
        stored_userid=person.stored_userid,
        other_names=list(person.other_names),
        reason=reason,
    )


def wrong_person(person: SignedInPerson) -> InstallerError:
    """SIGN_IN_FAILED: a person said that this is not the account that they mean."""
    return InstallerError(
        ErrorCode.SIGN_IN_FAILED,
        f"It was the account of {person.text}. Nothing was stored.",
        "Sign out of the cloud in the browser, or use a private window. Then sign in again as the person you mean.",
        account=person.account,
        userid=person.userid,
        wrong_person=True,
    )


def person_of(
    account: str, cloud: str, userid: str, devices: tuple[str, ...] | None, stored: list[ListedAccount]
) -> SignedInPerson:
    """The person, compared with the accounts that are stored."""
    before = next((one.userid for one in stored if one.name == account), "")
    others = tuple(one.name for one in stored if userid and one.userid == userid and one.name != account)
    return SignedInPerson(account, cloud, userid, devices, before, others)
