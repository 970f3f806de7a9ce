"""The declaration of Espressif provisioning for the lab\'s registry of protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.lab.espressif.scenario import EspressifScenario
from installer.lab.protocol import LabProtocol

if TYPE_CHECKING:
    from installer.lab.device import LabDevice
    from installer.lab.peripheral import LabEnvironment
    from installer.lab.scenario import DeviceScenario


def _make_device(scenario: DeviceScenario, environment: LabEnvironment, table: EspressifScenario) -> LabDevice:
    from installer.lab.espressif.device import EspressifDevice

    return EspressifDevice(scenario, environment, table)


ESPRESSIF = LabProtocol(
    name="espressif",
    scenario=EspressifScenario,
    make_device=_make_device,
)
