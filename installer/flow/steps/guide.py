"""The steps of the guided hand-off: the account first, then the vendor's app, then the device is in the account."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from installer.answers import LinkAnswer, LinkMode, ProvisionAnswer, StepKey
from installer.catalogue.catalogue import check_sync
from installer.errors import ErrorCode, InstallerError
from installer.events.stream import GuideShown, GuideWaiting, Linked
from installer.flow.questions import FollowGuide, Recovery
from installer.flow.steps import notification_offer
from installer.flow.steps.link import Link
from installer.flow.steps.step import GoTo, Situation, Step
from installer.provisioning.guided import checklist

if TYPE_CHECKING:
    from installer.cloud.account import Account
    from installer.cloud.api_models import CloudDevice


class OpenAccount(Link):
    """Which account? It is opened before the device comes to it, so that what is new in it can be told."""

    def check(self, situation: Situation, answer: LinkAnswer) -> None:
        """The vendor's app puts the device on the account, so the API's link cannot be insisted on."""
        if answer.mode is LinkMode.CONTRACT:
            raise InstallerError(
                ErrorCode.ANSWERS_INVALID,
                f"Link mode “{answer.mode}” does not fit: {situation.the_model.name} comes to the account with the "
                "vendor's app.",
                "Use link mode “watch” or “auto”.",
            )

    def plan(self, situation: Situation, answer: LinkAnswer) -> str | None:
        """Signing in is for the real run."""
        return f"open account “{answer.account}” and note what is in it"

    async def carry_out(self, situation: Situation, answer: LinkAnswer) -> dict[str, Any]:
        """Sign in if needed, and remember what is in the account."""
        accounts = await situation.surroundings.open_accounts()
        if situation.account is not None and situation.account.name != answer.account:
            # What is new in one account cannot be told from what is in another.
            situation.known_devices = None
        situation.account = await self._account(situation, accounts, answer)
        return {"account": answer.account}


@dataclass
class Looking:
    """How the watch over the account goes; the question shows it. Times are on the monotonic clock, in seconds."""

    looks: int = 0
    last: float | None = None
    trouble: InstallerError | None = None


class FollowTheGuide(Step):
    """Somebody sets the device up with the vendor's app; it is done when the account has it. Nothing is sent to it."""

    key = StepKey.PROVISION
    seconds = 900.0

    async def answer(self, situation: Situation, problem: InstallerError | None, can_go_back: bool) -> ProvisionAnswer:
        """There is nothing to choose."""
        return ProvisionAnswer(send=False)

    def check(self, situation: Situation, answer: ProvisionAnswer) -> None:
        """The sync rule once more: the guide would name a method that the model lacks."""
        check_sync(situation.the_model, situation.the_method)

    def plan(self, situation: Situation, answer: ProvisionAnswer) -> str | None:
        """A person is not sent off in a dry run."""
        return f"show how {situation.the_model.name} is set up with the vendor's app, and watch the account"

    async def carry_out(self, situation: Situation, answer: ProvisionAnswer) -> dict[str, Any]:
        """Show the guide and watch the account until the device is in it."""
        account = _the_account(situation)
        device = await self._before(situation, account) or await self._guided(situation, account)
        situation.cloud_device = device
        return {
            "protocol": checklist.PROTOCOL,
            "address": situation.the_sighting.address,
            "device_id": device.device_id,
        }

    def recoveries(self, situation: Situation, error: InstallerError) -> tuple[Recovery, ...]:
        """The guide again; or another account, where this one is the trouble."""
        if error.code in (ErrorCode.TOKEN_REJECTED, ErrorCode.ACCOUNT_UNKNOWN):
            return (Recovery.CHANGE, Recovery.STOP)
        return (Recovery.RETRY, Recovery.CHANGE, Recovery.STOP)

    def change_at(self, error: InstallerError) -> StepKey:
        """What can be changed about the guide is the account."""
        return StepKey.LINK

    async def _before(self, situation: Situation, account: Account) -> CloudDevice | None:
        """The device that an earlier run of this program saw come to the account, if it is still there."""
        if situation.handed_over is None:
            return None
        return next((d for d in await account.devices() if d.device_id == situation.handed_over), None)

    async def _guided(self, situation: Situation, account: Account) -> CloudDevice:
        model, limit = situation.the_model, situation.options.deadlines.guide
        what = checklist.checklist(model, situation.the_method, account.name, associated=bool(situation.associated))
        situation.emit(GuideShown(model=model.id, app=what.app, url=what.url, steps=what.steps, account=account.name))
        looking = Looking()
        watching = asyncio.ensure_future(self._watch(situation, account, looking))
        asking: asyncio.Future[Any] | None = None
        if situation.may_ask(self.key):
            question = FollowGuide(
                model=model,
                app=what.app,
                url=what.url,
                steps=what.steps,
                account=account.name,
                seconds=limit,
                progress=looking,
            )
            asking = asyncio.ensure_future(situation.ask(question))
        tasks = [watching] if asking is None else [watching, asking]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if asking is not None and not watching.done():
                # A person who says to be done waits with us; one who stops it is heard.
                asking.result()
            return await watching
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, situation: Situation, account: Account, looking: Looking) -> CloudDevice:
        limit = situation.options.deadlines.guide
        ends = time.monotonic() + limit

        def waiting() -> None:
            trouble = looking.trouble.what if looking.trouble is not None else ""
            left = round(max(ends - time.monotonic(), 0.0), 1)
            situation.emit(GuideWaiting(account=account.name, seconds=left, trouble=trouble))

        def looked(trouble: InstallerError | None) -> None:
            before, looking.trouble = looking.trouble, trouble
            looking.looks += 1
            looking.last = time.monotonic()
            if (before is None) is not (trouble is None):
                waiting()

        # Only a device that was on the account already may show by a new report; else it must be new itself, or
        # another one of the same model would be taken for it.
        associated_before = bool(situation.associated) and not situation.associated_since
        may_be_there = associated_before or situation.options.keep_wifi
        waiting()
        try:
            return await account.watch_for(
                situation.the_model,
                before=situation.known_devices or frozenset(),
                since=situation.started,
                deadline=limit,
                only_new=not may_be_there,
                looked=looked,
            )
        except InstallerError as error:
            if error.code is not ErrorCode.LINK_TIMEOUT:
                raise
            raise _too_late(situation, account, limit) from None


class Arrived(Link):
    """The device is in the account."""

    async def answer(self, situation: Situation, problem: InstallerError | None, can_go_back: bool) -> LinkAnswer:
        """The account that was opened before."""
        return situation.made.link or situation.given.link or LinkAnswer()

    def plan(self, situation: Situation, answer: LinkAnswer) -> str | None:
        """In a dry run it does not come."""
        return f"wait until {situation.the_model.name} is in account “{answer.account}”"

    async def carry_out(self, situation: Situation, answer: LinkAnswer) -> dict[str, Any]:
        """Say so."""
        if situation.cloud_device is None and situation.linked_as is not None:
            there = await self.reopen(situation, answer, situation.linked_as)
            situation.linked_as = None
            if not there:
                raise GoTo(StepKey.LINK)
        device = situation.cloud_device
        if device is None:
            raise InstallerError(ErrorCode.INTERNAL, "The device is not linked.", "This is a defect; report it.")
        situation.emit(Linked(way="watch", account=answer.account, device_id=device.device_id))
        result = {"account": answer.account, "way": "watch", "device_id": device.device_id}
        result |= {"serial": device.serial} if device.serial else {}
        return result | await notification_offer.offer(situation, answer)


def _the_account(situation: Situation) -> Account:
    if situation.account is None:
        raise InstallerError(ErrorCode.INTERNAL, "No account was opened.", "This is a defect; report it.")
    return situation.account


def _too_late(situation: Situation, account: Account, limit: float) -> InstallerError:
    model = situation.the_model
    return InstallerError(
        ErrorCode.GUIDE_TIMEOUT,
        f"No new {model.name} came to account “{account.name}” within {limit:g} s.",
        "Check that the vendor's app has finished the set-up, and that it is signed in to the same account. "
        "If the device was on your account before, give --keep-wifi.",
        account=account.name,
        model=model.id,
    )
