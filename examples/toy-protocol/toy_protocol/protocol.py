"""The declaration of the toy protocol: all that the installer asks of it. Loads neither the driver nor the codec."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from installer.bluetooth.advertisement_signature import AdvertisementSignature, SignatureMatch, SignatureResult
from installer.provisioning.protocol import Encryption, ProvisioningProtocol
from installer.provisioning.provisioner import Capability

if TYPE_CHECKING:
    from installer.bluetooth.connection import Connection
    from installer.bluetooth.sighting import Advert
    from installer.provisioning.provisioner import DriverOptions, Provisioner

SERVICE = "70790000-0f3c-4b2e-9d5a-1c0ffee0c0de"


class ToySignature(AdvertisementSignature):
    """A device of the protocol advertises its service."""

    protocol = "toy"

    def read(self, address: str, advert: Advert) -> SignatureResult:
        """One match."""
        if SERVICE in {uuid.lower() for uuid in advert.services}:
            return SignatureResult((SignatureMatch("it advertises the toy service"),))
        return SignatureResult()


async def _speaks(connection: Connection, services: Sequence[str]) -> bool:
    from toy_protocol.codec import ANSWER, REQUEST

    return SERVICE in services and all(connection.has_characteristic(uuid, SERVICE) for uuid in (REQUEST, ANSWER))


def _make_provisioner(connection: Connection, _options: DriverOptions) -> Provisioner:
    from toy_protocol.driver import ToyProvisioner

    return ToyProvisioner(connection)


TOY = ProvisioningProtocol(
    name="toy",
    label="Toy protocol",
    signature=ToySignature(),
    encryption=Encryption.NONE,
    capabilities=Capability.SCAN_NETWORKS,
    services=r"7079....-0f3c-4b2e-9d5a-1c0ffee0c0de",
    speaks=_speaks,
    make_provisioner=_make_provisioner,
)
