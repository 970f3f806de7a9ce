"""The declaration of Improv Wi-Fi for the registry.

Source: `facts/improv-ble.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from installer.provisioning.improv.advertisement_signature import SERVICE, ImprovSignature
from installer.provisioning.protocol import Encryption, ProvisioningProtocol
from installer.provisioning.provisioner import Capability

if TYPE_CHECKING:
    from installer.bluetooth.connection import Connection
    from installer.provisioning.provisioner import DriverOptions, Provisioner


async def _speaks(connection: Connection, _services: Sequence[str]) -> bool:
    from installer.provisioning.improv.codec import CHARACTERISTICS

    return all(connection.has_characteristic(uuid, SERVICE) for uuid in CHARACTERISTICS)


def _make_provisioner(connection: Connection, options: DriverOptions) -> Provisioner:
    from installer.provisioning.improv.driver import ImprovProvisioner
    from installer.provisioning.improv.session import Timings

    timings = Timings(authorization=options.authorization)
    return ImprovProvisioner(connection, timings, identify=options.identify, wanted_ssid=options.wanted_ssid)


IMPROV = ProvisioningProtocol(
    name="improv",
    label="Improv Wi-Fi",
    signature=ImprovSignature(),
    encryption=Encryption.NONE,
    capabilities=Capability.IDENTIFY | Capability.DEVICE_INFO | Capability.SCAN_NETWORKS | Capability.HOSTNAME,
    services=r"00467768-6228-.*",
    speaks=_speaks,
    make_provisioner=_make_provisioner,
)
