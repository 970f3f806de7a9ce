"""The steps of the guided hand-off: open the account, follow the vendor's app, confirm the link.

They replace the provision and link steps for a device that the vendor's app sets up.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from installer.answers import LinkAnswer, LinkMode, ProvisionAnswer, StepKey
from installer.catalogue.model import GUIDED
from installer.catalogue.sync_rule_wifi_or_bluetooth import check_sync
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import GuideShown, GuideWaiting, Linked
from installer.flow.front_end import Recovery
from installer.flow.questions import FollowGuide
from installer.flow.situation import Situation
from installer.flow.steps import notification_offer
from installer.flow.steps.link import LinkStep
from installer.flow.steps.step import GoTo, Step

if TYPE_CHECKING:
    from installer.cloud.account import Account
    from installer.cloud.api_models import CloudDevice


class OpenAccountStep(LinkStep):
    """Which account? It is opened before the device comes to it, so that a new device can be recognised."""

    def check(self, situation: Situation, answer: LinkAnswer) -> None:
        """The vendor's app links the device, so a link by the API cannot be required."""
        if answer.mode is LinkMode.CONTRACT:
            raise InstallerError(
                ErrorCode.ANSWERS_INVALID,
                f"Link mode “{answer.mode}” does not fit: {situation.chosen_model.name} comes to the account with the "
                "vendor's app.",
                "Use link mode “watch” or “auto”.",
            )

    def plan(self, situation: Situation, answer: LinkAnswer) -> str | None:
        """A dry run does not sign in."""
        return f"open account “{answer.account}” and note what is in it"

    async def carry_out(self, situation: Situation, answer: LinkAnswer) -> dict[str, Any]:
        """Sign in if needed, and remember what is in the account."""
        accounts = await situation.environment.open_accounts()
        if situation.account is not None and situation.account.name != answer.account:
            # The known devices of one account say nothing about another.
            situation.known_devices = None
        situation.account = await self._open_account(situation, accounts, answer)
        return {"account": answer.account}


@dataclass
class AccountWatchProgress:
    """The state of the account watch; the question shows it. Times are in seconds of the monotonic clock."""

    check_count: int = 0
    last_checked: float | None = None
    error: InstallerError | None = None


class FollowGuideStep(Step):
    """A person sets the device up with the vendor's app, until the account has it. Nothing is sent to the device."""

    key = StepKey.PROVISION
    usual_seconds = 900.0

    async def answer(self, situation: Situation, problem: InstallerError | None, can_go_back: bool) -> ProvisionAnswer:
        """There is nothing to choose."""
        return ProvisionAnswer(send=False)

    def check(self, situation: Situation, answer: ProvisionAnswer) -> None:
        """The sync rule again: the guide must not name a method that the model lacks."""
        check_sync(situation.chosen_model, situation.chosen_method)

    def plan(self, situation: Situation, answer: ProvisionAnswer) -> str | None:
        """A dry run does not send a person to the app."""
        return f"show how {situation.chosen_model.name} is set up with the vendor's app, and watch the account"

    async def carry_out(self, situation: Situation, answer: ProvisionAnswer) -> dict[str, Any]:
        """Show the guide and watch the account until the device is in it."""
        account = _opened_account(situation)
        device = await self._already_linked(situation, account) or await self._show_guide(situation, account)
        situation.cloud_device = device
        return {
            "protocol": GUIDED,
            "address": situation.chosen_sighting.address,
            "device_id": device.device_id,
        }

    def recoveries(self, situation: Situation, error: InstallerError) -> tuple[Recovery, ...]:
        """The guide again, or another account if this one fails."""
        if error.code in (ErrorCode.TOKEN_REJECTED, ErrorCode.ACCOUNT_UNKNOWN):
            return (Recovery.CHANGE, Recovery.STOP)
        return (Recovery.RETRY, Recovery.CHANGE, Recovery.STOP)

    def change_step(self, error: InstallerError) -> StepKey:
        """The account can be changed."""
        return StepKey.LINK

    async def _already_linked(self, situation: Situation, account: Account) -> CloudDevice | None:
        """The device that an earlier run brought to the account, if it is still there."""
        if situation.handed_over_device_id is None:
            return None
        return next((d for d in await account.devices() if d.device_id == situation.handed_over_device_id), None)

    async def _show_guide(self, situation: Situation, account: Account) -> CloudDevice:
        model, limit = situation.chosen_model, situation.options.deadlines.guide
        from installer.provisioning.guided import checklist

        guide = checklist.checklist(model, situation.chosen_method, account.name, associated=bool(situation.associated))
        situation.emit(
            GuideShown(model=model.id, app=guide.app, url=guide.url, steps=guide.steps, account=account.name)
        )
        progress = AccountWatchProgress()
        watching = asyncio.ensure_future(self._watch(situation, account, progress))
        asking: asyncio.Future[Any] | None = None
        if situation.may_ask(self.key):
            question = FollowGuide(
                model=model,
                app=guide.app,
                url=guide.url,
                steps=guide.steps,
                account=account.name,
                seconds=limit,
                progress=progress,
            )
            asking = asyncio.ensure_future(situation.ask(question))
        tasks = [watching] if asking is None else [watching, asking]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if asking is not None and not watching.done():
                # After "done" the watch goes on; after "stop" this raises.
                asking.result()
            return await watching
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, situation: Situation, account: Account, progress: AccountWatchProgress) -> CloudDevice:
        limit = situation.options.deadlines.guide
        ends = time.monotonic() + limit

        def report_waiting() -> None:
            trouble = progress.error.what if progress.error is not None else ""
            seconds_left = round(max(ends - time.monotonic(), 0.0), 1)
            situation.emit(GuideWaiting(account=account.name, seconds=seconds_left, trouble=trouble))

        def on_check(error: InstallerError | None) -> None:
            before, progress.error = progress.error, error
            progress.check_count += 1
            progress.last_checked = time.monotonic()
            if (before is None) is not (error is None):
                report_waiting()

        # A device that was on the account already is recognised by a new report. Any other must be new in the account;
        # otherwise another device of the same model would be taken for it.
        associated_before = bool(situation.associated) and not situation.maybe_associated_after_start
        may_be_known = associated_before or situation.options.keep_wifi
        report_waiting()
        try:
            return await account.watch_for(
                situation.chosen_model,
                before=situation.known_devices or frozenset(),
                since=situation.started,
                deadline=limit,
                only_new=not may_be_known,
                on_poll=on_check,
            )
        except InstallerError as error:
            if error.code is not ErrorCode.LINK_TIMEOUT:
                raise
            raise _guide_timeout(situation, account, limit) from None


class GuidedLinkStep(LinkStep):
    """Confirm that the device is in the account."""

    async def answer(self, situation: Situation, problem: InstallerError | None, can_go_back: bool) -> LinkAnswer:
        """The account that is open already."""
        return situation.chosen.link or situation.given.link or LinkAnswer()

    def plan(self, situation: Situation, answer: LinkAnswer) -> str | None:
        """In a dry run the device does not come."""
        return f"wait until {situation.chosen_model.name} is in account “{answer.account}”"

    async def carry_out(self, situation: Situation, answer: LinkAnswer) -> dict[str, Any]:
        """Report the link, and offer notifications."""
        if situation.cloud_device is None and situation.earlier_linked_device_id is not None:
            is_there = await self.reopen(situation, answer, situation.earlier_linked_device_id)
            situation.earlier_linked_device_id = None
            if not is_there:
                raise GoTo(StepKey.LINK)
        device = situation.cloud_device
        if device is None:
            raise InstallerError(ErrorCode.INTERNAL, "The device is not linked.", "This is a defect; report it.")
        situation.emit(Linked(way="watch", account=answer.account, device_id=device.device_id))
        result = {"account": answer.account, "way": "watch", "device_id": device.device_id}
        result |= {"serial": device.serial} if device.serial else {}
        return result | await notification_offer.offer_notifications(situation, answer)


def _opened_account(situation: Situation) -> Account:
    if situation.account is None:
        raise InstallerError(ErrorCode.INTERNAL, "No account was opened.", "This is a defect; report it.")
    return situation.account


def _guide_timeout(situation: Situation, account: Account, limit: float) -> InstallerError:
    model = situation.chosen_model
    return InstallerError(
        ErrorCode.GUIDE_TIMEOUT,
        f"No new {model.name} came to account “{account.name}” within {limit:g} s.",
        "Check that the vendor's app has finished the set-up, and that it is signed in to the same account. "
        "If the device was on your account before, give --keep-wifi.",
        account=account.name,
        model=model.id,
    )
