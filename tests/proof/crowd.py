"""A lab scenario with many devices of different models and protocols, and plans for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from installer.storage.secret_references import SecretRef
from installer.wifi import saved_networks
from installer.wifi.saved_networks import SavedNetwork
from tests.flow.support import PASSPHRASE

HEADER = "device,model,count,sync,network,account,site,label,proof"

WORLD = f"""
name = "crowd"
bystanders = 0
[radio]
advertising_interval = 0.05
supervision_timeout = 0.1
[timing]
join = 0.05
scan = 0.02
measure_after = 0.02
first_measurement_after = 0.05
[[network]]
ssid = "Home"
security = "wpa2"
passphrase = "{PASSPHRASE}"
[cloud]
mode = "contract"
"""

# (model, sync method of its row, further lines of its scenario entry)
KINDS: tuple[tuple[str, str, str], ...] = (
    ("body-plus", "wifi", ""),
    ("sleep", "wifi", 'espressif = {{ security = 1, proof = "" }}'),
    ("move", "bluetooth", ""),
    ("thermo", "wifi", "authorization = {{ press_after = 2.0 }}"),
    ("body", "wifi", "shelly = {{}}\nimprov = false"),
    ("pulse-hr", "bluetooth", ""),
    ("body-plus", "wifi", "nordic = {{}}\nimprov = false"),
    ("bpm-connect", "wifi", 'espressif = {{ security = 1, proof = "abcd1234" }}'),
)


@dataclass
class Device:
    """One device. `more`: further lines of its scenario entry; `faults`: the contents of its table of faults."""

    number: int
    model: str
    sync: str
    more: str = ""
    faults: str = ""

    @property
    def address(self) -> str:
        """Its address."""
        return f"00:24:E4:00:{self.number // 256:02X}:{self.number % 256:02X}"

    @property
    def entry(self) -> str:
        """Its entry in the scenario."""
        faults = f"[device.faults]\n{self.faults}\n" if self.faults else ""
        rssi = -50 - self.number % 30
        return (
            f'[[device]]\nmodel = "{self.model}"\naddress = "{self.address}"\nname = "Unit {self.number:02d}"\n'
            f"rssi = {rssi}\n{self.more}\n{faults}"
        )

    @property
    def row(self) -> str:
        """Its row in a plan."""
        network = "home" if self.sync == "wifi" else ""
        proof = "env:TEST_PROOF" if "abcd1234" in self.more else ""
        return f"{self.address},{self.model},,{self.sync},{network},,Lab,Unit {self.number:02d},{proof}"


def crowd(count: int) -> list[Device]:
    """`count` devices, of each kind in turn."""
    made = []
    for number in range(1, count + 1):
        model, sync, more = KINDS[(number - 1) % len(KINDS)]
        made.append(Device(number, model, sync, more.replace("{{", "{").replace("}}", "}")))
    return made


def scenario(devices: list[Device], extra: str = "") -> str:
    """The complete scenario."""
    return WORLD + extra + "\n".join(device.entry for device in devices)


def plan(devices: list[Device], folder: Path, name: str = "crowd.csv") -> Path:
    """A plan with a row for each device."""
    file = folder / name
    file.write_text("\n".join([HEADER, *(device.row for device in devices)]) + "\n", "utf-8")
    return file


def save_networks() -> None:
    """Save the network of the plans, with its passphrase in a variable."""
    saved_networks.save({"home": SavedNetwork(ssid="Home", passphrase=SecretRef(env="TEST_PASSPHRASE"))})
