"""Part of linking: the offer that the cloud tells of new data. Whatever becomes of it, the device stays linked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from installer.answers import LinkAnswer, StepKey
from installer.errors import ErrorCode, InstallerError
from installer.events.notifications import NotificationsSubscribed
from installer.events.stream import Notice
from installer.flow.questions import OfferNotifications
from installer.flow.steps.step import Situation
from installer.storage.secret_references import SecretRef

if TYPE_CHECKING:
    from installer.notifications.setup import NotificationSetup

# Where to: the address that is known here, none, one that may be kept, one that may not, or the place of one.
Choice = bool | str | SecretStr | SecretRef


async def offer(situation: Situation, answer: LinkAnswer) -> dict[str, Any]:
    """Subscribe where it is wanted; what is recorded of it. What fails without anybody to ask is `situation.left`."""
    account, opened = situation.account, situation.surroundings.open_notifications
    if account is None or opened is None or situation.the_model.cloud.appli is None:
        return {}
    from installer.notifications import callback_url, subscriptions

    desk, wanted = opened(), subscriptions.applis(situation.the_model, account.scopes)
    problem: InstallerError | None = None
    try:
        choice = _given(situation, answer, desk)
    except InstallerError as error:
        return _left(situation, error)
    while True:
        if choice is None:
            typed = situation.notify if isinstance(situation.notify, str) else ""
            choice = situation.notify = await _asked(situation, desk, subscriptions.in_words(wanted), problem, typed)
        if choice is False:
            return {}
        try:
            url = await _address(desk, choice, account.name)
            ensured = await desk.subscribe(account, url, wanted)
        except InstallerError as error:
            if not situation.may_ask(StepKey.LINK):
                return _left(situation, error)
            # The person sees why, and tries again, names another address, or does without.
            problem, choice = error, None
            continue
        situation.notified = callback_url.masked(url.get_secret_value())
        situation.emit(
            NotificationsSubscribed(account=account.name, url=situation.notified, new=ensured.new, kept=ensured.kept)
        )
        return {"notifications": situation.notified}


def settled(situation: Situation, answer: LinkAnswer) -> LinkAnswer:
    """The answer with what a person chose; an address with its secret written out is kept for this run only."""
    choice = situation.notify
    if choice is None:
        return answer
    if isinstance(choice, str) and "{path}" not in choice:
        return answer.model_copy(update={"notify": True, "notify_url": SecretStr(choice)})
    return answer.model_copy(update={"notify": choice, "notify_url": None})


def _given(situation: Situation, answer: LinkAnswer, desk: NotificationSetup) -> Choice | None:
    """What was chosen beforehand; None: a person is asked. A script does what the settings say."""
    if answer.notify_url is not None:
        return answer.notify_url
    if answer.notify is not None:
        return answer.notify
    return None if situation.may_ask(StepKey.LINK) else desk.set_up


async def _asked(
    situation: Situation, desk: NotificationSetup, kinds: str, problem: InstallerError | None, typed: str
) -> bool | str:
    assert situation.account is not None
    account = situation.account.name
    try:
        known = desk.known(account)
    except InstallerError as error:
        problem, known = problem or error, ""
    chosen: bool | str = await situation.ask(
        OfferNotifications(
            model=situation.the_model,
            account=account,
            kinds=kinds,
            known=known,
            proposal=typed or desk.proposal,
            problem=problem,
        )
    )
    return chosen


async def _address(desk: NotificationSetup, choice: Choice, account: str) -> SecretStr:
    if isinstance(choice, SecretStr):
        choice = choice.get_secret_value()
    return await desk.url(None if isinstance(choice, bool) else choice, account)


def _left(situation: Situation, error: InstallerError) -> dict[str, Any]:
    """The installation goes on without; the script's exit status says so in the end."""
    situation.left = InstallerError(
        ErrorCode.NOTIFICATIONS_REFUSED,
        f"The device is linked, but the cloud will not tell of its new data: {error.what}",
        f"{error.todo} Then: device-installer notifications subscribe",
        **{**error.data, "cause": error.code.value},
    )
    situation.emit(
        Notice(code=ErrorCode.NOTIFICATIONS_REFUSED.value, text=f"{situation.left.what} The installation goes on.")
    )
    return {"notifications": "refused"}
