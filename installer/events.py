"""What happened, as data: the JSON-lines contract of `--json`.

One object a line, told apart by `event`. Fields are only ever added. No event holds a
passphrase or a token. `time` is UTC in ISO 8601; durations are in seconds.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from installer.answers import StepKey
from installer.bluetooth.sighting import Sighting
from installer.catalog import SyncMethod
from installer.measurement import Measurement
from installer.provisioning.base import DeviceInfo, Stage


def _now() -> datetime:
    return datetime.now(UTC)


def _is_none(value: object) -> bool:
    return value is None


def _is_false(value: object) -> bool:
    return value is False


class _Event(BaseModel):
    # Built when first used: a run uses few of them, and none before its first Bluetooth call.
    model_config = ConfigDict(frozen=True, defer_build=True)

    time: datetime = Field(default_factory=_now)
    installation: str = ""
    # In a batch: the row of the plan that the installation is for, "3", or "3.2" for the second of a row's devices.
    row: str | None = Field(default=None, exclude_if=_is_none)


class InstallationStarted(_Event):
    """The first event. `version` is the program's. `resumed`: the step that an earlier attempt had reached."""

    event: Literal["installation_started"] = "installation_started"
    version: str
    dry_run: bool = False
    non_interactive: bool = False
    resumed: StepKey | None = Field(default=None, exclude_if=_is_none)


class StepStarted(_Event):
    """A step begins; `seconds`: how long it usually takes at most."""

    event: Literal["step_started"] = "step_started"
    step: StepKey
    seconds: float | None = None


class StepSkipped(_Event):
    """A step does not apply, for example the network step of a watch."""

    event: Literal["step_skipped"] = "step_skipped"
    step: StepKey
    reason: str


class StepDone(_Event):
    """A step is done; `result` is what the record keeps of it. `before`: by an earlier attempt, and not again."""

    event: Literal["step_done"] = "step_done"
    step: StepKey
    took: float
    result: dict[str, Any] = {}
    before: bool = Field(default=False, exclude_if=_is_false)


class DeviceFound(_Event):
    """The device of this installation, and how sure its model is."""

    event: Literal["device_found"] = "device_found"
    address: str
    name: str
    model: str
    certainty: str
    rssi: int
    reasons: tuple[str, ...] = ()


class DeviceConnected(_Event):
    """The connection is open; what the device says of itself."""

    event: Literal["device_connected"] = "device_connected"
    address: str
    protocol: str
    encrypts_credentials: bool
    info: DeviceInfo


class SyncChosen(_Event):
    """The sync method that the rule allowed."""

    event: Literal["sync_chosen"] = "sync_chosen"
    method: SyncMethod


class NetworkChosen(_Event):
    """The network; never the passphrase."""

    event: Literal["network_chosen"] = "network_chosen"
    ssid: str
    security: str
    seen_by_device: bool


class Provisioning(_Event):
    """A stage of the hand-over of credentials; `todo`: what the person must do now, if anything.

    `attempts_left`: how often the device tries once more by itself, where it tells.
    """

    event: Literal["provisioning"] = "provisioning"
    stage: Stage
    seconds: float | None = None
    todo: str = ""
    attempts_left: int | None = None

    @property
    def tries(self) -> str:
        """`attempts_left` in words; empty where the device does not tell."""
        left = self.attempts_left
        if left is None:
            return ""
        return f"That did not work; it tries again by itself: {left} attempt{'' if left == 1 else 's'} left."


class GuideShown(_Event):
    """What somebody must do with the vendor's app (`app`); this program sends nothing to the device.

    `url`: the vendor's public page, or empty. `account`: the one that is watched.
    """

    event: Literal["guide_shown"] = "guide_shown"
    model: str
    app: str
    url: str
    steps: tuple[str, ...]
    account: str


class GuideWaiting(_Event):
    """Waiting, `seconds` at most, until the device shows up in the account. `trouble`: why nobody can tell now."""

    event: Literal["guide_waiting"] = "guide_waiting"
    account: str
    seconds: float
    trouble: str = ""


class SignInNeeded(_Event):
    """Somebody must sign in to the cloud. `url` opens the vendor's page; `short_url` is served by this machine."""

    event: Literal["sign_in_needed"] = "sign_in_needed"
    account: str
    url: str
    short_url: str
    seconds: float


class SignedIn(_Event):
    """Tokens for the account are there. `stored_in`: the keyring or the file that keeps them."""

    event: Literal["signed_in"] = "signed_in"
    account: str
    stored_in: str


class Linking(_Event):
    """Waiting until the device shows up in the account. `way`: link or watch."""

    event: Literal["linking"] = "linking"
    way: Literal["link", "watch"]
    seconds: float


class Linked(_Event):
    """The device is in the account. `device_id` is the cloud's."""

    event: Literal["linked"] = "linked"
    way: Literal["link", "watch"]
    account: str
    device_id: str


class WaitingForData(_Event):
    """Waiting for the first measurement, from the cloud or over Bluetooth."""

    event: Literal["waiting_for_data"] = "waiting_for_data"
    source: Literal["cloud", "bluetooth"]
    seconds: float
    todo: str = ""


class FirstMeasurement(_Event):
    """Proof that data flows."""

    event: Literal["first_measurement"] = "first_measurement"
    source: Literal["cloud", "bluetooth"]
    measurement: Measurement


class Notice(_Event):
    """Something the person should know; the installation goes on."""

    event: Literal["notice"] = "notice"
    code: str
    text: str


class Planned(_Event):
    """A dry run: what this step would do."""

    event: Literal["planned"] = "planned"
    step: StepKey
    text: str


class Failed(_Event):
    """What went wrong. `retried`: the installation goes on with another try."""

    event: Literal["failed"] = "failed"
    step: StepKey | None
    code: str
    exit_status: int
    what: str
    todo: str
    retried: bool = False
    data: dict[str, Any] = {}


class InstallationDone(_Event):
    """The last event. `outcome`: installed, to_be_linked (by the end user), failed, cancelled or planned."""

    event: Literal["installation_done"] = "installation_done"
    outcome: Literal["installed", "to_be_linked", "failed", "cancelled", "planned"]
    took: float
    summary: dict[str, Any] = {}


class DeviceSighted(_Event):
    """`scan --json`: one device, as last seen."""

    event: Literal["device_sighted"] = "device_sighted"
    sighting: dict[str, Any]


class PlannedRow(BaseModel):
    """One row of a batch at its start: what it is for. `state`: where it is already."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    row: str
    device: str = ""
    model: str = ""
    sync: str = ""
    site: str = ""
    label: str = ""
    state: str = "waiting"


class BatchStarted(_Event):
    """A batch begins. `batch`: what its runs are kept under; `left`: how many rows are still to do.

    `parallel`: installations at once on each of the `adapters`.
    """

    event: Literal["batch_started"] = "batch_started"
    batch: str
    plan: str
    version: str
    dry_run: bool = False
    rows: tuple[PlannedRow, ...]
    left: int
    adapters: tuple[str, ...]
    parallel: int


class BatchRow(_Event):
    """A row is somewhere else now. `attempt` from 1; `code`, `what`, `todo`: why it failed or is tried again.

    `state`: waiting (for its device), started, retrying, elsewhere (another station has it), installed, to_be_linked,
    failed, cancelled, done_before (in an earlier run) or planned.
    """

    event: Literal["batch_row"] = "batch_row"
    row: str
    state: Literal[
        "waiting", "started", "retrying", "elsewhere", "installed", "to_be_linked", "failed", "cancelled",
        "done_before", "planned",
    ]  # fmt: skip
    device: str = ""
    model: str = ""
    attempt: int = 0
    took: float | None = None
    code: str = ""
    what: str = ""
    todo: str = ""


class BatchDone(_Event):
    """The last event of a batch. `counts`: rows by state; `failures`: rows by error code."""

    event: Literal["batch_done"] = "batch_done"
    batch: str
    counts: dict[str, int]
    failures: dict[str, tuple[str, ...]]
    took: float
    exit_status: int


class PlanMistake(_Event):
    """A mistake of a plan: `line` and `column` from 1 (0: not known), `name` of the column or key."""

    event: Literal["plan_mistake"] = "plan_mistake"
    line: int
    column: int
    name: str
    what: str
    todo: str


class NotificationsSubscribed(_Event):
    """The cloud will tell `url` (its secret part is left out) of new data. `new`, `kept`: the cloud's appli numbers."""

    event: Literal["notifications_subscribed"] = "notifications_subscribed"
    account: str
    url: str
    new: tuple[int, ...] = ()
    kept: tuple[int, ...] = ()


class ReceiverReady(_Event):
    """`notifications serve` listens; `url` as the cloud reaches it, without its secret part, if it is known."""

    event: Literal["receiver_ready"] = "receiver_ready"
    host: str
    port: int
    url: str = ""


class NotificationArrived(_Event):
    """The cloud (or somebody who knows the address) says that there is news of this kind for a user of this computer.

    `appli`: the cloud's number; `action`: what befell the user's account (delete, unlink, update), if it is about that.
    """

    event: Literal["notification_arrived"] = "notification_arrived"
    account: str
    appli: int
    kind: str
    action: str = ""


class NotificationFollowed(_Event):
    """What a look into the account found: values that are `new` or have `changed`.

    `kind`: measurements, activity or sleep. `code`, `what`, `todo`: why it failed, and `again`: the seconds after which
    it is repeated.
    """

    event: Literal["notification_followed"] = "notification_followed"
    account: str
    kind: str
    new: int = 0
    changed: int = 0
    code: str = ""
    what: str = ""
    todo: str = ""
    again: float | None = None


Event = Annotated[
    InstallationStarted
    | StepStarted
    | StepSkipped
    | StepDone
    | DeviceFound
    | DeviceConnected
    | SyncChosen
    | NetworkChosen
    | Provisioning
    | GuideShown
    | GuideWaiting
    | SignInNeeded
    | SignedIn
    | Linking
    | Linked
    | WaitingForData
    | FirstMeasurement
    | Notice
    | Planned
    | Failed
    | InstallationDone
    | DeviceSighted
    | BatchStarted
    | BatchRow
    | BatchDone
    | PlanMistake
    | NotificationsSubscribed
    | ReceiverReady
    | NotificationArrived
    | NotificationFollowed,
    Field(discriminator="event"),
]

ADAPTER: TypeAdapter[Event] = TypeAdapter(Event, config=ConfigDict(defer_build=True))


def sighted(sighting: Sighting) -> DeviceSighted:
    """The event of one sighting; advertised bytes become hexadecimal text."""
    advert = sighting.advert
    detection = sighting.detection
    return DeviceSighted(
        sighting={
            "address": sighting.address,
            "name": sighting.name,
            "rssi": sighting.rssi,
            "model": detection.model_id,
            "certainty": detection.certainty.value,
            "score": detection.score,
            "protocol": detection.protocol,
            "reasons": list(detection.reasons),
            "state": sighting.state.value,
            "services": list(advert.services),
            "service_data": {k: v.hex() for k, v in advert.service_data.items()},
            "manufacturer_data": {f"0x{k:04x}": v.hex() for k, v in advert.manufacturer_data.items()},
        }
    )
