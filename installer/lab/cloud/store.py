"""The lab's cloud behind its HTTP side: the devices, whose they are, and what they tell it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from installer.lab.cloud.scenario import Callbacks, CloudControl, CloudScenario, Mode
from installer.lab.cloud.signature import same
from installer.lab.cloud.state import DEMO_USERID, Armed, State, Subscription
from installer.lab.cloud.tokens import TokenBook
from installer.lab.cloud.user_data import Account, Device


@dataclass(frozen=True)
class Sample:
    """What a device measured, when (unix seconds), and in which data service it shows up (`withings-cloud.md` §4).

    getmeas: `{"measures": [{"type", "value", "unit"}]}` (true value: value * 10**unit); getsummary: `{"startdate",
    "enddate", "data": {…}}`; getactivity: `{"date": "YYYY-MM-DD", "steps": n, …}`.
    """

    date: float
    service: Literal["getmeas", "getsummary", "getactivity"]
    values: dict[str, Any]


class CloudStore:
    """Devices, accounts and tokens of the lab's cloud. All methods belong to one event loop's thread.

    `clock` gives unix seconds. The offset that `POST /lab/cloud` sets ages what has a lifetime (codes, tokens,
    nonces, the windows of the limits); the dates of data stay true.
    """

    def __init__(self, scenario: CloudScenario, *, clock: Callable[[], float] = time.time) -> None:
        self.scenario = scenario
        self.clock = clock
        self.on_linked: list[Callable[[str], None]] = []
        self.on_measured: list[Callable[[Account, Device, Sample], None]] = []
        self._devices: dict[str, Device] = {}
        self.state = State.of(self.scenario, self.clock, self.now)

    # What the devices do.

    def make(self, mac: str, *, model_id: int, model: str, type: str) -> None:  # noqa: A002
        """The factory made this device: known, and on no account but one that the scenario put it on."""
        mac = mac.upper()
        self._devices[mac] = Device(mac, model_id, model, type)
        self._place(self._devices[mac])

    def reached(self, mac: str) -> None:
        """The device contacted the server. In public mode its user's app then takes it onto the account.

        Must be called in the event loop's thread. Raises KeyError for a device that was never made.
        """
        device = self._devices[mac.upper()]
        device.met(self.clock())
        self._expect(device)

    def measured(self, mac: str, sample: Sample) -> bool:
        """The device delivered a measurement. False: it is on no account, nothing is stored."""
        device = self._devices[mac.upper()]
        account = self.state.accounts.get(device.owner or "")
        if account is None:
            return False
        now = self.clock()
        device.met(now)
        if sample.service == "getmeas":
            account.add_group(device, sample.date, now, sample.values)
        elif sample.service == "getsummary":
            account.add_night(device, now, sample.values)
        else:
            account.add_day(device, now, sample.values)
        for call in self.on_measured:
            call(account, device, sample)
        return True

    def adopt(self, mac: str) -> None:
        """The first user takes it onto the account with the vendor's app, in either mode.

        Raises ValueError if it is on somebody else's account, KeyError for a device that was never made.
        """
        device, first = self._devices[mac.upper()], next(iter(self.state.accounts.values()))
        if device.owner not in (None, first.userid):
            raise ValueError("the device is on another account")
        self.link(device, first)

    def is_linked(self, mac: str) -> bool:
        """Whether the device is on an account."""
        device = self._devices.get(mac.upper())
        return device is not None and device.owner is not None

    def forget(self, mac: str) -> None:
        """Factory reset: off every account. What was delivered stays with the user."""
        mac = mac.upper()
        self._stop_waiting(mac)
        self._devices[mac].forgotten()

    def reset(self) -> None:
        """Back to the scenario: no tokens, no data, no faults; the devices stay made, on their first accounts."""
        self.close()
        self.state = State.of(self.scenario, self.clock, self.now)
        for device in self._devices.values():
            device.forgotten()
            self._place(device)

    def close(self) -> None:
        """End what waits to happen."""
        for mac in list(self.state.waiting):
            self._stop_waiting(mac)

    # What the HTTP side asks and does.

    def device(self, mac: str) -> Device | None:
        """The device with this MAC address, if one was made."""
        return self._devices.get(mac.upper())

    def devices_of(self, account: Account) -> list[Device]:
        """The devices on an account, in the order of their making."""
        return account.fixed + [d for d in self._devices.values() if d.owner == account.userid]

    def link(self, device: Device, account: Account) -> None:
        """The device comes onto the account; those who wait for it are told."""
        if device.owner == account.userid:
            return
        self._stop_waiting(device.mac)
        device.owner = account.userid
        for call in list(self.on_linked):
            call(device.mac)

    def unlink(self, device: Device) -> None:
        """The device goes off its account; when it spoke to the server stays known."""
        device.owner = None

    def account(self, userid: str) -> Account | None:
        """The account with this id."""
        return self.state.accounts.get(userid)

    def by_email(self, email: str) -> Account | None:
        """The account with this email address (case does not matter)."""
        wanted = email.strip().lower()
        people = (a for a in self.state.accounts.values() if a.userid != DEMO_USERID)
        return next((a for a in people if a.user.email.lower() == wanted), None)

    def sign_in(self, email: str, password: str) -> Account | None:
        """The account, if the password is right."""
        account = self.by_email(email)
        known = account.user.password.get_secret_value() if account is not None else ""
        right = same(known, password)
        return account if account is not None and right else None

    @property
    def tokens(self) -> TokenBook:
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
    def told(self) -> Counter[str]:
        """What became of the notifications: `notifications`, `attempts`, `heard`, `lost`, `doubled`, `removed`."""
        return self.state.told

    @property
    def uploaded(self) -> set[str]:
        """The keys of the measurements that gateways have delivered."""
        return self.state.uploaded

    @property
    def mode(self) -> Mode:
        """`contract` or `public`."""
        return self.state.mode

    @property
    def down(self) -> bool | Literal["closed"]:
        """Whether the cloud answers nothing but HTTP 503 (True), or ends its answers in the middle (`closed`)."""
        return self.state.down

    def control(self, change: CloudControl) -> None:
        """Carry out what `POST /lab/cloud` asks. Belongs to the event loop's thread."""
        world = self.state
        if change.down is not None:
            world.down = change.down
        if change.clock is not None:
            world.offset = change.clock
        if change.fail is not None:
            world.armed = [Armed(fault, fault.times) for fault in change.fail]
        if change.callbacks is not None:
            world.callbacks = change.callbacks
            world.losing, world.doubling = change.callbacks.lose, change.callbacks.double
        if change.mode is not None and change.mode != world.mode:
            world.mode = change.mode
            self.close()
            for device in self._devices.values():
                if device.last_session is not None:
                    self._expect(device)

    def describe(self) -> dict[str, Any]:
        """What `/lab/state` shows of the cloud: JSON types, and nothing secret."""
        world = self.state
        return {
            "mode": world.mode,
            "down": world.down,
            "clock": world.offset,
            "accounts": [
                {
                    "userid": a.userid,
                    "email": a.user.email,
                    "devices": [d.mac for d in self.devices_of(a)],
                    "measurements": sum(g.device is not None for g in a.groups)
                    + len(a.nights)
                    + sum(d.device is not None for d in a.days),
                }
                for a in world.accounts.values()
                if a.userid != DEMO_USERID
            ],
            "waiting": sorted(world.waiting),
            "access_tokens": world.tokens.alive,
            "subscriptions": len(world.subscriptions),
            "notifications": dict(world.told),
            "calls": dict(world.calls),
            "fail": [{**armed.fault.model_dump(exclude_none=True), "left": armed.left} for armed in world.armed],
        }

    def now(self) -> float:
        """The time for lifetimes and limits: the clock plus the offset."""
        return self.clock() + self.state.offset

    def _place(self, device: Device) -> None:
        for account in self.state.accounts.values():
            if device.mac in account.user.devices:
                device.owner = account.userid

    def _expect(self, device: Device) -> None:
        world = self.state
        if world.mode != "public" or device.owner is not None or device.mac in world.waiting:
            return
        first = next(iter(world.accounts.values()))

        def associate() -> None:
            world.waiting.pop(device.mac, None)
            self.link(device, first)

        loop = asyncio.get_running_loop()
        world.waiting[device.mac] = loop.call_later(self.scenario.associate_after, associate)

    def _stop_waiting(self, mac: str) -> None:
        timer = self.state.waiting.pop(mac, None)
        if timer is not None:
            timer.cancel()
