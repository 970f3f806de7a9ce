"""How an Espressif device in set-up mode advertises (`facts/detection.md` §1, rules P3 to P6)."""

from __future__ import annotations

from installer.bluetooth.advertisement_signature import (
    AdvertisementSignature,
    SignatureMatch,
    SignatureResult,
    Strength,
)
from installer.bluetooth.sighting import Advert

SERVICE = "1775244d-6b43-439b-877c-060f2d9bed07"
EXAMPLE_SERVICE = "021a9004-0382-4aea-bff4-6b3f1c5adfb4"
OLD_SERVICE = "0000ffff-0000-1000-8000-00805f9b34fb"
NAME_PREFIX = "PROV_"


class EspressifSignature(AdvertisementSignature):
    """One of three services; or the name that Espressif's example uses, which any device can have."""

    protocol = "espressif"

    def read(self, address: str, advert: Advert) -> SignatureResult:
        """A match for each service, and a weaker one for the name."""
        services = {uuid.lower() for uuid in advert.services}
        has_name = (advert.name or "").startswith(NAME_PREFIX)
        matches = []
        if SERVICE in services:
            matches.append(SignatureMatch("it advertises Espressif's provisioning service"))
        if EXAMPLE_SERVICE in services:
            matches.append(SignatureMatch("it advertises the provisioning service of Espressif's example"))
        if has_name and OLD_SERVICE in services:
            matches.append(SignatureMatch("it advertises Espressif's old provisioning service"))
        if has_name:
            reason = f"its name starts with {NAME_PREFIX}, as in Espressif's example"
            matches.append(SignatureMatch(reason, Strength.NAME))
        return SignatureResult(tuple(matches))
