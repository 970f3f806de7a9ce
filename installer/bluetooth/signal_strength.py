"""Signal strength (RSSI, in dBm): smoothed from packet to packet, and as bars for people."""

from __future__ import annotations

NO_SIGNAL = -127  # what a controller reports if it could not measure
# The share of a new packet in the value that is shown. A single packet differs by 10 dB and more.
SMOOTHING = 0.3
BAR_LIMITS = (-90, -80, -70, -60)


def smoothed(shown: float, packet: int) -> float:
    """The value to show after one more packet; both in dBm. A packet without a measurement changes nothing."""
    if packet == NO_SIGNAL:
        return shown
    known = shown if shown != NO_SIGNAL else float(packet)
    return known + SMOOTHING * (packet - known)


def signal_bars(rssi: int | None) -> int:
    """0 to 4 bars for a signal in dBm; None counts as no signal."""
    return 0 if rssi is None else sum(rssi >= limit for limit in BAR_LIMITS)
