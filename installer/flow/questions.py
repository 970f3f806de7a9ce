"""The questions that steps ask a person. A question says which choices are allowed, and why one is not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from installer.answers import StepKey
from installer.text import quoted

# A script asks nothing: what only questions need is not loaded for their types.
if TYPE_CHECKING:
    from pydantic import SecretStr

    from installer.bluetooth.sighting import Sighting
    from installer.catalogue.catalogue_file import Catalogue
    from installer.catalogue.model import Model, SyncMethod
    from installer.cloud.token_store import ListedAccount
    from installer.cloud.whose_account import SignedInPerson
    from installer.errors import InstallerError
    from installer.provisioning.provisioner import DeviceInfo
    from installer.wifi.card_readings import CardReadings
    from installer.wifi.networks import Network


@dataclass(frozen=True, kw_only=True)
class TargetDevice:
    """The device that a secret goes to. `name`: as it advertises itself. `model`: the model's name.

    `chosen_by`: who chose it, in words, if it was not this computer's user.
    """

    address: str
    name: str
    model: str
    chosen_by: str = ""

    @property
    def text(self) -> str:
        """In one line: the address first, which no name can look like, and the name in quotes."""
        name = quoted(self.name)
        return f"{self.address}{f' {name}' if name else ''}, {self.model}"

    @property
    def chosen(self) -> str:
        """Who chose it, or an empty text."""
        return f"chosen by {self.chosen_by}" if self.chosen_by else ""

    @property
    def whole_text(self) -> str:
        """`text`, and who chose it."""
        return f"{self.text} ({self.chosen})" if self.chosen_by else self.text


class LiveSightings(Protocol):
    """The devices in reach, from a running scan."""

    def current(self) -> Sequence[Sighting]:
        """The recent sightings, unordered."""
        ...

    @property
    def failure(self) -> InstallerError | None:
        """Why the scan stopped, if it did."""
        ...

    @property
    def restarts(self) -> bool:
        """Whether a scan that stopped goes on by itself when Bluetooth works again."""
        ...


@dataclass(kw_only=True, eq=False, repr=False)
class Question:
    """Base class of all questions. `can_go_back`: the front end may raise `Back` instead of answering.

    Without an own `repr`, no secret in one can be shown, and making the classes takes a third of the time.
    """

    step: StepKey
    can_go_back: bool = False
    problem: InstallerError | None = None  # why the previous answer was not accepted


@dataclass(kw_only=True, eq=False, repr=False)
class ChooseDevice(Question):
    """Which device? → `FindAnswer` with an address. `wanted`: offer this model only."""

    step: StepKey = StepKey.FIND
    sightings: LiveSightings
    catalogue: Catalogue
    wanted: Model | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class ConfirmDevice(Question):
    """Is it this one? → True."""

    step: StepKey = StepKey.FIND
    sighting: Sighting
    model: Model
    info: DeviceInfo
    protocol: str
    set_up: bool
    identify: Callable[[], Awaitable[None]] | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class ConfirmForeign(Question):
    """Use what somebody else's file or record says? → bool. Without a clear yes it is no.

    `title`: the question. `lines`: what it says, and what that would do. `yes`, `no`: what follows, in a few words.
    """

    title: str
    lines: tuple[str, ...]
    yes: str
    no: str


@dataclass(kw_only=True, eq=False, repr=False)
class AskProof(Question):
    """The device's proof of possession (or password)? → `SecretStr`, or the `DevicePayload` of its pasted code.

    `problem` says why it is needed.
    """

    step: StepKey = StepKey.FIND
    model: Model
    name: str
    address: str = ""


@dataclass(frozen=True)
class SyncChoice:
    """One sync method. `reason`: a sentence that says why it is not allowed."""

    method: SyncMethod
    allowed: bool
    reason: str = ""


@dataclass(kw_only=True, eq=False, repr=False)
class ChooseSync(Question):
    """Wi-Fi or Bluetooth only? → `SyncAnswer`. `choices` has all methods; those not allowed have a reason.

    `count`: how many devices the answer is for.
    """

    step: StepKey = StepKey.SYNC
    model: Model
    choices: tuple[SyncChoice, ...]
    count: int = 1


@dataclass(kw_only=True, eq=False, repr=False)
class ChooseNetwork(Question):
    """Which network? → `NetworkAnswer`, without a passphrase or with that of a WIFI: text.

    `scan`: scans again with the device; None if the device cannot scan, then the SSID is typed. `host_ssid`: the
    network of this computer, to be preselected; None if unknown. `saved`: `networks` are the saved networks of this
    computer, for a batch.
    """

    step: StepKey = StepKey.NETWORK
    model: Model
    networks: Sequence[Network]
    scan: Callable[[], Awaitable[Sequence[Network]]] | None = None
    host_ssid: str | None = None
    saved: bool = False


@dataclass(kw_only=True, eq=False, repr=False)
class ChooseReading(Question):
    """Which reading of the network's card is right? → `NetworkAnswer`, with its passphrase.

    `heard`: the SSIDs that the device, or else this computer, receives.
    """

    step: StepKey = StepKey.NETWORK
    readings: CardReadings
    heard: frozenset[str] = frozenset()


@dataclass(kw_only=True, eq=False, repr=False)
class ChooseSpelling(Question):
    """Which name is meant? → the SSID: that of one of `heard`, which `who` receives, or `typed` as it is."""

    step: StepKey = StepKey.NETWORK
    typed: str
    heard: tuple[Network, ...]
    who: str


@dataclass(kw_only=True, eq=False, repr=False)
class AskPassphrase(Question):
    """The passphrase of this network? → `SecretStr`.

    `host_passphrase`: returns the passphrase that this computer uses; call it only if the person wants that. It may
    raise SECRET_UNAVAILABLE. None if this computer is on another network. `device`: None for several devices.
    """

    step: StepKey = StepKey.NETWORK
    network: Network
    device: TargetDevice | None = None
    host_passphrase: Callable[[], Awaitable[SecretStr]] | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class ConfirmSending(Question):
    """Send the credentials? → `ProvisionAnswer`. `encrypted`: whether the protocol encrypts them.

    `proved`: whether the device has proved with a proof of possession that it knows it. `safe_from_relays`: whether
    nobody between this computer and the device could read them.
    """

    step: StepKey = StepKey.PROVISION
    model: Model
    network: Network
    protocol: str
    encrypted: bool
    proved: bool = False
    safe_from_relays: bool = False
    device: TargetDevice | None = None
    warning: str = ""  # a sentence that says what may go wrong

    @property
    def protection(self) -> str:
        """Who could read the passphrase on its way, and whether the device has shown that it is the right one."""
        if not self.encrypted:
            return (
                "It is sent over Bluetooth without encryption: somebody within radio reach could read it. Nothing "
                "proves which device gets it."
            )
        if not self.proved:
            return (
                "It is encrypted on its way. The device has not proved which one it is: another one could pretend to "
                "be it."
            )
        if self.safe_from_relays:
            return "It is encrypted on its way, and the device has shown that it knows its proof of possession."
        return (
            "It is encrypted, and the device knows its proof of possession. But somebody who relays the radio "
            "traffic could read it, and a short proof can be guessed."
        )


@dataclass(kw_only=True, eq=False, repr=False)
class AcceptUnproved(Question):
    """Send the passphrase to a device that has not proved itself as it must? → True, or False: the usual answer.

    `asked`: what asks for more; `offered`: what the device offers; both are parts of a sentence. `encrypted`: whether
    the passphrase is encrypted on its way.
    """

    step: StepKey = StepKey.PROVISION
    model: Model
    name: str
    address: str
    asked: str
    offered: str
    encrypted: bool

    @property
    def consequence(self) -> str:
        """What may happen, in plain words."""
        pretend = "Another device may pretend to be this one. Then whoever owns it gets the passphrase."
        if self.encrypted:
            return pretend
        return f"{pretend} It also travels unencrypted: somebody close by with a radio can read it."


@dataclass(kw_only=True, eq=False, repr=False)
class ChooseAccount(Question):
    """Which account? → `LinkAnswer`. A name that is not stored means: sign in. `later`: offer to link later."""

    step: StepKey = StepKey.LINK
    accounts: Sequence[ListedAccount]
    cloud: str
    later: bool = False


@dataclass(kw_only=True, eq=False, repr=False)
class OfferNotifications(Question):
    """Subscribe to notifications of this model's new data? → False, True (the settings' address), or an address.

    `kinds`: the kinds of data, in words. `known`: the address of the settings without its secret, or empty.
    `proposal`: the address to start typing from; after a refusal, the typed one.
    """

    step: StepKey = StepKey.LINK
    model: Model
    account: str
    kinds: str
    known: str = ""
    proposal: str = ""


@dataclass(kw_only=True, eq=False, repr=False)
class SignIn(Question):
    """Sign in in a browser → the pasted address (`str`). Withdrawn when the browser was redirected to this computer.

    `url`: for a browser, or as a QR code for a phone. `short_url` opens the same page through this computer, for the
    first browser that opens it. `new_link` makes both anew and returns (`url`, `short_url`); the old ones
    count no more. `warning`: what happened at the link that its person is to know, or an empty text.
    `sign_in_lab_user`: only in the lab; signs in the lab's user without a browser.
    """

    step: StepKey = StepKey.LINK
    account: str
    url: str
    short_url: str
    seconds: float
    open_browser: Callable[[], bool] | None = None
    new_link: Callable[[], tuple[str, str]] | None = None
    warning: Callable[[], str] | None = None
    sign_in_lab_user: Callable[[], Awaitable[None]] | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class ConfirmAccount(Question):
    """Is this the account that is meant? → True or False. Asked before anything of a new sign-in is stored.

    `person.warning` says what does not fit the accounts that are stored.
    """

    step: StepKey = StepKey.LINK
    person: SignedInPerson


class AccountWatch(Protocol):
    """The state of the account watch while a person follows the guide."""

    @property
    def check_count(self) -> int:
        """How often the account was checked."""
        ...

    @property
    def last_checked(self) -> float | None:
        """The time of the last check, in seconds of the monotonic clock."""
        ...

    @property
    def error(self) -> InstallerError | None:
        """Why the last check failed, if it did."""
        ...


@dataclass(kw_only=True, eq=False, repr=False)
class FollowGuide(Question):
    """Follow these steps in the vendor's app (`app`) → True when done. Withdrawn when the device is in the account.

    `url`: the vendor's public page, for a QR code, or empty. `seconds`: how long the account is watched.
    """

    step: StepKey = StepKey.PROVISION
    model: Model
    app: str
    url: str
    steps: tuple[str, ...]
    account: str
    seconds: float
    progress: AccountWatch
