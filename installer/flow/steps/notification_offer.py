"""Part of the link step: offers notifications of new data. The device stays linked even if this fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from installer.answers import LinkAnswer, StepKey
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import Notice
from installer.events.notifications import NotificationsSubscribed
from installer.flow.questions import OfferNotifications
from installer.flow.situation import Situation
from installer.storage.reference_origin import PERSON, Origin
from installer.storage.secret_references import SecretRef

if TYPE_CHECKING:
    from installer.notifications.callback_setup import NotificationSetup

# True: the address of the settings; False: none; str: an address that may be recorded; SecretStr: one that may not;
# SecretRef: a reference to one.
NotificationChoice = bool | str | SecretStr | SecretRef


async def offer_notifications(situation: Situation, answer: LinkAnswer) -> dict[str, Any]:
    """Subscribe if that is wanted; returns fields for the record.

    If it fails and nobody may be asked, the error is kept in `situation.nonfatal_error`.
    """
    account, opened = situation.account, situation.environment.open_notifications
    if account is None or opened is None or situation.chosen_model.cloud.appli is None:
        return {}
    from installer.cloud import notification_categories
    from installer.notifications import callback_url

    setup, wanted = opened(), notification_categories.applis_for_model(situation.chosen_model, account.scopes)
    problem: InstallerError | None = None
    named_by = answer.origin
    try:
        choice = _given_choice(situation, answer, setup)
    except InstallerError as error:
        return _without_notifications(situation, error)
    while True:
        if choice is None:
            named_by = PERSON
            typed = situation.notification_choice if isinstance(situation.notification_choice, str) else ""
            choice = situation.notification_choice = await _ask(
                situation, setup, notification_categories.categories_in_words(wanted), problem, typed
            )
        if choice is False:
            return {}
        try:
            url = await _address(setup, choice, account.name, named_by)
            ensured = await setup.subscribe(account, url, wanted)
        except InstallerError as error:
            if not situation.may_ask(StepKey.LINK):
                return _without_notifications(situation, error)
            # The person sees the error, and tries again, types another address, or goes without.
            problem, choice = error, None
            continue
        situation.notification_url = callback_url.masked(url.get_secret_value())
        situation.emit(
            NotificationsSubscribed(
                account=account.name, url=situation.notification_url, new=ensured.new, kept=ensured.kept
            )
        )
        return {"notifications": situation.notification_url}


def final_answer(situation: Situation, answer: LinkAnswer) -> LinkAnswer:
    """The answer with the person's choice; an address that contains its secret is kept for this run only."""
    choice = situation.notification_choice
    if choice is None:
        return answer
    answer = answer.named_by(PERSON)
    if isinstance(choice, str) and "{path}" not in choice:
        return answer.model_copy(update={"notify": True, "notify_url": SecretStr(choice)})
    return answer.model_copy(update={"notify": choice, "notify_url": None})


def _given_choice(situation: Situation, answer: LinkAnswer, setup: NotificationSetup) -> NotificationChoice | None:
    """The given choice, or for a script the settings'; None: ask a person."""
    if answer.notify_url is not None:
        return answer.notify_url
    if answer.notify is not None:
        return answer.notify
    return None if situation.may_ask(StepKey.LINK) else setup.set_up


async def _ask(
    situation: Situation, setup: NotificationSetup, kinds: str, problem: InstallerError | None, typed: str
) -> bool | str:
    assert situation.account is not None
    account = situation.account.name
    try:
        known = setup.known(account)
    except InstallerError as error:
        problem, known = problem or error, ""
    chosen: bool | str = await situation.ask(
        OfferNotifications(
            model=situation.chosen_model,
            account=account,
            kinds=kinds,
            known=known,
            proposal=typed or setup.proposal,
            problem=problem,
        )
    )
    return chosen


async def _address(
    setup: NotificationSetup, choice: NotificationChoice, account: str, named_by: Origin | None
) -> SecretStr:
    if isinstance(choice, SecretStr):
        choice = choice.get_secret_value()
    return await setup.url(None if isinstance(choice, bool) else choice, account, named_by=named_by)


def _without_notifications(situation: Situation, error: InstallerError) -> dict[str, Any]:
    """Continue without notifications; a script's exit status reports the error at the end."""
    situation.nonfatal_error = InstallerError(
        ErrorCode.NOTIFICATIONS_REFUSED,
        f"The device is linked, but the cloud will not notify of its new data: {error.what}",
        f"{error.todo} Then: device-installer notifications subscribe",
        **{**error.data, "cause": error.code.value},
    )
    situation.emit(
        Notice(
            code=ErrorCode.NOTIFICATIONS_REFUSED.value,
            text=f"{situation.nonfatal_error.what} The installation continues.",
        )
    )
    return {"notifications": "refused"}
