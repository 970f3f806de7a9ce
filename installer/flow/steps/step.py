"""What a step is, and what the steps of one installation share.

A step says whether it applies, gets its answer (given, asked, or a default), checks it, and
carries it out. It is idempotent: carried out again after a failure, it goes on where it was.
"""

from __future__ import annotations

import abc
import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import SecretStr

from installer.answers import Answers, StepKey
from installer.catalogue.catalogue import Catalogue, Model, SyncMethod
from installer.errors import ErrorCode, InstallerError
from installer.events.stream import Event
from installer.flow.questions import FrontEnd, Question, Recovery
from installer.ledger.site_and_operator import Context

if TYPE_CHECKING:
    from installer.bluetooth.adapter import Adapter
    from installer.bluetooth.connection import Connection
    from installer.bluetooth.scan import Scan
    from installer.bluetooth.shared_radio import SharedRadio
    from installer.bluetooth.sighting import Sighting
    from installer.cloud.account import Account
    from installer.cloud.accounts import Accounts
    from installer.cloud.api_models import CloudDevice
    from installer.gateway.files_and_lock import GatewayFiles
    from installer.ledger.records import Record, Records
    from installer.measurement import Measurement
    from installer.notifications.setup import NotificationSetup
    from installer.provisioning.provisioner import DeviceInfo, Provisioner
    from installer.wifi.networks import Credentials, Network


# What is wrong is the proof of possession; it is asked again, whatever step was reached.
PROOF = (ErrorCode.PROOF_MISSING, ErrorCode.PROOF_WRONG)


@dataclass(frozen=True)
class Deadlines:
    """How long each wait may take, in seconds."""

    find: float = 20.0
    settle: float = 2.0  # after the first fit, how long to look for a second one
    connect: float = 30.0
    authorization: float = 60.0  # for somebody to press the button on the device
    sign_in: float = 600.0
    link: float = 120.0
    guide: float = 900.0  # for somebody to set the device up with the vendor's app
    data: float = 120.0
    measurement: float = 60.0

    def with_guide(self, seconds: float | None) -> Deadlines:
        """The same with another deadline for the guide, if one is given."""
        return self if seconds is None else replace(self, guide=seconds)


@dataclass(frozen=True)
class Options:
    """How this run behaves; none of it is a choice of the installation."""

    non_interactive: bool = False
    dry_run: bool = False
    require_encryption: bool = False
    keep_wifi: bool = False
    only_new: bool = False  # not a device that is set up, also if this program did that
    identify: bool = False  # let the device blink or beep when somebody must touch it
    guided: bool = False  # set up with the vendor's app, whatever the device speaks
    # Where first data are not wanted: how long they are waited for all the same if nothing else can show that a device
    # has joined, seconds.
    doubt: float | None = None
    ask: frozenset[StepKey] = frozenset()
    deadlines: Deadlines = field(default_factory=Deadlines)
    timeout: float | None = None  # seconds for the whole installation


class Claims:
    """Which device of an account belongs to which installation, where several of a model are set up at once.

    Without it, two that watch an account would take the same new device for theirs.
    """

    def __init__(self, *, shared: bool = False) -> None:
        """`shared`: by several installations; `before`: what was in each account when the first of them looked."""
        self.shared = shared
        self.before: dict[str, frozenset[str]] = {}
        self._taken: dict[str, str] = {}

    def others(self, installation: str) -> frozenset[str]:
        """The cloud's ids that other installations have taken."""
        return frozenset(device for device, owner in self._taken.items() if owner != installation)

    def take(self, device_id: str, installation: str) -> None:
        """This one belongs to `installation`."""
        self._taken.setdefault(device_id, installation)


@dataclass
class Environment:
    """The world that an installation works in. Costly parts are made when first needed."""

    catalogue: Catalogue
    open_adapter: Callable[[], Awaitable[Adapter]]
    open_accounts: Callable[[], Awaitable[Accounts]]
    records: Records
    context: Context = field(default_factory=Context)
    cloud_name: str = "the cloud"
    # The lab's user signs in by itself in a run that asks nobody: (authorize URL) → done.
    sign_in_robot: Callable[[str], Awaitable[None]] | None = None
    # Where this computer is told of new data; None: it is not offered.
    open_notifications: Callable[[], NotificationSetup] | None = None
    # Several installations on one adapter share its scan; without it, each opens an adapter of its own.
    radio: SharedRadio | None = None
    # Of the cloud, by account and model: what an installation of this run has taken for its device.
    claims: Claims = field(default_factory=lambda: Claims())
    # Held while somebody signs in, so that one sign-in does for all that run at once.
    sign_in: asyncio.Lock | None = None
    # Where this computer's gateway keeps its outbox, whether there is one or not.
    gateway: GatewayFiles | None = None
    options: Options = field(default_factory=Options)


@dataclass
class Situation:
    """What is known so far about one installation."""

    id: str
    surroundings: Environment
    front: FrontEnd
    given: Answers
    emit: Callable[[Event], None]
    record: Record
    made: Answers = field(default_factory=Answers)
    started: float = field(default_factory=time.time)

    adapter: Adapter | None = None
    scan: Scan | None = None
    sighting: Sighting | None = None
    model: Model | None = None
    connection: Connection | None = None
    proof: SecretStr | None = None
    username: str | None = None  # that goes with the proof
    proof_problem: InstallerError | None = None
    provisioner: Provisioner | None = None
    info: DeviceInfo | None = None
    keep_wifi: bool = False
    guided: bool = False  # only the vendor's app sets it up
    associated: bool | None = None  # whether it says that it is on an account already
    associated_since: bool = False  # it may have come to that account after this installation began
    handed_over: str | None = None  # the cloud's id, if an earlier run saw it come to the account
    resumed: bool = False  # an installation that an earlier process began
    keep_wifi_wanted: bool = False  # somebody said so in an earlier attempt
    known_before: dict[str, frozenset[str]] = field(default_factory=dict)  # of each account, by an earlier attempt
    linked_as: str | None = None  # the cloud's id, if an earlier attempt saw it in the account; not looked at yet
    unsettled: bool = False  # an earlier attempt sent credentials, and nobody knows what became of them
    unseen: dict[str, Any] | None = None  # the result of a provision step that only the cloud can confirm
    unseen_took: float = 0.0
    method: SyncMethod | None = None
    networks: list[Network] | None = None  # the device's last scan
    host: Network | None = None  # that this computer is on itself, as far as it tells
    network: Network | None = None
    band_hint: str = ""  # why the device may not find the network, as far as this computer hears
    credentials: Credentials | None = None
    sent: bool = False
    stored: bool = False  # the device has its network, and is to join when it is in reach
    url: str | None = None
    account: Account | None = None
    known_devices: frozenset[str] | None = None
    cloud_device: CloudDevice | None = None
    notify: Any = None  # what was chosen about notifications: as in the answer
    notified: str = ""  # where the cloud tells of new data, without its secret
    left: InstallerError | None = None  # what did not work out although the installation stands
    measurement: Measurement | None = None

    @property
    def options(self) -> Options:
        """How this run behaves."""
        return self.surroundings.options

    @property
    def the_model(self) -> Model:
        """The model; a step after find may rely on it."""
        if self.model is None:
            raise InstallerError(ErrorCode.INTERNAL, "No device was chosen yet.", "This is a defect; report it.")
        return self.model

    @property
    def the_sighting(self) -> Sighting:
        """The sighting of the device; a step after find may rely on it."""
        if self.sighting is None:
            raise InstallerError(ErrorCode.INTERNAL, "No device was chosen yet.", "This is a defect; report it.")
        return self.sighting

    @property
    def the_method(self) -> SyncMethod:
        """The sync method; a step after sync may rely on it."""
        if self.method is None:
            raise InstallerError(ErrorCode.INTERNAL, "No sync method was chosen.", "This is a defect; report it.")
        return self.method

    @property
    def later(self) -> bool:
        """Whether the device is linked later, by its user."""
        link = self.made.link or self.given.link
        return link is not None and link.later

    def forget_choice(self, key: StepKey) -> None:
        """What was chosen at this step, and what followed from it, no longer holds; a given answer is not taken."""
        self.given = self.given.without([key])
        order = list(StepKey)
        if order.index(key) <= order.index(StepKey.NETWORK):
            self.credentials = None
        if key in (StepKey.FIND, StepKey.SYNC):
            self.network = None
            self.method = None
        if key is StepKey.FIND:
            self.networks = self.sighting = self.model = self.info = None
            self.keep_wifi = self.guided = False
            self.associated = self.handed_over = None
            self.proof = self.username = None

    def forget_proof(self, problem: InstallerError) -> None:
        """A wrong proof is asked for anew, and not taken from where it was given once more."""
        self.proof, self.proof_problem = None, problem
        given = self.given.find
        if given is not None:
            tried = given.model_copy(update={"proof": None, "secret": None})
            self.given = self.given.with_answer(StepKey.FIND, tried)

    def may_ask(self, key: StepKey) -> bool:
        """Whether a person can be asked for this step."""
        return not self.options.non_interactive or key in self.options.ask

    async def ask(self, question: Question) -> Any:
        """The person's answer. Raises ANSWER_MISSING where nobody is to be asked."""
        if not self.may_ask(question.step):
            raise missing(question.step)
        return await self.front.ask(question)


_OPTION = {
    StepKey.FIND: "--device ADDRESS or --model NAME",
    StepKey.SYNC: "--sync wifi or --sync bluetooth",
    StepKey.NETWORK: "--ssid NAME and --passphrase-file F or --passphrase-env VAR",
    StepKey.PROVISION: "an answers file",
    StepKey.LINK: "--account NAME",
    StepKey.VERIFY: "an answers file",
}


def missing(key: StepKey, what: str | None = None) -> InstallerError:
    """ANSWER_MISSING for this step; `what` is missing and the option that supplies it."""
    return InstallerError(
        ErrorCode.ANSWER_MISSING,
        f"This run asks nobody, and {what or f'the choice for step “{key}”'} is missing.",
        f"Give {_OPTION[key]}, or write it into an answers file, or let a person choose with --ask {key}.",
        step=key.value,
    )


def named_model(situation: Situation) -> Model | None:
    """The model that the given answers name; it may be known before any device is seen."""
    given = situation.given.find
    return situation.surroundings.catalogue.get(given.model) if given is not None and given.model else None


class GoTo(Exception):
    """Go on at an earlier step: what was taken for done there is not. Its answer still holds."""

    def __init__(self, step: StepKey) -> None:
        super().__init__(step)
        self.step = step


class Step(abc.ABC):
    """One stage of the flow. Stateless: all it learns is in the situation."""

    key: ClassVar[StepKey]
    seconds: ClassVar[float | None] = None

    def skip_reason(self, situation: Situation) -> str | None:
        """Why the step does not apply here, in words; None if it does."""
        return None

    @abc.abstractmethod
    async def answer(self, situation: Situation, problem: InstallerError | None, can_go_back: bool) -> Any:
        """The answer: given, asked for, or the default. `problem`: why the last one did not work."""

    def foresee(self, situation: Situation) -> None:
        """Raise what is wrong with the given answer already; asked before any radio is, where nobody can mend it."""

    def check(self, situation: Situation, answer: Any) -> None:
        """Raise the error that makes this answer impossible; before anything is sent."""

    @abc.abstractmethod
    async def carry_out(self, situation: Situation, answer: Any) -> dict[str, Any]:
        """Do it; the returned result is recorded (JSON types, no secret)."""

    def settled(self, situation: Situation, answer: Any) -> Any:
        """The answer with what was chosen while it was carried out."""
        return answer

    def plan(self, situation: Situation, answer: Any) -> str | None:
        """Dry run: what would be done, in words. None: carry it out, because it changes nothing."""
        return None

    def recoveries(self, situation: Situation, error: InstallerError) -> tuple[Recovery, ...]:
        """What may follow this failure, the best first."""
        del situation, error
        return (Recovery.RETRY, Recovery.STOP)

    def change_at(self, error: InstallerError) -> StepKey:
        """The step at which `Recovery.CHANGE` asks again."""
        del error
        return self.key
