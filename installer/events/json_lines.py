"""The JSON lines of `--json`: which events there are, and their schema."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter

from installer.bluetooth.sighting import Sighting
from installer.events.batch import BatchDone, BatchRow, BatchStarted, PlanMistake
from installer.events.installation import (
    DeviceConnected,
    DeviceFound,
    DeviceSighted,
    Failed,
    FirstMeasurement,
    GuideShown,
    GuideWaiting,
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
from installer.events.notifications import (
    NotificationArrived,
    NotificationFollowed,
    NotificationsSubscribed,
    ReceiverReady,
)

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


def device_sighted(sighting: Sighting) -> DeviceSighted:
    """The event of one sighting; advertised bytes are written in hexadecimal."""
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
