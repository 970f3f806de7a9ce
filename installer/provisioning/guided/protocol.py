"""The guided hand-off as a protocol of the registry: no driver; the user sets the device up with the vendor's app."""

from __future__ import annotations

from installer.catalogue.model import GUIDED
from installer.provisioning.protocol import ProvisioningProtocol
from installer.provisioning.withings.advertisement_signature import WithingsSignature

GUIDED_HAND_OFF = ProvisioningProtocol(
    name=GUIDED,
    label="the vendor's app",
    signature=WithingsSignature(),
    services=r".*-5749-5448-.*",
)
