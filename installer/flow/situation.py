"""The state that the steps of one installation share: the device, the answers, the connection, the account."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from installer.answers import Answers, StepKey
from installer.catalogue.model import Model, SyncMethod
from installer.errors import ErrorCode, InstallerError
from installer.flow.environment import Environment
from installer.flow.run_options import Options
from installer.provisioning.provisioner import ConnectionSecurity
from installer.provisioning.required_security import RequiredSecurity

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice

    from installer.bluetooth.adapter import Adapter
    from installer.bluetooth.connection import Connection
    from installer.bluetooth.scan import Scan
    from installer.bluetooth.sighting import Sighting
    from installer.cloud.account import Account
    from installer.cloud.api_models import CloudDevice
    from installer.events.installation import Notice
    from installer.events.json_lines import Event
    from installer.flow.front_end import FrontEnd
    from installer.flow.questions import Question
    from installer.ledger.records import Record
    from installer.measurement import Measurement
    from installer.provisioning.provisioner import DeviceInfo, Provisioner
    from installer.wifi.credentials import Credentials
    from installer.wifi.networks import Network


# Address, protocol, what the connection offers, and what was asked for.
AcceptedConnection = tuple[str, str, ConnectionSecurity, RequiredSecurity]

# After these errors the proof of possession is asked again, in every step.
PROOF_ERRORS = (ErrorCode.PROOF_MISSING, ErrorCode.PROOF_WRONG)
# After these errors it may be another device that pretends to be the chosen one.
TRUST_ERRORS = (ErrorCode.SECURITY_TOO_LOW, ErrorCode.DEVICE_CHANGED)


@dataclass
class Situation:
    """What is known so far about one installation. `given`: the answers from outside; `chosen`: those of done steps."""

    id: str
    environment: Environment
    front_end: FrontEnd
    given: Answers
    emit: Callable[[Event], None]
    record: Record
    chosen: Answers = field(default_factory=Answers)
    started: float = field(default_factory=time.time)

    adapter: Adapter | None = None
    scan: Scan | None = None
    sighting: Sighting | None = None
    model: Model | None = None
    connection: Connection | None = None
    ble_device: BLEDevice | None = None  # that of the last connection
    proof: SecretStr | None = None
    username: str | None = None  # belongs to the proof
    proof_problem: InstallerError | None = None
    # What a device must show before it gets a secret: any device of this run, and each by its address and by the name
    # that a label gives it. Nothing makes it lower.
    required_of_all: RequiredSecurity = field(default_factory=RequiredSecurity)
    required_security: dict[str, RequiredSecurity] = field(default_factory=dict)
    # What was stated for a device that the person then left for another one, and which device that was, in words.
    required_before: RequiredSecurity = field(default_factory=RequiredSecurity)
    left_device: str = ""
    # The connections that a person, or an option, has accepted although they are below that.
    accepted_unproved: set[AcceptedConnection] = field(default_factory=set)
    # What is to be told after the device: it was connected while it was still being recorded. None: nothing is held.
    held_notices: list[Notice] | None = None
    connect_error: InstallerError | None = None  # of a connection that was tried before it was certain that it is meant
    bonded: bool = False  # this computer has keys of the device
    bond_recorded: bool = False
    passkey_used: bool = False  # the digits that were given were tried: they are not tried twice
    provisioner: Provisioner | None = None
    info: DeviceInfo | None = None
    keep_wifi: bool = False
    guided: bool = False  # the vendor's app sets the device up
    # Whether the device says that it is on an account; None: unknown.
    associated: bool | None = None
    # It may have come to that account after this installation began.
    maybe_associated_after_start: bool = False
    # The cloud's id, if an earlier guided installation brought the device to the account.
    handed_over_device_id: str | None = None
    resumed: bool = False  # an earlier process began this installation
    keep_wifi_requested_before: bool = False  # in an earlier attempt
    # What an earlier attempt saw in each account before the device was linked.
    known_devices_by_account: dict[str, frozenset[str]] = field(default_factory=dict)
    # The cloud's id, if an earlier attempt linked the device; set to None when that was checked.
    earlier_linked_device_id: str | None = None
    # An earlier attempt sent credentials, and it is not known whether the device joined.
    join_unconfirmed: bool = False
    # The result of a provision step whose join only the cloud can confirm, and how long that step took.
    unconfirmed_provision_result: dict[str, Any] | None = None
    unconfirmed_provision_seconds: float = 0.0
    method: SyncMethod | None = None
    scanned_networks: list[Network] | None = None  # the device's last scan
    host_network: Network | None = None  # the network of this computer, if known
    network: Network | None = None
    band_hint: str = ""  # why the device may not find the network, from what this computer receives
    credentials: Credentials | None = None
    credentials_sent: bool = False
    credentials_stored: bool = False  # the device keeps them and joins when the network is in reach
    device_url: str | None = None
    account: Account | None = None
    known_devices: frozenset[str] | None = None  # in the account before the device was linked
    cloud_device: CloudDevice | None = None
    notification_choice: Any = None  # `notify` of the link answer
    notification_url: str = ""  # the callback address, without its secret
    nonfatal_error: InstallerError | None = None  # what failed although the device is installed
    measurement: Measurement | None = None

    @property
    def options(self) -> Options:
        """How this run behaves."""
        return self.environment.options

    @property
    def chosen_model(self) -> Model:
        """The model, which the find step has set."""
        if self.model is None:
            raise InstallerError(ErrorCode.INTERNAL, "No device was chosen yet.", "This is a defect; report it.")
        return self.model

    @property
    def chosen_sighting(self) -> Sighting:
        """The sighting of the device, which the find step has set."""
        if self.sighting is None:
            raise InstallerError(ErrorCode.INTERNAL, "No device was chosen yet.", "This is a defect; report it.")
        return self.sighting

    @property
    def chosen_method(self) -> SyncMethod:
        """The sync method, which the sync step has set."""
        if self.method is None:
            raise InstallerError(ErrorCode.INTERNAL, "No sync method was chosen.", "This is a defect; report it.")
        return self.method

    @property
    def secrets_of_device(self) -> list[SecretStr]:
        """What the device knows, or may have found out: it must not repeat it in its own words."""
        known = [self.proof, self.credentials.passphrase if self.credentials is not None else None]
        return [secret for secret in known if secret is not None]

    @property
    def link_later(self) -> bool:
        """Whether the device is linked later, by its user."""
        link = self.chosen.link or self.given.link
        return link is not None and link.later

    def forget_choice(self, key: StepKey) -> None:
        """Forget the choice of this step and what depends on it, also if it was a given answer."""
        self.given = self.given.without([key])
        order = list(StepKey)
        if order.index(key) <= order.index(StepKey.NETWORK):
            self.credentials = None
        if key in (StepKey.FIND, StepKey.SYNC):
            self.network = None
            self.method = None
        if key is StepKey.FIND:
            self.scanned_networks = self.sighting = self.model = self.info = None
            self.keep_wifi = self.guided = False
            self.associated = self.handed_over_device_id = None
            self.proof = self.username = None
            self.bonded = self.bond_recorded = False

    def require(self, address_or_name: str, minimum: RequiredSecurity) -> None:
        """Ask this of the device with this address or name, beside what is asked of it already."""
        key = address_or_name.strip().lower()
        self.required_security[key] = self.required_security.get(key, RequiredSecurity()) | minimum

    def forget_proof(self, problem: InstallerError) -> None:
        """Forget a wrong proof, also a given one, so that a person is asked for it; it is still required."""
        self.proof, self.proof_problem = None, problem
        given = self.given.find
        if given is not None:
            self.given = self.given.with_answer(StepKey.FIND, given.without_proof())

    def tell(self, notice: Notice) -> None:
        """Emit it, but not before the device that it is about."""
        if self.held_notices is None:
            self.emit(notice)
        else:
            self.held_notices.append(notice)

    def may_ask(self, key: StepKey) -> bool:
        """Whether a person can be asked for this step."""
        return not self.options.non_interactive or key in self.options.ask

    @property
    def may_ask_pairing(self) -> bool:
        """Whether a person can be asked what a device wants to know when it is paired, in whichever step that is."""
        return self.options.ask_pairing or self.may_ask(StepKey.FIND)

    async def ask(self, question: Question) -> Any:
        """The person's answer. Raises ANSWER_MISSING if this run may not ask."""
        if not self.may_ask(question.step):
            raise answer_missing(question.step)
        return await self.front_end.ask(question)


_OPTION_BY_STEP = {
    StepKey.FIND: "--device ADDRESS or --model NAME",
    StepKey.SYNC: "--sync wifi or --sync bluetooth",
    StepKey.NETWORK: "--ssid NAME and --passphrase-file F or --passphrase-env VAR",
    StepKey.PROVISION: "an answers file",
    StepKey.LINK: "--account NAME",
    StepKey.VERIFY: "an answers file",
}


def answer_missing(key: StepKey, what: str | None = None) -> InstallerError:
    """ANSWER_MISSING for this step, with the option that supplies the answer. `what`: what is missing."""
    return InstallerError(
        ErrorCode.ANSWER_MISSING,
        f"This run asks nobody, and {what or f'the choice for step “{key}”'} is missing.",
        f"Give {_OPTION_BY_STEP[key]}, or write it into an answers file, or let a person choose with --ask {key}.",
        step=key.value,
    )


def model_in_given_answers(situation: Situation) -> Model | None:
    """The model that the given answers name, or None; needs no device."""
    given = situation.given.find
    return situation.environment.catalogue.get(given.model) if given is not None and given.model else None
