"""The declaration of the toy protocol for the lab: the table of a scenario, the models, how a device is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.lab.models import LabModel
from installer.lab.protocol import LabProtocol
from installer.lab.scenario_parts import ScenarioPart

if TYPE_CHECKING:
    from installer.lab.device import LabDevice
    from installer.lab.peripheral import LabEnvironment
    from installer.lab.scenario import DeviceScenario


class ToyScenario(ScenarioPart):
    """The table `toy` of a device. `silent`: it never says how a join ended."""

    silent: bool = False


def _make_device(scenario: DeviceScenario, environment: LabEnvironment, table: ToyScenario) -> LabDevice:
    from toy_protocol.lab_device import ToyDevice

    return ToyDevice(scenario, environment, table)


TOY_LAB = LabProtocol(
    name="toy", scenario=ToyScenario, make_device=_make_device, models=(LabModel("toy-lamp", "Toy Lamp", ()),)
)
