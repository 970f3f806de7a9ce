"""The state of the lab's cloud until the next reset: accounts, tokens, subscriptions, faults, and the rate limit."""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from pydantic import SecretStr

from installer.lab.cloud.accounts import Account, Device
from installer.lab.cloud.scenario import Callbacks, CloudScenario, CloudUser, Fault, Mode
from installer.lab.cloud.tokens import TokenRegistry

FIRST_USERID = 40_000_001
DEMO_USERID = "49999999"
DEMO_MAC = "00:24:E4:00:00:00"
RATE_LIMIT_WINDOW_SECONDS = 60.0


@dataclass(eq=False)
class Subscription:
    """A notification subscription (§3). `failed`: consecutive failed attempts."""

    userid: str
    appli: int
    url: str
    comment: str
    failed: int = 0


@dataclass
class PendingFault:
    """A fault and how often it will still happen; always if its `times` is 0."""

    fault: Fault
    left: int


@dataclass
class State:
    """All state that a reset replaces. `now` gives unix seconds for lifetimes and limits.

    `attempts_to_lose`, `notifications_to_double`: how many are still to be lost on the way, or to be sent twice.
    """

    scenario: CloudScenario
    now: Callable[[], float]
    tokens: TokenRegistry
    mode: Mode
    down: bool | Literal["closed"]
    clock_offset: float
    accounts: dict[str, Account]
    pending_faults: list[PendingFault]
    callbacks: Callbacks
    attempts_to_lose: int
    notifications_to_double: int
    subscriptions: list[Subscription] = field(default_factory=list)
    recent_requests: deque[float] = field(default_factory=deque)
    request_counts: Counter[str] = field(default_factory=Counter)
    notification_counts: Counter[str] = field(default_factory=Counter)
    pending_associations: dict[str, asyncio.TimerHandle] = field(default_factory=dict)
    uploaded_keys: set[str] = field(default_factory=set)

    @classmethod
    def initial(cls, scenario: CloudScenario, clock: Callable[[], float], now: Callable[[], float]) -> State:
        """The state at the start of the scenario; the demo user's data ends today."""
        accounts = {
            str(FIRST_USERID + i): Account(str(FIRST_USERID + i), user) for i, user in enumerate(scenario.users)
        }
        accounts[DEMO_USERID] = _demo_account(clock())
        return cls(
            scenario,
            now,
            TokenRegistry(scenario, now),
            scenario.mode,
            scenario.down,
            scenario.clock,
            accounts,
            [PendingFault(fault, fault.times) for fault in scenario.fail],
            scenario.callbacks,
            scenario.callbacks.lose,
            scenario.callbacks.double,
        )

    def lose_attempt(self) -> bool:
        """Whether this notification attempt is lost on the way; counts it."""
        if self.attempts_to_lose <= 0:
            return False
        self.attempts_to_lose -= 1
        self.notification_counts["lost"] += 1
        return True

    def double_notification(self) -> bool:
        """Whether this notification is sent twice; counts it."""
        if self.notifications_to_double <= 0:
            return False
        self.notifications_to_double -= 1
        self.notification_counts["doubled"] += 1
        return True

    def consume_fault(self, path: str, action: str | None) -> Fault | None:
        """The fault of this request, or None; counts it."""
        for pending in self.pending_faults:
            if pending.fault.path == path and pending.fault.action in (None, action):
                if pending.fault.times:
                    pending.left -= 1
                    if pending.left <= 0:
                        self.pending_faults.remove(pending)
                return pending.fault
        return None

    def count_request(self, path: str, action: str | None) -> None:
        """Count a request for `describe`. Pass known action names only."""
        self.request_counts[f"{path} {action}" if action else path] += 1

    def check_rate_limit(self) -> int | None:
        """Count a request of the application. Returns None, or the seconds to wait if the limit is reached (§5)."""
        now, recent = self.now(), self.recent_requests
        while recent and not 0 <= now - recent[0] < RATE_LIMIT_WINDOW_SECONDS:
            recent.popleft()
        if len(recent) >= self.scenario.rate_limit:
            return max(1, math.ceil(recent[0] + RATE_LIMIT_WINDOW_SECONDS - now))
        recent.append(now)
        return None


def _demo_account(now: float) -> Account:
    """The demo user of `mode=demo` and `getdemoaccess`: made-up data of one scale."""
    scale = Device(DEMO_MAC, 5, "Body+", "Scale", DEMO_USERID)
    user = CloudUser(email="demo@example.org", password=SecretStr(""), name="Demo")
    account = Account(DEMO_USERID, user, fixed=[scale])
    for days in range(5, 0, -1):
        date = now - days * 86_400
        scale.record_contact(date)
        values = {"measures": [{"type": 1, "value": 72_000 + 50 * days, "unit": -3}]}
        account.add_group(scale, date, date + 30, values)
    return account
