"""The events of an installation, and the union of all events: the JSON lines of `--json`.

One object per line; the field `event` names its type. Fields are only added, never changed. No event contains a
passphrase or a token. `time` is UTC in ISO 8601; durations are in seconds.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from installer.answers import StepKey
from installer.bluetooth.own_links import left_link_words
from installer.catalogue.model import SyncMethod
from installer.events.base_event import BaseEvent, is_false, is_none
from installer.measurement import Measurement
from installer.provisioning.provisioner import DeviceInfo, Stage


class InstallationStarted(BaseEvent):
    """The first event. `version` is the program's. `resumed`: the step that an earlier attempt had reached."""

    event: Literal["installation_started"] = "installation_started"
    version: str
    dry_run: bool = False
    non_interactive: bool = False
    resumed: StepKey | None = Field(default=None, exclude_if=is_none)


class StepStarted(BaseEvent):
    """A step begins; `seconds`: how long it usually takes at most."""

    event: Literal["step_started"] = "step_started"
    step: StepKey
    seconds: float | None = None


class StepSkipped(BaseEvent):
    """A step does not apply, for example the network step of a watch."""

    event: Literal["step_skipped"] = "step_skipped"
    step: StepKey
    reason: str


class StepDone(BaseEvent):
    """A step is done; `result` is what the record keeps of it. `before`: by an earlier attempt, and not again."""

    event: Literal["step_done"] = "step_done"
    step: StepKey
    took: float
    result: dict[str, Any] = Field(default={})
    before: bool = Field(default=False, exclude_if=is_false)


class DeviceFound(BaseEvent):
    """The device of this installation, and how sure its model is."""

    event: Literal["device_found"] = "device_found"
    address: str
    name: str
    model: str
    certainty: str
    rssi: int
    reasons: tuple[str, ...] = ()


class DeviceConnected(BaseEvent):
    """The connection is open; what the device says of itself.

    `security`: the number of its security scheme, in protocols that number them. `wants_proof`: it asks for a proof of
    possession, or a password.
    """

    event: Literal["device_connected"] = "device_connected"
    address: str
    protocol: str
    encrypts_credentials: bool
    security: int | None = Field(default=None, exclude_if=is_none)
    wants_proof: bool = Field(default=False, exclude_if=is_false)
    info: DeviceInfo


class SyncChosen(BaseEvent):
    """The sync method that the rule allowed."""

    event: Literal["sync_chosen"] = "sync_chosen"
    method: SyncMethod


class NetworkChosen(BaseEvent):
    """The network; never the passphrase."""

    event: Literal["network_chosen"] = "network_chosen"
    ssid: str
    security: str
    seen_by_device: bool


class Provisioning(BaseEvent):
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
        """`attempts_left` as a sentence; empty if the device does not tell."""
        left = self.attempts_left
        if left is None:
            return ""
        return f"That did not work; it tries again by itself: {left} attempt{'' if left == 1 else 's'} left."


class GuideShown(BaseEvent):
    """What somebody must do with the vendor's app (`app`); this program sends nothing to the device.

    `url`: the vendor's public page, or empty. `account`: the one that is watched.
    """

    event: Literal["guide_shown"] = "guide_shown"
    model: str
    app: str
    url: str
    steps: tuple[str, ...]
    account: str


class GuideWaiting(BaseEvent):
    """Waiting, `seconds` at most, until the device shows up in the account. `trouble`: why nobody can tell now."""

    event: Literal["guide_waiting"] = "guide_waiting"
    account: str
    seconds: float
    trouble: str = ""


class SignInNeeded(BaseEvent):
    """Somebody must sign in to the cloud. `url` opens the vendor's page; `short_url` is served by this machine.

    `short_url` counts for the first browser that opens it. The event comes again if its person asks for a new link.
    """

    event: Literal["sign_in_needed"] = "sign_in_needed"
    account: str
    url: str
    short_url: str
    seconds: float


class SignedIn(BaseEvent):
    """Tokens for the account are there. `stored_in`: the keyring or the file that keeps them.

    `userid`: the cloud's number of the person who signed in; `devices`: the names of the devices that were on the
    account then; null: not known.
    """

    event: Literal["signed_in"] = "signed_in"
    account: str
    stored_in: str
    userid: str = ""
    devices: tuple[str, ...] | None = None


class Linking(BaseEvent):
    """Waiting until the device shows up in the account. `way`: link or watch."""

    event: Literal["linking"] = "linking"
    way: Literal["link", "watch"]
    seconds: float


class Linked(BaseEvent):
    """The device is in the account. `device_id` is the cloud's."""

    event: Literal["linked"] = "linked"
    way: Literal["link", "watch"]
    account: str
    device_id: str


class WaitingForData(BaseEvent):
    """Waiting for the first measurement, from the cloud or over Bluetooth."""

    event: Literal["waiting_for_data"] = "waiting_for_data"
    source: Literal["cloud", "bluetooth"]
    seconds: float
    todo: str = ""


class FirstMeasurement(BaseEvent):
    """Proof that data flows."""

    event: Literal["first_measurement"] = "first_measurement"
    source: Literal["cloud", "bluetooth"]
    measurement: Measurement


class Notice(BaseEvent):
    """Something the person should know; the installation goes on."""

    event: Literal["notice"] = "notice"
    code: str
    text: str


def left_link_notice(address: str) -> Notice:
    """A link to this device that an earlier run left open was ended."""
    return Notice(code="left_link", text=left_link_words(address))


class Planned(BaseEvent):
    """A dry run: what this step would do."""

    event: Literal["planned"] = "planned"
    step: StepKey
    text: str


class Failed(BaseEvent):
    """What went wrong. `retried`: the installation goes on with another try."""

    event: Literal["failed"] = "failed"
    step: StepKey | None
    code: str
    exit_status: int
    what: str
    todo: str
    retried: bool = False
    data: dict[str, Any] = Field(default={})


class InstallationDone(BaseEvent):
    """The last event. `outcome`: installed, to_be_linked (by the end user), failed, cancelled or planned."""

    event: Literal["installation_done"] = "installation_done"
    outcome: Literal["installed", "to_be_linked", "failed", "cancelled", "planned"]
    took: float
    summary: dict[str, Any] = Field(default={})


class DeviceSighted(BaseEvent):
    """`scan --json`: one device, as last seen."""

    event: Literal["device_sighted"] = "device_sighted"
    sighting: dict[str, Any]
