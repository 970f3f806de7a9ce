"""How a device with Nordic's Wi-Fi provisioning advertises (`facts/other-ble-provisioning.md` §2; rule P8)."""

from __future__ import annotations

from installer.bluetooth.advertisement_signature import AdvertisementSignature, SignatureMatch, SignatureResult
from installer.bluetooth.sighting import Advert, SetupState

SERVICE = "14387800-130c-49e7-b877-2881c89cb258"
_HAS_CREDENTIALS = 0x01  # bit 0 of byte 1 of the service data


class NordicSignature(AdvertisementSignature):
    """The service, advertised or with data."""

    protocol = "nordic"

    def read(self, address: str, advert: Advert) -> SignatureResult:
        """One match."""
        if SERVICE in advert.service_data or SERVICE in {uuid.lower() for uuid in advert.services}:
            return SignatureResult((SignatureMatch("it advertises Nordic's Wi-Fi provisioning"),))
        return SignatureResult()

    def setup_state(self, advert: Advert) -> SetupState:
        """Bit 0 of byte 1 of the service data."""
        data = advert.service_data.get(SERVICE, b"")
        if len(data) < 3:
            return SetupState.UNKNOWN
        return SetupState.SET_UP if data[1] & _HAS_CREDENTIALS else SetupState.NEW
