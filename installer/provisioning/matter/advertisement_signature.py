"""How a Matter device advertises (`facts/detection.md` §1, rule P9). This program does not set it up."""

from __future__ import annotations

from installer.bluetooth.advertisement_signature import (
    AdvertisementSignature,
    SignatureMatch,
    SignatureResult,
    Strength,
)
from installer.bluetooth.sighting import Advert

SERVICE = "0000fff6-0000-1000-8000-00805f9b34fb"


class MatterSignature(AdvertisementSignature):
    """The Matter service, advertised or with data."""

    def read(self, address: str, advert: Advert) -> SignatureResult:
        """A match, and which app to use."""
        services = {uuid.lower() for uuid in advert.services}
        if SERVICE not in services and SERVICE not in advert.service_data:
            return SignatureResult()
        return SignatureResult(
            matches=(SignatureMatch("it advertises Matter", Strength.VENDOR),),
            note="This device is set up with Matter: use the app of your Matter system.",
            note_always=True,
        )
