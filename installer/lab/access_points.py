"""The lab's access points: what a scan shows, and who may join. Only here passphrases are compared."""

from __future__ import annotations

import enum
import hmac
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from installer.lab.scenario import NetworkScenario
from installer.wifi.networks import Band, Security


class Join(enum.Enum):
    """How an attempt to join ended; a device tells its client no more than yes or no."""

    JOINED = "joined"
    NOT_FOUND = "no such network"
    DOWN = "the network is down"
    WRONG_PASSPHRASE = "wrong passphrase"
    UNSUPPORTED = "this device cannot join such a network"


@dataclass(frozen=True)
class Heard:
    """One access point in a device's scan. `rssi` in dBm."""

    ssid: str
    security: Security
    rssi: int
    band: Band


class Network:
    """One network. Its passphrase stays in here."""

    def __init__(self, scenario: NetworkScenario) -> None:
        self.scenario = scenario
        self.ssid = scenario.ssid
        self.up = scenario.up

    def __repr__(self) -> str:
        return f"Network({self.ssid!r})"

    def admits(self, passphrase: SecretStr) -> bool:
        """Whether this is the passphrase. An open network takes any, as a station ignores what it does not need."""
        if self.scenario.security is Security.OPEN:
            return True
        known = self.scenario.passphrase.get_secret_value()
        return hmac.compare_digest(known.encode(), passphrase.get_secret_value().encode("utf-8", "surrogatepass"))

    def describe(self) -> dict[str, Any]:
        """What `/lab/state` shows of it: JSON types, no passphrase."""
        return {
            "ssid": self.ssid,
            "security": self.scenario.security.value,
            "hidden": self.scenario.hidden,
            "up": self.up,
            "access_points": [
                {"bssid": ap.bssid, "rssi": ap.rssi, "band": ap.band.value} for ap in self.scenario.access_points
            ],
        }


class Airspace:
    """All networks within reach of the devices."""

    def __init__(self, scenario: tuple[NetworkScenario, ...]) -> None:
        self._scenario = scenario
        self.networks: dict[str, Network] = {}
        self.reset()

    def reset(self) -> None:
        """Back to the scenario."""
        self.networks = {n.ssid: Network(n) for n in self._scenario}

    def scan(self, bands: tuple[Band, ...]) -> list[Heard]:
        """What a device with these `bands` hears, strongest first: one entry per access point."""
        heard = [
            Heard(network.ssid, network.scenario.security, ap.rssi, ap.band)
            for network in self.networks.values()
            if network.up and not network.scenario.hidden
            for ap in network.scenario.access_points
            if ap.band in bands
        ]
        return sorted(heard, key=lambda h: (-h.rssi, h.ssid))

    def join(self, ssid: str, passphrase: SecretStr, bands: tuple[Band, ...]) -> Join:
        """The outcome of joining `ssid` with `passphrase`."""
        network = self.networks.get(ssid)
        if network is None or not any(ap.band in bands for ap in network.scenario.access_points):
            return Join.NOT_FOUND
        if not network.up:
            return Join.DOWN
        if network.scenario.security in (Security.ENTERPRISE, Security.WEP):
            return Join.UNSUPPORTED
        return Join.JOINED if network.admits(passphrase) else Join.WRONG_PASSPHRASE

    def is_up(self, ssid: str | None) -> bool:
        """Whether a device that joined `ssid` has a connection now."""
        network = self.networks.get(ssid or "")
        return network is not None and network.up
