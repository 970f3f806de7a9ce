"""What an installation has told so far: events in, a state that screens draw out of it. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from installer.answers import StepKey
from installer.catalogue.catalogue import SyncMethod
from installer.events.notifications import NotificationsSubscribed
from installer.events.stream import (
    DeviceConnected,
    DeviceFound,
    Event,
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
from installer.measurement import Measurement
from installer.provisioning.provisioner import Stage


class Mark(enum.Enum):
    """Where a step is; the value is the sign in front of its name."""

    TODO = "○"
    NOW = "●"
    DONE = "✓"
    SKIPPED = ""


@dataclass
class RunState:
    """All that the events of one installation say. Times are on the caller's clock, in seconds."""

    marks: dict[StepKey, Mark] = field(default_factory=lambda: dict.fromkeys(StepKey, Mark.TODO))
    step: StepKey | None = None
    since: float = 0.0
    seconds: float | None = None
    dry_run: bool = False
    device: DeviceFound | None = None
    connected: DeviceConnected | None = None
    sync: SyncMethod | None = None
    network: NetworkChosen | None = None
    guide: GuideShown | None = None
    stage: Stage | None = None
    asked_for_button: bool = False
    todo: str = ""
    tries: str = ""
    credentials_sent: bool = False
    signing_in: SignInNeeded | None = None
    signed_in: SignedIn | None = None
    linking: Linking | None = None
    linked: Linked | None = None
    notified: str = ""  # where the cloud tells of new data
    waiting: WaitingForData | None = None
    measurement: Measurement | None = None
    measured_over: str = ""
    notice: str = ""
    later: str = ""
    gateway: str = ""
    plans: list[Planned] = field(default_factory=list)
    failure: Failed | None = None
    done: InstallationDone | None = None

    def enter(self, step: StepKey) -> None:
        """`step` is the one at hand; what came after it is to be done again."""
        later = False
        for key in self.marks:
            if key is step:
                self.marks[key] = Mark.NOW
                later = True
            elif later:
                self.marks[key] = Mark.TODO
            elif self.marks[key] is Mark.NOW:
                self.marks[key] = Mark.DONE
        self.step = step

    def restart_clock(self, now: float, seconds: float | None) -> None:
        """What happens now began at `now` and takes `seconds` at most, as a rule."""
        self.since = now
        self.seconds = seconds

    def apply(self, event: Event, now: float) -> None:
        """Take in one event. Unknown or unneeded events change nothing."""
        match event:
            case InstallationStarted():
                self.dry_run = event.dry_run
            case StepStarted():
                self.enter(event.step)
                self.todo = self.notice = ""
                self.restart_clock(now, event.seconds)
                if event.step is StepKey.PROVISION:
                    self.stage, self.asked_for_button = None, False
            case StepSkipped():
                self.marks[event.step] = Mark.SKIPPED
            case StepDone():
                self.marks[event.step] = Mark.DONE
                self.todo = ""
            case DeviceFound():
                self.device, self.connected, self.guide = event, None, None
                self.restart_clock(now, self.seconds)
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
                self.signing_in = event
                self.restart_clock(now, event.seconds)
            case SignedIn():
                self.signed_in, self.signing_in = event, None
            case Linking():
                self.linking = event
                self.restart_clock(now, event.seconds)
            case Linked():
                self.linked = event
            case NotificationsSubscribed():
                self.notified = event.url
            case WaitingForData():
                self.waiting, self.todo = event, event.todo
                self.restart_clock(now, event.seconds)
            case FirstMeasurement():
                self.measurement, self.measured_over = event.measurement, event.source
            case Notice():
                self.notice = event.text
                if event.code == "first_data_later":
                    self.later = event.text
                if event.code == "gateway_needed":
                    self.gateway = event.text
            case Planned():
                self.plans.append(event)
            case Failed():
                self.failure = event
            case InstallationDone():
                self.done = event
            case _:
                pass

    def _provisioning(self, event: Provisioning, now: float) -> None:
        self.stage, self.todo, self.tries = event.stage, event.todo, event.tries
        self.asked_for_button |= event.stage is Stage.AUTHORIZATION_NEEDED
        self.credentials_sent |= event.stage in (Stage.SENDING, Stage.JOINING, Stage.JOINED, Stage.STORED)
        self.restart_clock(now, event.seconds)
