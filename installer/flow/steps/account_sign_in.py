"""Signing in during an installation: by a person, or by the lab's practice user; and whose account it was."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

from installer.cloud.whose_account import Decide, SignedInPerson, wrong_person
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import Notice, SignedIn, SignInNeeded
from installer.flow.questions import ConfirmAccount, SignIn

if TYPE_CHECKING:
    from installer.cloud.account import Account
    from installer.cloud.accounts import Accounts
    from installer.cloud.oauth_sign_in import SignInNotice, SignInSession
    from installer.flow.situation import Situation


async def sign_in(situation: Situation, accounts: Accounts, name: str, *, by_person: bool) -> Account:
    """Sign in and store the account as `name`.

    Nothing is stored before its person has said that it is the right account. Without a person, only what fits the
    stored accounts is taken. Raises SIGN_IN_FAILED, SIGN_IN_TIMEOUT, ACCOUNT_CHANGED, and the errors
    of the cloud and the store.
    """
    async with accounts.sign_in(name, seconds=situation.options.deadlines.sign_in) as session:
        session.on_notice = functools.partial(_tell, situation)
        if by_person:
            _show_link(situation, session)
            account = await _by_person(situation, session)
        else:
            situation.emit(Notice(code="signs_in_by_itself", text="The lab's user is signed in automatically."))
            account = await _by_robot(situation, session)
        person = session.person
    situation.emit(
        SignedIn(
            account=name,
            stored_in=account.stored_in,
            userid=account.userid,
            devices=person.devices if person is not None else None,
        )
    )
    return account


def _tell(situation: Situation, notice: SignInNotice) -> None:
    situation.emit(Notice(code=notice.code, text=notice.text))


def _show_link(situation: Situation, session: SignInSession) -> None:
    situation.emit(
        SignInNeeded(
            account=session.name, url=session.authorize_url, short_url=session.short_url, seconds=session.seconds
        )
    )


async def _by_person(situation: Situation, session: SignInSession) -> Account:
    problem: InstallerError | None = None
    robot = situation.environment.sign_in_lab_user

    def new_link() -> tuple[str, str]:
        session.new_link()
        _show_link(situation, session)
        return session.authorize_url, session.short_url

    async def sign_in_lab_user() -> None:
        if robot is not None:
            await robot(session.short_url)

    while True:
        question = SignIn(
            account=session.name,
            url=session.authorize_url,
            short_url=session.short_url,
            seconds=session.seconds,
            open_browser=session.open_browser,
            new_link=new_link,
            warning=lambda: session.last_notice,
            sign_in_lab_user=None if robot is None else sign_in_lab_user,
            problem=problem,
        )
        pasting = asyncio.ensure_future(situation.ask(question))
        try:
            return await session.result(pasting, _confirmed_by_person(situation))
        except InstallerError as error:
            # After a wrong paste, the listener still waits for the browser.
            if not error.data.get("paste"):
                raise
            problem = error
        finally:
            pasting.cancel()
            await asyncio.gather(pasting, return_exceptions=True)


def _confirmed_by_person(situation: Situation) -> Decide:
    async def decide(person: SignedInPerson) -> None:
        if not person.is_known and not await situation.ask(ConfirmAccount(person=person)):
            raise wrong_person(person)

    return decide


async def _by_robot(situation: Situation, session: SignInSession) -> Account:
    robot = situation.environment.sign_in_lab_user
    if robot is None:
        raise InstallerError(ErrorCode.INTERNAL, "Nobody can sign in.", "This is a defect; report it.")
    result = asyncio.ensure_future(session.result(None))
    try:
        await robot(session.short_url)
        return await result
    finally:
        result.cancel()
        await asyncio.gather(result, return_exceptions=True)
