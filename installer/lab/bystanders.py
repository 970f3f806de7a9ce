"""Bystanders: other devices in range that only advertise, so that scans are crowded.

They have no controller and no host stack: hundreds of them cost little.
"""

from __future__ import annotations

import asyncio
import random

from bumble import hci

from installer.lab.virtual_radio import Advertisement, Radio

DEVICE_NAMES = (
    "TV", "Speaker", "Earbuds", "Bulb", "Keyboard", "Tag", "Printer", "Bike Sensor", "Door Lock", "Headphones",
)  # fmt: skip


class Bystanders:
    """`count` devices with different addresses, names and signals; each advertises every `interval` seconds."""

    def __init__(self, radio: Radio, count: int, interval: float, seed: int = 1) -> None:
        self._radio = radio
        self._interval = interval
        generator = random.Random(f"bystanders:{seed}")
        self._advertisements = [_make_advertisement(number, generator) for number in range(count)]
        self._next = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to advertise."""
        if self._advertisements:
            self._advertise()

    def stop(self) -> None:
        """Stop advertising."""
        if self._timer is not None:
            self._timer.cancel()

    def _advertise(self) -> None:
        # One timer for all devices: each call sends the next ones, spread over the interval.
        pause = max(0.05, self._interval / len(self._advertisements))
        self._timer = asyncio.get_running_loop().call_later(pause, self._advertise)
        for _ in range(max(1, round(len(self._advertisements) * pause / self._interval))):
            advertisement = self._advertisements[self._next]
            self._next = (self._next + 1) % len(self._advertisements)
            if self._radio.has_listener:
                self._radio.broadcast(None, advertisement)


def _make_advertisement(number: int, generator: random.Random) -> Advertisement:
    # A static random address (two top bits set), as most such devices have.
    raw = bytes((number & 0xFF, number >> 8 & 0xFF, *generator.randbytes(3), 0xC0 | generator.randrange(64)))
    name = f"{generator.choice(DEVICE_NAMES)} {number + 1}".encode()[:25]
    data = b"\x02\x01\x06" + bytes((3, 0xFF)) + b"\xff\xff"
    response = bytes((len(name) + 1, 0x09)) + name
    address = hci.Address(raw, hci.Address.RANDOM_DEVICE_ADDRESS)
    return Advertisement(address, data, response, generator.randint(-95, -55))
