"""All protocols that lab devices can speak: the built-in ones and those of other packages.

Improv Wi-Fi is what a device speaks whose part of the scenario names no other protocol.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from installer.errors import ErrorCode, InstallerError
from installer.lab.espressif.protocol import ESPRESSIF
from installer.lab.models import LAB_MODELS, LabModel
from installer.lab.nordic.protocol import NORDIC
from installer.lab.protocol import LabProtocol
from installer.lab.shelly.protocol import SHELLY

if TYPE_CHECKING:
    from installer.lab.device import LabDevice
    from installer.lab.peripheral import LabEnvironment
    from installer.lab.scenario import DeviceScenario

ENTRY_POINTS = "device_installer.lab_protocols"
BUILT_IN: tuple[LabProtocol, ...] = (ESPRESSIF, SHELLY, NORDIC)


@cache
def protocols() -> tuple[LabProtocol, ...]:
    """All protocols beside Improv. Raises SCENARIO_INVALID for a package whose protocol cannot be used."""
    found = {protocol.name: protocol for protocol in BUILT_IN}
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda e: e.name):
        try:
            protocol = entry.load()
        except Exception as error:  # code of somebody else, which may raise anything
            raise _unusable(entry.name, f"cannot be loaded ({type(error).__name__}: {error})") from error
        if not isinstance(protocol, LabProtocol):
            raise _unusable(entry.name, "is no LabProtocol")
        if protocol.name in found or protocol.name == "improv":
            raise _unusable(entry.name, f"has the name “{protocol.name}”, which another protocol has already")
        found[protocol.name] = protocol
    return tuple(found.values())


@cache
def lab_models() -> dict[str, LabModel]:
    """All kinds of lab devices by id: those of the product, and those that a protocol brings."""
    return LAB_MODELS | {model.id: model for protocol in protocols() for model in protocol.models}


def make_device(scenario: DeviceScenario, environment: LabEnvironment) -> LabDevice:
    """A device of this part of the scenario. The protocol that it names wins over the one that its model speaks."""
    from installer.lab.improv.device import ImprovDevice

    named = next((p for p in protocols() if scenario.protocol_table(p.name) is not None), None)
    usual = next((p for p in protocols() if any(model.id == scenario.model for model in p.models)), None)
    protocol = named or usual
    if protocol is None:
        return ImprovDevice(scenario, environment)
    table = scenario.protocol_table(protocol.name) or protocol.scenario()
    return protocol.make_device(scenario, environment, table)


def _unusable(name: str, why: str) -> InstallerError:
    return InstallerError(
        ErrorCode.SCENARIO_INVALID,
        f"The lab's protocol “{name}” of another package {why}.",
        "Update or remove that package.",
    )
