"""The Wi-Fi networks of a scenario, and their access points."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, field_validator, model_validator

from installer.lab.scenario_parts import MAC, Rssi, ScenarioPart
from installer.wifi.networks import Band, Security


class AccessPointScenario(ScenarioPart):
    """One access point of a network. `rssi` in dBm, as the devices receive it."""

    rssi: Rssi = -55
    band: Band = Band.GHZ_2_4
    bssid: str | None = None

    @field_validator("bssid")
    @classmethod
    def _mac(cls, value: str | None) -> str | None:
        if value is not None and not MAC.match(value.upper()):
            raise ValueError("a bssid is six pairs of hexadecimal digits")
        return value.upper() if value else None


class NetworkScenario(ScenarioPart):
    """One Wi-Fi network: its access points know the passphrase. `hidden`: not in scans, joined when named."""

    ssid: str
    security: Security = Security.WPA2
    passphrase: SecretStr = SecretStr("")
    hidden: bool = False
    up: bool = True
    access_points: Annotated[tuple[AccessPointScenario, ...], Field(min_length=1)] = (AccessPointScenario(),)

    @field_validator("ssid")
    @classmethod
    def _size(cls, value: str) -> str:
        if not 1 <= len(value.encode()) <= 32:
            raise ValueError("an SSID has 1 to 32 bytes")
        return value

    @model_validator(mode="after")
    def _protected(self) -> NetworkScenario:
        needs = self.security not in (Security.OPEN, Security.UNKNOWN, Security.ENTERPRISE)
        if needs and not self.passphrase.get_secret_value():
            raise ValueError(f"a network with security {self.security.value} needs a passphrase")
        return self
