"""The state of an installation as its events tell it, for the screens to draw. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from installer.answers import StepKey
from installer.catalogue.model import SyncMethod
from installer.events.installation import (
    DeviceConnected,
    DeviceFound,
    Failed,
    FirstMeasurement,
    GuideShown,
    InstallationDone,
    InstallationStarted,
    Linked,
    Linking,
    NetworkChosen,
    Notice,
    Planned,
    Provisioning,
    SignedIn,
    SignInNeeded,
    StepDone,
    StepSkipped,
    StepStarted,
    SyncChosen,
    WaitingForData,
)
from installer.events.json_lines import Event
from installer.events.notifications import NotificationsSubscribed
from installer.measurement import Measurement
from installer.provisioning.provisioner import Stage


class Mark(enum.Enum):
    """The progress of a step or stage; the value is the sign in front of its name."""

    TODO = "○"
    NOW = "●"
    DONE = "✓"
    SKIPPED = ""


@dataclass
class InstallationState:
    """What the events of one installation told. Times are in seconds of the caller's monotonic clock."""

    marks: dict[StepKey, Mark] = field(default_factory=lambda: dict.fromkeys(StepKey, Mark.TODO))
    step: StepKey | None = None
    phase_started_at: float = 0.0
    phase_seconds: float | None = None  # how long the current phase usually takes at most
    dry_run: bool = False
    device: DeviceFound | None = None
    connected: DeviceConnected | None = None
    sync: SyncMethod | None = None
    network: NetworkChosen | None = None
    guide: GuideShown | None = None
    stage: Stage | None = None
    asked_for_button: bool = False
    todo: str = ""
    attempts_left: str = ""  # how often the device still tries to join, as a sentence
    credentials_sent: bool = False
    signed_in: SignedIn | None = None
    linking: Linking | None = None
    linked: Linked | None = None
    notification_url: str = ""  # where the cloud sends notifications
    waiting_for_data: WaitingForData | None = None
    measurement: Measurement | None = None
    notice: str = ""
    lasting_notice: str = ""  # shown until another one comes: a person decides by it in a later step
    first_data_later: str = ""  # when the first data will come, as a sentence
    gateway_notice: str = ""
    plans: list[Planned] = field(default_factory=list)
    failure: Failed | None = None
    done: InstallationDone | None = None

    def enter_step(self, step: StepKey) -> None:
        """`step` is the current one; the steps after it are to be done again."""
        after = False
        for key in self.marks:
            if key is step:
                self.marks[key] = Mark.NOW
                after = True
            elif after:
                self.marks[key] = Mark.TODO
            elif self.marks[key] is Mark.NOW:
                self.marks[key] = Mark.DONE
        self.step = step

    def start_phase(self, now: float, seconds: float | None) -> None:
        """A phase starts at `now` and usually takes at most `seconds`."""
        self.phase_started_at = now
        self.phase_seconds = seconds

    def apply(self, event: Event, now: float) -> None:
        """Apply one event. Other events change nothing."""
        match event:
            case InstallationStarted():
                self.dry_run = event.dry_run
            case StepStarted():
                self.enter_step(event.step)
                self.todo, self.notice = "", self.lasting_notice
                self.start_phase(now, event.seconds)
                if event.step is StepKey.PROVISION:
                    self.stage, self.asked_for_button = None, False
            case StepSkipped():
                self.marks[event.step] = Mark.SKIPPED
            case StepDone():
                self.marks[event.step] = Mark.DONE
                self.todo = ""
            case DeviceFound():
                self.device, self.connected, self.guide = event, None, None
                self.start_phase(now, self.phase_seconds)
            case DeviceConnected():
                self.connected = event
            case SyncChosen():
                self.sync = event.method
                if event.method is SyncMethod.BLUETOOTH:
                    self.network = None
            case NetworkChosen():
                self.network = event
            case GuideShown():
                self.guide = event
            case Provisioning():
                self._provisioning(event, now)
            case SignInNeeded():
                self.start_phase(now, event.seconds)
            case SignedIn():
                self.signed_in = event
            case Linking():
                self.linking = event
                self.start_phase(now, event.seconds)
            case Linked():
                self.linked = event
            case NotificationsSubscribed():
                self.notification_url = event.url
            case WaitingForData():
                self.waiting_for_data, self.todo = event, event.todo
                self.start_phase(now, event.seconds)
            case FirstMeasurement():
                self.measurement = event.measurement
            case Notice():
                self.notice = event.text
                if event.code == "shared_ledger":
                    self.lasting_notice = event.text
                if event.code == "first_data_later":
                    self.first_data_later = event.text
                if event.code == "gateway_needed":
                    self.gateway_notice = event.text
            case Planned():
                self.plans.append(event)
            case Failed():
                self.failure = event
            case InstallationDone():
                self.done = event
            case _:
                pass

    def _provisioning(self, event: Provisioning, now: float) -> None:
        self.stage, self.todo, self.attempts_left = event.stage, event.todo, event.tries
        self.asked_for_button |= event.stage is Stage.AUTHORIZATION_NEEDED
        self.credentials_sent |= event.stage in (Stage.SENDING, Stage.JOINING, Stage.JOINED, Stage.STORED)
        self.start_phase(now, event.seconds)


@dataclass(frozen=True)
class ProgressView:
    """What the progress screen shows. `todo`: what the user must do now, if anything."""

    title: str
    hint: str = ""
    stages: tuple[tuple[Mark, str], ...] = ()
    todo: str = ""
