"""How a Shelly Gen2+ device advertises (`facts/other-ble-provisioning.md` §1; `facts/detection.md` §1, rule P7)."""

from __future__ import annotations

from installer.bluetooth.advertisement_signature import AdvertisementSignature, SignatureMatch, SignatureResult
from installer.bluetooth.sighting import Advert

SERVICE = "5f6d4f53-5f52-5043-5f53-56435f49445f"
COMPANY = 0x0BA9
NAME_PREFIX = "shelly"


class ShellySignature(AdvertisementSignature):
    """The RPC service, the maker's company number, or a name that begins with Shelly."""

    protocol = "shelly"

    def read(self, address: str, advert: Advert) -> SignatureResult:
        """One match."""
        is_shelly = (
            COMPANY in advert.manufacturer_data
            or (advert.name or "").lower().startswith(NAME_PREFIX)
            or SERVICE in {uuid.lower() for uuid in advert.services}
        )
        return SignatureResult((SignatureMatch("it is a Shelly"),) if is_shelly else ())
