"""What a step asks a person: the question, its choices, and what may be done meanwhile.

A front end renders a question and returns its answer. It decides nothing: which choices
are allowed, and why one is not, stands in the question.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import SecretStr

from installer.answers import FindAnswer, LinkAnswer, NetworkAnswer, ProvisionAnswer, StepKey, SyncAnswer
from installer.bluetooth.sighting import Sighting
from installer.catalogue.catalogue import Catalogue, Model, SyncMethod
from installer.errors import InstallerError
from installer.events.stream import Event
from installer.provisioning.provisioner import DeviceInfo
from installer.wifi.networks import Network


class Back(Exception):
    """The person wants the question before this one."""


class Cancelled(Exception):
    """The person ends the installation."""


class LiveSightings(Protocol):
    """The devices in reach, as a scan that goes on sees them."""

    def current(self) -> Sequence[Sighting]:
        """All sightings of the last seconds, in no order."""
        ...

    @property
    def failure(self) -> InstallerError | None:
        """Why the scan stopped, if it did."""
        ...


@dataclass(kw_only=True)
class Question:
    """Base of all questions. `can_go_back`: `Back` may be raised in place of an answer."""

    step: StepKey
    can_go_back: bool = False
    problem: InstallerError | None = None  # why the last answer was not accepted


@dataclass(kw_only=True)
class ChooseDevice(Question):
    """Which device? → `FindAnswer` with an address. `wanted`: only this model, or all."""

    step: StepKey = StepKey.FIND
    sightings: LiveSightings
    catalogue: Catalogue
    wanted: Model | None = None


@dataclass(kw_only=True)
class ConfirmDevice(Question):
    """Is it this one? → True."""

    step: StepKey = StepKey.FIND
    sighting: Sighting
    model: Model
    info: DeviceInfo
    protocol: str
    set_up: bool
    identify: Callable[[], Awaitable[None]] | None = None


@dataclass(kw_only=True)
class AskProof(Question):
    """The device's proof of possession (or password)? → `SecretStr`. `problem` says why it is asked."""

    step: StepKey = StepKey.FIND
    model: Model
    name: str


@dataclass(frozen=True)
class SyncChoice:
    """One sync method; `reason` says why it is not allowed, in a sentence."""

    method: SyncMethod
    allowed: bool
    reason: str = ""


@dataclass(kw_only=True)
class ChooseSync(Question):
    """Wi-Fi or Bluetooth only? → `SyncAnswer`. All methods are there, the missing ones with their reason.

    `count`: of the devices that are asked about at once.
    """

    step: StepKey = StepKey.SYNC
    model: Model
    choices: tuple[SyncChoice, ...]
    count: int = 1


@dataclass(kw_only=True)
class ChooseNetwork(Question):
    """Which network? → `NetworkAnswer` (without passphrase, or with one that a WIFI: text carried).

    `scan` asks the device again; None where the device cannot scan, then the SSID is typed. `host`: the SSID that this
    computer is on, to be preselected; None where nobody tells. `saved`: the networks are those that this computer
    keeps, for several devices at once, which are not asked.
    """

    step: StepKey = StepKey.NETWORK
    model: Model
    networks: Sequence[Network]
    scan: Callable[[], Awaitable[Sequence[Network]]] | None = None
    host: str | None = None
    saved: bool = False


@dataclass(kw_only=True)
class AskPassphrase(Question):
    """The passphrase of this network? → `SecretStr`.

    `of_host`: the one that this computer uses itself, to be called only if the person wants that; it may raise
    SECRET_UNAVAILABLE. None where this computer is on another network.
    """

    step: StepKey = StepKey.NETWORK
    network: Network
    of_host: Callable[[], Awaitable[SecretStr]] | None = None


@dataclass(kw_only=True)
class ConfirmSending(Question):
    """May the credentials be sent? → `ProvisionAnswer`. `encrypted`: whether the protocol encrypts them."""

    step: StepKey = StepKey.PROVISION
    model: Model
    network: Network
    protocol: str
    encrypted: bool
    warning: str = ""  # what may go wrong, in a sentence


@dataclass(frozen=True)
class StoredAccount:
    """An account with tokens: its name, and where they are kept (in words)."""

    name: str
    stored_in: str
    userid: str = ""


@dataclass(kw_only=True)
class ChooseAccount(Question):
    """Which account? → `LinkAnswer`. A name that is not stored means: sign in. `later`: that may be an answer."""

    step: StepKey = StepKey.LINK
    accounts: Sequence[StoredAccount]
    cloud: str
    later: bool = False


@dataclass(kw_only=True)
class OfferNotifications(Question):
    """Shall the cloud tell of this model's new data? → False, True (where the settings say), or an address (`str`).

    `kinds`: what it would tell of, in words. `known`: the address of the settings as it may be shown, or empty;
    `proposal`: one to begin with; after a refusal the one that was typed.
    """

    step: StepKey = StepKey.LINK
    model: Model
    account: str
    kinds: str
    known: str = ""
    proposal: str = field(default="", repr=False)


@dataclass(kw_only=True)
class SignIn(Question):
    """Sign in in a browser → the pasted address (`str`). Withdrawn when the browser came back by itself.

    `url` for a browser or a phone's QR; `short_url` opens the same page through this machine.
    `by_itself`: only in the lab, signs its practice user in without a browser.
    """

    step: StepKey = StepKey.LINK
    account: str
    url: str
    short_url: str
    seconds: float
    open_browser: Callable[[], bool] | None = None
    by_itself: Callable[[], Awaitable[None]] | None = None


class Watch(Protocol):
    """How the watch over an account goes, while a person follows the guide."""

    @property
    def looks(self) -> int:
        """How often somebody has looked into the account."""
        ...

    @property
    def last(self) -> float | None:
        """When last, on the monotonic clock in seconds."""
        ...

    @property
    def trouble(self) -> InstallerError | None:
        """Why the last look told nothing, if it did not."""
        ...


@dataclass(kw_only=True)
class FollowGuide(Question):
    """Do this with the vendor's app (`app`) → True when done. Withdrawn as soon as the device is in the account.

    `url`: the vendor's public page for a QR code, or empty; `seconds`: how long the account is watched.
    """

    step: StepKey = StepKey.PROVISION
    model: Model
    app: str
    url: str
    steps: tuple[str, ...]
    account: str
    seconds: float
    progress: Watch


class Recovery(enum.StrEnum):
    """What may follow a failure."""

    RETRY = "retry"  # the same step again, with the same answer
    CHANGE = "change"  # ask the step's question again
    STOP = "stop"


@dataclass(kw_only=True)
class Failure:
    """A failed step, and what may follow; the first is the default."""

    step: StepKey
    error: InstallerError
    recoveries: tuple[Recovery, ...]
    attempt: int = 1
    details: dict[str, Any] = field(default_factory=dict)


class FrontEnd(Protocol):
    """Supplies answers and renders events.

    A question may be withdrawn: then the task in `ask` is cancelled, and the front end clears it away.
    """

    def show(self, event: Event) -> None:
        """Render an event. Never blocks, never raises."""
        ...

    async def ask(self, question: Question) -> Any:
        """The answer, as the question's docstring says. Raises `Back` or `Cancelled`."""
        ...

    async def recover(self, failure: Failure) -> Recovery:
        """What to do about a failure."""
        ...


__all__ = [
    "AskPassphrase",
    "AskProof",
    "Back",
    "Cancelled",
    "ChooseAccount",
    "ChooseDevice",
    "ChooseNetwork",
    "ChooseSync",
    "ConfirmDevice",
    "ConfirmSending",
    "Failure",
    "FindAnswer",
    "FollowGuide",
    "FrontEnd",
    "LinkAnswer",
    "LiveSightings",
    "NetworkAnswer",
    "OfferNotifications",
    "ProvisionAnswer",
    "Question",
    "Recovery",
    "SecretStr",
    "SignIn",
    "StoredAccount",
    "SyncAnswer",
    "SyncChoice",
    "Watch",
]
