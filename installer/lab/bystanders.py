"""Bystanders: other people's devices that only advertise. No controller, no host: cheap enough for hundreds."""

from __future__ import annotations

import asyncio
import random

from bumble import hci

from installer.lab.virtual_radio import Advertisement, Radio

NAMES = ("TV", "Speaker", "Earbuds", "Bulb", "Keyboard", "Tag", "Printer", "Bike Sensor", "Door Lock", "Headphones")


class Bystanders:
    """`count` devices with addresses, names and signals of their own, each heard once an `interval` (seconds)."""

    def __init__(self, radio: Radio, count: int, interval: float, seed: int = 1) -> None:
        self._radio = radio
        self._interval = interval
        dice = random.Random(f"bystanders:{seed}")
        self._all = [_bystander(number, dice) for number in range(count)]
        self._dice = dice
        self._next = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to advertise."""
        if self._all:
            self._tick()

    def stop(self) -> None:
        """No more."""
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        # One timer for all: each tick sends those whose turn it is, spread over the interval.
        pause = max(0.05, self._interval / len(self._all))
        self._timer = asyncio.get_running_loop().call_later(pause, self._tick)
        for _ in range(max(1, round(len(self._all) * pause / self._interval))):
            who = self._all[self._next]
            self._next = (self._next + 1) % len(self._all)
            if self._radio.heard:
                self._radio.broadcast(None, who)


def _bystander(number: int, dice: random.Random) -> Advertisement:
    # A static random address (two top bits set), as most such devices have.
    raw = bytes((number & 0xFF, number >> 8 & 0xFF, *dice.randbytes(3), 0xC0 | dice.randrange(64)))
    name = f"{dice.choice(NAMES)} {number + 1}".encode()[:25]
    data = b"\x02\x01\x06" + bytes((3, 0xFF)) + b"\xff\xff"
    response = bytes((len(name) + 1, 0x09)) + name
    return Advertisement(hci.Address(raw, hci.Address.RANDOM_DEVICE_ADDRESS), data, response, dice.randint(-95, -55))
