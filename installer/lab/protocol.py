"""What a provisioning protocol declares so that lab devices can speak it.

A package of its own adds one by the entry-point group `device_installer.lab_protocols` (`docs/adding-a-protocol.md`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from installer.lab.models import LabModel
from installer.lab.scenario_parts import ScenarioPart

if TYPE_CHECKING:
    from installer.lab.device import LabDevice
    from installer.lab.peripheral import LabEnvironment
    from installer.lab.scenario import DeviceScenario


@dataclass(frozen=True)
class LabProtocol:
    """One protocol of the lab. Import the device in `make_device` only: this object is made while the scenario is being
    defined, and a device needs that.

    `name`: the key of its table in a device's part of the scenario. `scenario`: what may stand in that table.
    `models`: kinds of devices that speak it without being told. `make_device(scenario, environment, table)`: a device.
    """

    name: str
    scenario: type[ScenarioPart]
    make_device: Callable[[DeviceScenario, LabEnvironment, Any], LabDevice]
    models: tuple[LabModel, ...] = ()
