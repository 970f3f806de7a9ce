"""The declaration of Nordic's Wi-Fi provisioning for the registry.

Source: `facts/other-ble-provisioning.md` §2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from installer.provisioning.nordic.advertisement_signature import SERVICE, NordicSignature
from installer.provisioning.protocol import Encryption, ProvisioningProtocol
from installer.provisioning.provisioner import Capability

if TYPE_CHECKING:
    from installer.bluetooth.connection import Connection
    from installer.provisioning.provisioner import DriverOptions, Provisioner


async def _speaks(connection: Connection, _services: Sequence[str]) -> bool:
    from installer.provisioning.nordic.codec import CHARACTERISTICS

    return all(connection.has_characteristic(uuid, SERVICE) for uuid in CHARACTERISTICS)


def _make_provisioner(connection: Connection, _options: DriverOptions) -> Provisioner:
    from installer.provisioning.nordic.driver import NordicProvisioner

    return NordicProvisioner(connection)


NORDIC = ProvisioningProtocol(
    name="nordic",
    label="Nordic provisioning",
    signature=NordicSignature(),
    encryption=Encryption.NONE,
    capabilities=Capability.SCAN_NETWORKS,
    services=r"14387800-130c-.*",
    speaks=_speaks,
    make_provisioner=_make_provisioner,
)
