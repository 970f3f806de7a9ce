"""The link step: sign in to the account, and link the device to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from installer.answers import LinkAnswer, LinkMode, StepKey
from installer.catalogue.model import Model, SyncMethod
from installer.cloud.account_file import is_damaged
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import Linked, Linking, Notice
from installer.flow.front_end import Recovery
from installer.flow.questions import ChooseAccount
from installer.flow.situation import Situation
from installer.flow.steps import account_sign_in, first_bluetooth_measurement, join_outcome, notification_offer
from installer.flow.steps.step import Step

if TYPE_CHECKING:
    from installer.cloud.account import Account
    from installer.cloud.accounts import Accounts
    from installer.cloud.api_models import CloudDevice

LINK_LATER = "The device is not linked yet: its user does that with `device-installer link` and the code on its label."


class LinkStep(Step):
    """Which account, and is the device in it?"""

    key = StepKey.LINK
    usual_seconds = 60.0

    def skip_reason(self, situation: Situation) -> str | None:
        """Without a known cloud there is no account."""
        model = situation.chosen_model
        return None if model.cloud.data else f"no cloud is known for {model.name}; the device is used where it is"

    async def check_computer(self, situation: Situation, model: Model) -> None:
        """The way to the cloud, and the account: what cannot be used is found before the device joins."""
        answer = situation.given.link or LinkAnswer()
        if not model.cloud.data or answer.later:
            return
        accounts = await situation.environment.open_accounts()
        accounts.check_connection_settings()
        if situation.may_ask(self.key) or situation.environment.sign_in_lab_user is not None:
            return  # a sign-in replaces damaged tokens
        for account in await accounts.stored():
            if account.name == answer.account and account.damage is not None:
                raise account.damage

    async def answer(self, situation: Situation, problem: InstallerError | None, can_go_back: bool) -> LinkAnswer:
        """The given account, the one that a person chooses, or `default`."""
        given = situation.given.link
        # An answer with notification settings only does not choose an account.
        only_notify = given is not None and set() < given.model_fields_set <= {"notify", "notify_url"}
        if given is not None and problem is None and not (only_notify and situation.may_ask(self.key)):
            return given
        if not situation.may_ask(self.key):
            return LinkAnswer()
        accounts = await situation.environment.open_accounts()
        answer: LinkAnswer = await situation.ask(
            ChooseAccount(
                accounts=await accounts.stored(),
                cloud=situation.environment.cloud_name,
                can_go_back=can_go_back,
                problem=problem,
            )
        )
        if given is None:
            return answer
        chosen = answer.model_copy(update={"notify": given.notify, "notify_url": given.notify_url})
        return chosen.named_by(given.origin)

    def plan(self, situation: Situation, answer: LinkAnswer) -> str | None:
        """A dry run does not change the account."""
        if answer.later:
            return f"leave {situation.chosen_sighting.address} to be linked by its user"
        return f"link {situation.chosen_sighting.address} to account “{answer.account}”"

    def check(self, situation: Situation, answer: LinkAnswer) -> None:
        """The vendor's app links at once, so such a device cannot be linked later."""
        if answer.later and situation.guided:
            raise InstallerError(
                ErrorCode.ANSWERS_INVALID,
                f"{situation.chosen_model.name} comes to an account with the vendor's app, and not later from here.",
                "Choose an account, or leave the device to its user and the vendor's app.",
            )

    async def carry_out(self, situation: Situation, answer: LinkAnswer) -> dict[str, Any]:
        """Sign in if needed, then link by address, or watch the account until the device is there."""
        if answer.later:
            situation.emit(Notice(code="link_later", text=LINK_LATER))
            return {"later": True}
        accounts = await situation.environment.open_accounts()
        account = await self._open_account(situation, accounts, answer)
        situation.account = account
        way: Literal["link", "watch"] = "watch" if answer.mode is LinkMode.WATCH else "link"
        device: CloudDevice | None = None
        if way == "link" and situation.resumed:
            # An earlier attempt may have linked it before it was cut off.
            device = await self._find_by_address(situation, account)
        if way == "link" and device is None:
            situation.emit(Linking(way=way, seconds=10.0))
            try:
                device = await account.link(situation.chosen_sighting.address)
            except InstallerError as error:
                if not (answer.mode is LinkMode.AUTO and error.data.get("no_contract")):
                    raise
                way = "watch"
                situation.emit(
                    Notice(
                        code="no_partner_contract",
                        text="This application may not link devices by itself (that takes a partner contract). "
                        "The account is watched until the device shows up in it.",
                    )
                )
        if device is None:
            device = await self._watch(situation, account)
        if way == "watch" and situation.method is SyncMethod.WIFI:
            await join_outcome.record_cloud_confirmation(situation)
        situation.cloud_device = device
        situation.environment.claims.claim(device.device_id, situation.id)
        situation.emit(Linked(way=way, account=answer.account, device_id=device.device_id))
        result = {"account": answer.account, "way": way, "device_id": device.device_id}
        result |= {"serial": device.serial} if device.serial else {}
        return result | await notification_offer.offer_notifications(situation, answer)

    def final_answer(self, situation: Situation, answer: LinkAnswer) -> LinkAnswer:
        """With the choice about notifications."""
        return notification_offer.final_answer(situation, answer)

    def recoveries(self, situation: Situation, error: InstallerError) -> tuple[Recovery, ...]:
        """Another try, or another account."""
        return (Recovery.RETRY, Recovery.CHANGE, Recovery.STOP)

    async def _watch(self, situation: Situation, account: Account) -> CloudDevice:
        limit = situation.options.deadlines.link
        situation.emit(Linking(way="watch", seconds=limit))
        if situation.method is SyncMethod.BLUETOOTH and situation.measurement is None:
            # The cloud knows a Bluetooth-only device only after its data was collected.
            await first_bluetooth_measurement.collect(situation)
        return await account.watch_for(
            situation.chosen_model,
            before=situation.known_devices or frozenset(),
            since=situation.started,
            deadline=limit,
            mac=situation.chosen_sighting.address,
            claimed=lambda: situation.environment.claims.of_others(situation.id),
        )

    async def reopen(self, situation: Situation, answer: LinkAnswer, device_id: str) -> bool:
        """Open the account to which an earlier attempt linked the device; whether the device is still there."""
        accounts = await situation.environment.open_accounts()
        situation.account = await self._open_account(situation, accounts, answer)
        found = (d for d in await situation.account.devices() if d.device_id == device_id)
        situation.cloud_device = next(found, None)
        return situation.cloud_device is not None

    async def _find_by_address(self, situation: Situation, account: Account) -> CloudDevice | None:
        address = situation.chosen_sighting.address.upper()
        return next((d for d in await account.devices() if d.mac.upper() == address), None)

    async def check_account(self, situation: Situation, answer: LinkAnswer) -> None:
        """Check that the account can be used; sign in if needed."""
        accounts = await situation.environment.open_accounts()
        try:
            await (await accounts.open(answer.account)).devices()
        except InstallerError as error:
            if not _needs_sign_in(error):
                raise
            self._tell_damage(situation, error)
            await self._sign_in(situation, accounts, answer.account)

    async def _open_account(self, situation: Situation, accounts: Accounts, answer: LinkAnswer) -> Account:
        lock = situation.environment.sign_in
        if lock is None:
            return await self._open_or_sign_in(situation, accounts, answer)
        async with lock:
            return await self._open_or_sign_in(situation, accounts, answer)

    async def _open_or_sign_in(self, situation: Situation, accounts: Accounts, answer: LinkAnswer) -> Account:
        try:
            account = await accounts.open(answer.account)
            await self._note_known_devices(situation, account)
            return account
        except InstallerError as error:
            if not _needs_sign_in(error):
                raise
            robot = situation.environment.sign_in_lab_user
            if not situation.may_ask(self.key) and robot is None:
                raise
            self._tell_damage(situation, error)
        account = await self._sign_in(situation, accounts, answer.account)
        await self._note_known_devices(situation, account)
        return account

    @staticmethod
    def _tell_damage(situation: Situation, error: InstallerError) -> None:
        """Say why tokens that are there are replaced."""
        if is_damaged(error):
            situation.emit(Notice(code="account_damaged", text=f"{error.what} The next sign-in replaces them."))

    async def _note_known_devices(self, situation: Situation, account: Account) -> None:
        """Note which devices are in the account before this one; this also proves that the tokens work."""
        claims = situation.environment.claims
        if situation.known_devices is None:
            # Use what an earlier attempt saw: the device may have come since.
            situation.known_devices = situation.known_devices_by_account.get(account.name)
        if account.name in claims.known_devices:
            # The batch has asked the account at its start: one request less for each device.
            if situation.known_devices is None:
                situation.known_devices = claims.known_devices[account.name]
                await situation.record.set_known_devices(account.name, sorted(situation.known_devices))
            return
        devices = await account.devices()
        if claims.shared:
            claims.known_devices[account.name] = frozenset(d.device_id for d in devices)
        if situation.known_devices is None:
            situation.known_devices = frozenset(d.device_id for d in devices)
            await situation.record.set_known_devices(account.name, sorted(situation.known_devices))

    async def _sign_in(self, situation: Situation, accounts: Accounts, name: str) -> Account:
        return await account_sign_in.sign_in(situation, accounts, name, by_person=situation.may_ask(self.key))


def _needs_sign_in(error: InstallerError) -> bool:
    return error.code in (ErrorCode.ACCOUNT_UNKNOWN, ErrorCode.TOKEN_REJECTED) or is_damaged(error)
