"""The wizard with the scripted engine, to look at: `python -m tests.screens.demo [--light] [--crowd] [--fail]`."""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence

from installer.bluetooth.sighting import Sighting
from screens.app import WizardApp
from tests.screens.fake_engine import CATALOGUE, SIGHTINGS, Script, Sightings, Starter, sighting


class Crowd(Sightings):
    """200 devices whose signals change all the time."""

    def current(self) -> Sequence[Sighting]:
        ids = [m.id for m in CATALOGUE.models]
        return [
            sighting(f"00:24:E4:00:{i // 256:02X}:{i % 256:02X}", f"Unit {i:03d}", ids[i % 7], random.randint(-95, -45))
            for i in range(200)
        ]


class Flicker(Sightings):
    """The usual devices, their signals trembling a little."""

    def current(self) -> Sequence[Sighting]:
        return [s.model_copy(update={"rssi": s.rssi + random.randint(-2, 2)}) for s in SIGHTINGS]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--light", action="store_true")
    parser.add_argument("--crowd", action="store_true")
    parser.add_argument("--fail", action="store_true")
    parser.add_argument("--encrypted", action="store_true")
    parser.add_argument("--pace", type=float, default=2.0)
    options = parser.parse_args()
    script = Script(
        sightings=Crowd() if options.crowd else Flicker(),
        failures=int(options.fail),
        encrypted=options.encrypted,
        pace=options.pace,
    )
    WizardApp(Starter(script), lab=True, catalogue=CATALOGUE, light=options.light).run()


if __name__ == "__main__":
    main()
