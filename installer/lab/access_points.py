"""The lab's Wi-Fi networks and access points: scan results and joining. Only this module compares passphrases."""

from __future__ import annotations

import enum
import hmac
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from installer.lab.network_scenario import NetworkScenario
from installer.wifi.networks import Band, Security


class JoinOutcome(enum.Enum):
    """The outcome of an attempt to join. A device reports only success or failure to its client."""

    JOINED = "joined"
    NOT_FOUND = "no such network"
    DOWN = "the network is down"
    WRONG_PASSPHRASE = "wrong passphrase"
    UNSUPPORTED = "this device cannot join such a network"


@dataclass(frozen=True)
class ScannedAccessPoint:
    """One access point in a device's scan. `rssi` in dBm."""

    ssid: str
    security: Security
    rssi: int
    band: Band


class Network:
    """One network. Its passphrase is not readable from outside."""

    def __init__(self, scenario: NetworkScenario) -> None:
        self.scenario = scenario
        self.ssid = scenario.ssid
        self.up = scenario.up

    def __repr__(self) -> str:
        return f"Network({self.ssid!r})"

    def accepts(self, passphrase: SecretStr) -> bool:
        """Whether this is the passphrase. An open network accepts any, because a station ignores it."""
        if self.scenario.security is Security.OPEN:
            return True
        known = self.scenario.passphrase.get_secret_value()
        return hmac.compare_digest(known.encode(), passphrase.get_secret_value().encode("utf-8", "surrogatepass"))

    def describe(self) -> dict[str, Any]:
        """The entry in `/lab/state`: JSON types, no passphrase."""
        return {
            "ssid": self.ssid,
            "security": self.scenario.security.value,
            "hidden": self.scenario.hidden,
            "up": self.up,
            "access_points": [
                {"bssid": ap.bssid, "rssi": ap.rssi, "band": ap.band.value} for ap in self.scenario.access_points
            ],
        }


class WifiEnvironment:
    """All networks within reach of the lab devices."""

    def __init__(self, scenario: tuple[NetworkScenario, ...]) -> None:
        self._scenario = scenario
        self.networks: dict[str, Network] = {}
        self.reset()

    def reset(self) -> None:
        """Restore the scenario."""
        self.networks = {n.ssid: Network(n) for n in self._scenario}

    def scan(self, bands: tuple[Band, ...]) -> list[ScannedAccessPoint]:
        """The access points that a device with these `bands` finds, strongest first."""
        found = [
            ScannedAccessPoint(network.ssid, network.scenario.security, ap.rssi, ap.band)
            for network in self.networks.values()
            if network.up and not network.scenario.hidden
            for ap in network.scenario.access_points
            if ap.band in bands
        ]
        return sorted(found, key=lambda ap: (-ap.rssi, ap.ssid))

    def join(self, ssid: str, passphrase: SecretStr, bands: tuple[Band, ...]) -> JoinOutcome:
        """The outcome of joining `ssid` with `passphrase`."""
        network = self.networks.get(ssid)
        if network is None or not any(ap.band in bands for ap in network.scenario.access_points):
            return JoinOutcome.NOT_FOUND
        if not network.up:
            return JoinOutcome.DOWN
        if network.scenario.security in (Security.ENTERPRISE, Security.WEP):
            return JoinOutcome.UNSUPPORTED
        return JoinOutcome.JOINED if network.accepts(passphrase) else JoinOutcome.WRONG_PASSPHRASE

    def is_up(self, ssid: str | None) -> bool:
        """Whether the network `ssid` exists and is up."""
        network = self.networks.get(ssid or "")
        return network is not None and network.up
