"""How an Improv Wi-Fi device advertises (`facts/improv-ble.md` §11; `facts/detection.md` §1, rules P1 and P2)."""

from __future__ import annotations

from installer.bluetooth.advertisement_signature import AdvertisementSignature, SignatureMatch, SignatureResult
from installer.bluetooth.sighting import Advert, SetupState

SERVICE = "00467768-6228-2272-4663-277478268000"
SERVICE_DATA = "00004677-0000-1000-8000-00805f9b34fb"
# Byte 0 of the service data: 1 waits for the button, 2 is ready for credentials.
_NEW_STATES = (0x01, 0x02)


class ImprovSignature(AdvertisementSignature):
    """The Improv service, or its service data."""

    protocol = "improv"

    def read(self, address: str, advert: Advert) -> SignatureResult:
        """A match for each of the two."""
        matches = []
        if SERVICE in {uuid.lower() for uuid in advert.services}:
            matches.append(SignatureMatch("it advertises the Improv Wi-Fi service"))
        if len(advert.service_data.get(SERVICE_DATA, b"")) >= 2:
            matches.append(SignatureMatch("it advertises the state of Improv Wi-Fi"))
        return SignatureResult(tuple(matches))

    def setup_state(self, advert: Advert) -> SetupState:
        """Byte 0 of the service data."""
        data = advert.service_data.get(SERVICE_DATA, b"")
        if not data:
            return SetupState.UNKNOWN
        return SetupState.NEW if data[0] in _NEW_STATES else SetupState.SET_UP
