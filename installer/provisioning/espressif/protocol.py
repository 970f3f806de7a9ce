"""The declaration of Espressif Unified Provisioning for the registry.

Source: `facts/esp-provisioning.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from installer.provisioning.espressif.advertisement_signature import EspressifSignature
from installer.provisioning.protocol import Encryption, ProvisioningProtocol
from installer.provisioning.provisioner import Capability

if TYPE_CHECKING:
    from installer.bluetooth.connection import Connection
    from installer.provisioning.provisioner import DriverOptions, Provisioner


async def _speaks(connection: Connection, services: Sequence[str]) -> bool:
    from installer.provisioning.espressif.endpoints import has_provisioning

    return await has_provisioning(connection, services)


def _make_provisioner(connection: Connection, options: DriverOptions) -> Provisioner:
    from installer.provisioning.espressif.driver import EspressifProvisioner

    return EspressifProvisioner(
        connection,
        proof=options.proof,
        username=options.username,
        ask_proof=options.ask_proof,
        services=options.services,
    )


# `services` is empty: each product chooses its own UUIDs.
ESPRESSIF = ProvisioningProtocol(
    name="espressif",
    label="Espressif provisioning",
    signature=EspressifSignature(),
    encryption=Encryption.DEPENDS,
    capabilities=Capability.DEVICE_INFO | Capability.SCAN_NETWORKS,
    ends_when_joined=True,
    proves=True,
    speaks=_speaks,
    make_provisioner=_make_provisioner,
)
