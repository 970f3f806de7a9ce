"""What the lab's cloud forgets at a reset: accounts, tokens, subscriptions, and the faults and limits of requests."""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from pydantic import SecretStr

from installer.lab.cloud.scenario import Callbacks, CloudScenario, CloudUser, Fault, Mode
from installer.lab.cloud.tokens import TokenBook
from installer.lab.cloud.user_data import Account, Device

FIRST_USERID = 40_000_001
DEMO_USERID = "49999999"
DEMO_MAC = "00:24:E4:00:00:00"
WINDOW = 60.0


@dataclass(eq=False)
class Subscription:
    """Who wants to hear of what, and where (§3). `failed`: attempts in a row that were not heard."""

    userid: str
    appli: int
    url: str
    comment: str
    failed: int = 0


@dataclass
class Armed:
    """A fault, and how often it is still met; for good if its `times` is 0."""

    fault: Fault
    left: int


@dataclass
class State:
    """What holds until the next reset. `now` gives unix seconds, as lifetimes and limits see them.

    `losing`, `doubling`: how many notifications are still to be lost on the way, or sent twice.
    """

    scenario: CloudScenario
    now: Callable[[], float]
    tokens: TokenBook
    mode: Mode
    down: bool | Literal["closed"]
    offset: float
    accounts: dict[str, Account]
    armed: list[Armed]
    callbacks: Callbacks
    losing: int
    doubling: int
    subscriptions: list[Subscription] = field(default_factory=list)
    requests: deque[float] = field(default_factory=deque)
    calls: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    waiting: dict[str, asyncio.TimerHandle] = field(default_factory=dict)
    uploaded: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, scenario: CloudScenario, clock: Callable[[], float], now: Callable[[], float]) -> State:
        """As the scenario has it at first; the demo user's data ends today."""
        accounts = {
            str(FIRST_USERID + i): Account(str(FIRST_USERID + i), user) for i, user in enumerate(scenario.users)
        }
        accounts[DEMO_USERID] = _demo_account(clock())
        return cls(
            scenario,
            now,
            TokenBook(scenario, now),
            scenario.mode,
            scenario.down,
            scenario.clock,
            accounts,
            [Armed(fault, fault.times) for fault in scenario.fail],
            scenario.callbacks,
            scenario.callbacks.lose,
            scenario.callbacks.double,
        )

    def lose(self) -> bool:
        """Whether this attempt gets lost on the way, counted."""
        if self.losing <= 0:
            return False
        self.losing -= 1
        self.told["lost"] += 1
        return True

    def double(self) -> bool:
        """Whether this notification is sent twice, counted."""
        if self.doubling <= 0:
            return False
        self.doubling -= 1
        self.told["doubled"] += 1
        return True

    def fault(self, path: str, action: str | None) -> Fault | None:
        """The fault that this request meets, counted."""
        for armed in self.armed:
            if armed.fault.path == path and armed.fault.action in (None, action):
                if armed.fault.times:
                    armed.left -= 1
                    if armed.left <= 0:
                        self.armed.remove(armed)
                return armed.fault
        return None

    def count(self, path: str, action: str | None) -> None:
        """Note a request for `describe`; only known names are given here."""
        self.calls[f"{path} {action}" if action else path] += 1

    def throttle(self) -> int | None:
        """Count a request of the application: None, or the seconds to wait when the limit is reached (§5)."""
        now, requests = self.now(), self.requests
        while requests and not 0 <= now - requests[0] < WINDOW:
            requests.popleft()
        if len(requests) >= self.scenario.rate_limit:
            return max(1, math.ceil(requests[0] + WINDOW - now))
        requests.append(now)
        return None


def _demo_account(now: float) -> Account:
    """The demo user of `mode=demo` and `getdemoaccess`: made-up data of one scale."""
    scale = Device(DEMO_MAC, 5, "Body+", "Scale", DEMO_USERID)
    user = CloudUser(email="demo@example.org", password=SecretStr(""), name="Demo")
    account = Account(DEMO_USERID, user, fixed=[scale])
    for days in range(5, 0, -1):
        date = now - days * 86_400
        scale.met(date)
        values = {"measures": [{"type": 1, "value": 72_000 + 50 * days, "unit": -3}]}
        account.add_group(scale, date, date + 30, values)
    return account
