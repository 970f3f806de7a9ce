"""What a provisioning protocol declares: one object with all that the rest of the program needs to know about it.

Each protocol is a folder with a module `protocol.py` that makes this object; the registry collects them. Another
package adds one with the entry-point group `device_installer.provisioners` (`docs/adding-a-protocol.md`).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from installer.bluetooth.advertisement_signature import AdvertisementSignature
from installer.provisioning.provisioner import Capability

if TYPE_CHECKING:
    from installer.bluetooth.connection import Connection
    from installer.provisioning.provisioner import DriverOptions, Provisioner


class Encryption(enum.StrEnum):
    """Whether the protocol itself encrypts the credentials."""

    NONE = "none"
    ALWAYS = "always"
    DEPENDS = "depends"  # on the device; its provisioner knows after `open()`


@dataclass(frozen=True)
class ProvisioningProtocol:
    """One protocol. Making this object must load neither the driver nor its codec: import them in the two functions.

    `name`: the word in catalogue entries, records and events. `label`: the name that its makers use. `signature`: how
    its devices advertise. `capabilities`: the most that a device can do. `services`: a regular expression for the
    UUIDs of its GATT services, so that no other protocol reads them. `ends_when_joined`: a device that has joined a
    network ends its set-up service, so that its silence is a sign of success. `proves`: its devices can prove who they
    are with a proof of possession or a password.

    `speaks(connection, services)`: whether the GATT table is that of this protocol; `services` are those that no other
    protocol owns. `make_provisioner(connection, options)`: the driver, not opened yet. A protocol without both is
    recognised in advertisements and has no driver: a person sets the device up with the vendor's own app.
    """

    name: str
    label: str
    signature: AdvertisementSignature
    encryption: Encryption = Encryption.NONE
    capabilities: Capability = Capability.NONE
    services: str = ""
    ends_when_joined: bool = False
    proves: bool = False
    speaks: Callable[[Connection, Sequence[str]], Awaitable[bool]] | None = None
    make_provisioner: Callable[[Connection, DriverOptions], Provisioner] | None = None

    def owns_service(self, uuid: str) -> bool:
        """Whether a GATT service with this UUID belongs to the protocol."""
        return bool(self.services) and re.fullmatch(self.services, uuid.lower()) is not None
