"""The declaration of Nordic's Wi-Fi provisioning for the lab\'s registry of protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.lab.models import LabModel
from installer.lab.nordic.scenario import NordicScenario
from installer.lab.protocol import LabProtocol

if TYPE_CHECKING:
    from installer.lab.device import LabDevice
    from installer.lab.peripheral import LabEnvironment
    from installer.lab.scenario import DeviceScenario


def _make_device(scenario: DeviceScenario, environment: LabEnvironment, table: NordicScenario) -> LabDevice:
    from installer.lab.nordic.device import NordicDevice

    return NordicDevice(scenario, environment, table)


NORDIC = LabProtocol(
    name="nordic",
    scenario=NordicScenario,
    make_device=_make_device,
    models=(LabModel("nordic", "nRF7002", ()),),
)
