"""The declaration of Shelly's RPC for the lab\'s registry of protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.lab.models import LabModel
from installer.lab.protocol import LabProtocol
from installer.lab.shelly.scenario import ShellyScenario

if TYPE_CHECKING:
    from installer.lab.device import LabDevice
    from installer.lab.peripheral import LabEnvironment
    from installer.lab.scenario import DeviceScenario


def _make_device(scenario: DeviceScenario, environment: LabEnvironment, table: ShellyScenario) -> LabDevice:
    from installer.lab.shelly.device import ShellyDevice

    return ShellyDevice(scenario, environment, table)


SHELLY = LabProtocol(
    name="shelly",
    scenario=ShellyScenario,
    make_device=_make_device,
    models=(LabModel("shelly", "ShellyPlus1", ()),),
)
