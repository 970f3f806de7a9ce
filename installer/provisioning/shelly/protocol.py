"""The declaration of Shelly Gen2+ RPC over Bluetooth for the registry.

Source: `facts/other-ble-provisioning.md` §1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from installer.provisioning.protocol import Encryption, ProvisioningProtocol
from installer.provisioning.provisioner import Capability
from installer.provisioning.shelly.advertisement_signature import SERVICE, ShellySignature

if TYPE_CHECKING:
    from installer.bluetooth.connection import Connection
    from installer.provisioning.provisioner import DriverOptions, Provisioner


async def _speaks(connection: Connection, _services: Sequence[str]) -> bool:
    from installer.provisioning.shelly.codec import CHARACTERISTICS

    return all(connection.has_characteristic(uuid, SERVICE) for uuid in CHARACTERISTICS)


def _make_provisioner(connection: Connection, _options: DriverOptions) -> Provisioner:
    from installer.provisioning.shelly.driver import ShellyProvisioner

    return ShellyProvisioner(connection)


SHELLY = ProvisioningProtocol(
    name="shelly",
    label="Shelly RPC",
    signature=ShellySignature(),
    encryption=Encryption.NONE,
    capabilities=Capability.DEVICE_INFO | Capability.SCAN_NETWORKS | Capability.STORE,
    services=r"5f6d4f53-5f52-.*",
    speaks=_speaks,
    make_provisioner=_make_provisioner,
)
