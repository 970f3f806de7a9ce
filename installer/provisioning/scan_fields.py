"""The fields of a Wi-Fi scan result that several protocols send: channel and signal."""

from __future__ import annotations

from installer.wifi.networks import Band


def band_of_channel(channel: int) -> Band | None:
    """The band of a Wi-Fi channel; None for a number that is no channel of 2.4 or 5 GHz."""
    if 1 <= channel <= 14:
        return Band.GHZ_2_4
    return Band.GHZ_5 if 32 <= channel <= 177 else None


def possible_rssi(rssi: int | None) -> int | None:
    """The signal in dBm; None for a number that no radio measures."""
    return rssi if rssi is not None and -128 <= rssi <= 0 else None
