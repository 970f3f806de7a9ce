"""What each model of lab device is: its name, its radio identity, its place in the cloud, what it measures.

Names, BLE suffixes and model numbers: `facts/detection.md` §2, `facts/withings-cloud.md` §2.2. Suffixes other than
Body+'s are INFERRED there; that these units speak Improv and the standard health profiles is the lab's own choice and
says nothing of real ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Profile = Literal["weight", "blood-pressure", "temperature", "heart-rate", "steps", "body-composition"]
Unit = Literal["kg", "lb", "°C", "°F", "mmHg", "kPa"]
# In which units a model can show what it measures; the first is what it shows as it comes.
UNITS: dict[Profile, tuple[Unit, ...]] = {
    "weight": ("kg", "lb"),
    "temperature": ("°C", "°F"),
    "blood-pressure": ("mmHg", "kPa"),
}
Service = Literal["getmeas", "getsummary", "getactivity"]


@dataclass(frozen=True)
class CloudIdentity:
    """How the vendor's cloud names a model: `model_id`, `model`, `type` of getdevice."""

    model_id: int
    model: str
    type: str


@dataclass(frozen=True)
class LabModel:
    """One kind of device. `suffix`: third group of the vendor's service UUID; `measures`: its GATT profiles.

    `phone`: whether an app on a phone can collect its data over Bluetooth.
    """

    id: str
    name: str
    measures: tuple[Profile, ...]
    wifi: bool = True
    phone: bool = True
    suffix: int | None = None
    cloud: CloudIdentity | None = None
    service: Service = "getmeas"
    body_fat: bool = False
    product: str = ""


LAB_MODELS: dict[str, LabModel] = {
    kind.id: kind
    for kind in (
        LabModel("body", "Body 1A", ("weight",), suffix=0x0007, cloud=CloudIdentity(7, "Body", "Scale")),
        LabModel(
            "body-plus",
            "Body+ 3C",
            ("weight", "body-composition"),
            suffix=0x0005,
            cloud=CloudIdentity(5, "Body+", "Scale"),
            body_fat=True,
        ),
        LabModel(
            "bpm-connect",
            "BPM Connect",
            ("blood-pressure",),
            suffix=0x002D,
            cloud=CloudIdentity(45, "BPM Connect", "Blood Pressure Monitor"),
        ),
        LabModel(
            "sleep",
            "Sleep",
            ("heart-rate",),
            phone=False,
            suffix=0x003F,
            cloud=CloudIdentity(63, "Aura Sensor V2", "Sleep Monitor"),
            service="getsummary",
        ),
        LabModel(
            "thermo",
            "Thermo",
            ("temperature",),
            suffix=0x0046,
            cloud=CloudIdentity(70, "Thermo", "Smart Connected Thermometer"),
        ),
        LabModel(
            "move",
            "Move",
            ("steps",),
            wifi=False,
            suffix=0x005A,
            cloud=CloudIdentity(90, "Move", "Activity Tracker"),
            service="getactivity",
        ),
        LabModel(
            "pulse-hr",
            "Pulse HR",
            ("heart-rate", "steps"),
            wifi=False,
            suffix=0x003A,
            cloud=CloudIdentity(58, "Pulse HR", "Activity Tracker"),
            service="getactivity",
        ),
        LabModel("generic", "Temperature Monitor", ()),
    )
}


def vendor_uuid(suffix: int) -> str:
    """The vendor's service UUID, scheme A (`facts/withings-ble.md` §3)."""
    return f"00000020-5749-5448-{suffix:04x}-000000000000"
