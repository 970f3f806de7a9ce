"""The store of the lab's cloud, behind its HTTP API: devices, their owners, and the data that they deliver."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from installer.lab.cloud.accounts import Account, Device
from installer.lab.cloud.resettable_state import DEMO_USERID, PendingFault, State, Subscription
from installer.lab.cloud.scenario import Callbacks, CloudControl, CloudScenario, Mode
from installer.lab.cloud.tokens import TokenRegistry, secrets_equal


@dataclass(frozen=True)
class Sample:
    """What a device measured, when (unix seconds), and for which data service (`withings-cloud.md` §4).

    getmeas: `{"measures": [{"type", "value", "unit"}]}` (true value: value * 10**unit); getsummary: `{"startdate",
    "enddate", "data": {…}}`; getactivity: `{"date": "YYYY-MM-DD", "steps": n, …}`;
    without a date, it is the day on which the device measured, in the user's time zone.
    """

    date: float
    service: Literal["getmeas", "getsummary", "getactivity"]
    values: dict[str, Any]


class CloudStore:
    """Devices, accounts and tokens of the lab's cloud. Call all methods in the event loop's thread.

    `clock` gives unix seconds. The offset that `POST /lab/cloud` sets applies to lifetimes (codes, tokens, nonces,
    the rate-limit window), not to the dates of data.
    """

    def __init__(self, scenario: CloudScenario, *, clock: Callable[[], float] = time.time) -> None:
        self.scenario = scenario
        self.clock = clock
        self.on_linked: list[Callable[[str], None]] = []
        self.on_sample: list[Callable[[Account, Device, Sample], None]] = []
        self._devices: dict[str, Device] = {}
        self.state = State.initial(self.scenario, self.clock, self.now)

    # For the devices.

    def add_device(self, mac: str, *, model_id: int, model: str, type: str) -> None:  # noqa: A002
        """Add a device. It is on no account, unless the scenario put it on one."""
        mac = mac.upper()
        self._devices[mac] = Device(mac, model_id, model, type)
        self._set_first_owner(self._devices[mac])

    def record_contact(self, mac: str) -> None:
        """The device contacted the cloud. In public mode, its user's app then adds it to the account.

        Call it in the event loop's thread. Raises KeyError for an unknown device.
        """
        device = self._devices[mac.upper()]
        device.record_contact(self.clock())
        self._schedule_association(device)

    def store_sample(self, mac: str, sample: Sample) -> bool:
        """Store a measurement of a device. False if the device is on no account: nothing is stored."""
        device = self._devices[mac.upper()]
        account = self.state.accounts.get(device.owner or "")
        if account is None:
            return False
        if sample.service == "getactivity":
            sample = replace(sample, values={"date": account.local_date(sample.date), **sample.values})
        now = self.clock()
        device.record_contact(now)
        if sample.service == "getmeas":
            account.add_group(device, sample.date, now, sample.values)
        elif sample.service == "getsummary":
            account.add_night(device, now, sample.values)
        else:
            account.add_day(device, now, sample.values)
        for call in self.on_sample:
            call(account, device, sample)
        return True

    def link_with_vendor_app(self, mac: str) -> None:
        """The first user adds the device to the account with the vendor's app, in either mode.

        Raises ValueError if it is on another account, KeyError for an unknown device.
        """
        device, first = self._devices[mac.upper()], next(iter(self.state.accounts.values()))
        if device.owner not in (None, first.userid):
            raise ValueError("the device is on another account")
        self.link(device, first)

    def is_linked(self, mac: str) -> bool:
        """Whether the device is on an account."""
        device = self._devices.get(mac.upper())
        return device is not None and device.owner is not None

    def factory_reset(self, mac: str) -> None:
        """Remove the device from its account. Delivered data stays on the account."""
        mac = mac.upper()
        self._cancel_association(mac)
        self._devices[mac].factory_reset()

    def reset(self) -> None:
        """Restore the scenario: no tokens, data or faults; the devices are on their first accounts."""
        self.close()
        self.state = State.initial(self.scenario, self.clock, self.now)
        for device in self._devices.values():
            device.factory_reset()
            self._set_first_owner(device)

    def close(self) -> None:
        """Cancel pending associations."""
        for mac in list(self.state.pending_associations):
            self._cancel_association(mac)

    # For the HTTP API.

    def device(self, mac: str) -> Device | None:
        """The device with this MAC address, or None."""
        return self._devices.get(mac.upper())

    def devices_of(self, account: Account) -> list[Device]:
        """The devices on an account, in the order in which they were added."""
        return account.fixed + [d for d in self._devices.values() if d.owner == account.userid]

    def link(self, device: Device, account: Account) -> None:
        """Put the device on the account, and call the `on_linked` listeners."""
        if device.owner == account.userid:
            return
        self._cancel_association(device.mac)
        device.owner = account.userid
        for call in list(self.on_linked):
            call(device.mac)

    def unlink(self, device: Device) -> None:
        """Remove the device from its account; its contact times stay."""
        device.owner = None

    def account(self, userid: str) -> Account | None:
        """The account with this id."""
        return self.state.accounts.get(userid)

    def account_by_email(self, email: str) -> Account | None:
        """The account with this email address (case does not matter)."""
        wanted = email.strip().lower()
        people = (a for a in self.state.accounts.values() if a.userid != DEMO_USERID)
        return next((a for a in people if a.user.email.lower() == wanted), None)

    def sign_in(self, email: str, password: str) -> Account | None:
        """The account, if the password is right."""
        account = self.account_by_email(email)
        known = account.user.password.get_secret_value() if account is not None else ""
        right = secrets_equal(known, password)
        return account if account is not None and right else None

    @property
    def tokens(self) -> TokenRegistry:
        """Codes, tokens, nonces."""
        return self.state.tokens

    @property
    def subscriptions(self) -> list[Subscription]:
        """The subscriptions of all users."""
        return self.state.subscriptions

    @property
    def callbacks(self) -> Callbacks:
        """How notifications are sent."""
        return self.state.callbacks

    @property
    def notification_counts(self) -> Counter[str]:
        """Counts of notifications: `notifications`, `attempts`, `heard`, `lost`, `doubled`, `removed`."""
        return self.state.notification_counts

    @property
    def uploaded_keys(self) -> set[str]:
        """The keys of the measurements that gateways delivered."""
        return self.state.uploaded_keys

    @property
    def mode(self) -> Mode:
        """`contract` or `public`."""
        return self.state.mode

    @property
    def down(self) -> bool | Literal["closed"]:
        """Whether the cloud responds only with HTTP 503 (True), or breaks its responses off (`closed`)."""
        return self.state.down

    def apply_control(self, change: CloudControl) -> None:
        """Apply the body of `POST /lab/cloud`. Call it in the event loop's thread."""
        state = self.state
        if change.down is not None:
            state.down = change.down
        if change.clock is not None:
            state.clock_offset = change.clock
        if change.fail is not None:
            state.pending_faults = [PendingFault(fault, fault.times) for fault in change.fail]
        if change.callbacks is not None:
            state.callbacks = change.callbacks
            state.attempts_to_lose, state.notifications_to_double = change.callbacks.lose, change.callbacks.double
        if change.mode is not None and change.mode != state.mode:
            state.mode = change.mode
            self.close()
            for device in self._devices.values():
                if device.last_session is not None:
                    self._schedule_association(device)

    def describe(self) -> dict[str, Any]:
        """The entry in `/lab/state`: JSON types, no secrets."""
        state = self.state
        return {
            "mode": state.mode,
            "down": state.down,
            "clock": state.clock_offset,
            "accounts": [
                {
                    "userid": a.userid,
                    "email": a.user.email,
                    "devices": [d.mac for d in self.devices_of(a)],
                    "measurements": sum(g.device is not None for g in a.groups)
                    + len(a.nights)
                    + sum(d.device is not None for d in a.days),
                }
                for a in state.accounts.values()
                if a.userid != DEMO_USERID
            ],
            "waiting": sorted(state.pending_associations),
            "access_tokens": state.tokens.alive,
            "subscriptions": len(state.subscriptions),
            "notifications": dict(state.notification_counts),
            "calls": dict(state.request_counts),
            "fail": [
                {**pending.fault.model_dump(exclude_none=True), "left": pending.left}
                for pending in state.pending_faults
            ],
        }

    def now(self) -> float:
        """The time for lifetimes and limits: the clock plus its offset."""
        return self.clock() + self.state.clock_offset

    def _set_first_owner(self, device: Device) -> None:
        for account in self.state.accounts.values():
            if device.mac in account.user.devices:
                device.owner = account.userid

    def _schedule_association(self, device: Device) -> None:
        state = self.state
        if state.mode != "public" or device.owner is not None or device.mac in state.pending_associations:
            return
        first = next(iter(state.accounts.values()))

        def associate() -> None:
            state.pending_associations.pop(device.mac, None)
            self.link(device, first)

        loop = asyncio.get_running_loop()
        state.pending_associations[device.mac] = loop.call_later(self.scenario.associate_after, associate)

    def _cancel_association(self, mac: str) -> None:
        timer = self.state.pending_associations.pop(mac, None)
        if timer is not None:
            timer.cancel()
