"""A real access point: hostapd on a radio of mac80211_hwsim, with radios for a device and for a computer that join."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import TracebackType

from tests.guest.inside import system_bus
from tests.guest.inside.background import Background
from tests.guest.inside.waiting import until

SSID = "Real Home"
PASSPHRASE = "secret of the real one"
OF_POINT, OF_DEVICE, OF_COMPUTER = "wlan0", "wlan1", "wlan2"
INTERFACES = Path("/sys/class/net")
NETWORK_MANAGER, SUPPLICANT = "org.freedesktop.NetworkManager", "fi.w1.wpa_supplicant1"
UDEV, UDEV_CONTROL = "/usr/lib/systemd/systemd-udevd", Path("/run/udev/control")


class AccessPoint:
    """hostapd with WPA2. `network_manager()` runs NetworkManager, as on a computer that uses this network."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._programs: list[Background] = []

    def __enter__(self) -> AccessPoint:
        subprocess.run(["modprobe", "mac80211_hwsim", "radios=3"], check=True)
        until(lambda: (INTERFACES / OF_COMPUTER).exists(), "the interfaces of the simulated air")
        configuration = self._folder / "hostapd.conf"
        lines = (
            f"interface={OF_POINT}",
            "driver=nl80211",
            f"ssid={SSID}",
            "hw_mode=g",
            "channel=1",
            "wpa=2",
            "wpa_key_mgmt=WPA-PSK",
            "rsn_pairwise=CCMP",
            f"wpa_passphrase={PASSPHRASE}",
        )
        configuration.write_text("\n".join(lines) + "\n", "utf-8")
        hostapd = Background("hostapd", ["hostapd", str(configuration)], self._folder)
        self._programs.append(hostapd)
        hostapd.wait_text("AP-ENABLED")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for program in reversed(self._programs):
            program.stop()
        subprocess.run(["modprobe", "-r", "mac80211_hwsim"], check=True)

    @property
    def joined(self) -> bool:
        """Whether the device is in the network, as the kernel tells it."""
        told = subprocess.run(["iw", "dev", OF_DEVICE, "link"], check=True, capture_output=True, text=True).stdout
        return f"SSID: {SSID}" in told

    def network_manager(self) -> None:
        """Run NetworkManager, which joins the network and keeps its passphrase as on a desktop."""
        configuration = self._folder / "NetworkManager.conf"
        configuration.write_text(
            f"[main]\nplugins=keyfile\ndhcp=internal\n[keyfile]\nunmanaged-devices=interface-name:{OF_POINT},interface-name:{OF_DEVICE}\n",
            "utf-8",
        )
        # It manages no interface that udev has not seen, and joins with the supplicant on the bus.
        self._programs.append(Background("udev", [UDEV], self._folder))
        until(lambda: UDEV_CONTROL.exists(), "udev")
        for words in (("trigger", "--action=add", "--subsystem-match=net"), ("settle", "--timeout=60")):
            subprocess.run(["udevadm", *words], check=True, timeout=90)
        self._programs.append(Background("supplicant", ["wpa_supplicant", "-u"], self._folder))
        until(lambda: system_bus.name_has_owner(SUPPLICANT), "wpa_supplicant on the bus")
        command = ["NetworkManager", "--debug", f"--config={configuration}"]
        self._programs.append(Background("network-manager", command, self._folder))
        until(lambda: system_bus.name_has_owner(NETWORK_MANAGER), "NetworkManager on the bus")
        # An address of its own: there is no DHCP here.
        add = ["nmcli", "connection", "add", "type", "wifi", "ifname", OF_COMPUTER, "con-name", "real", "ssid", SSID]
        add += ["wifi-sec.key-mgmt", "wpa-psk", "wifi-sec.psk", PASSPHRASE]
        add += ["ipv4.method", "manual", "ipv4.addresses", "10.9.0.2/24", "ipv6.method", "disabled"]
        subprocess.run(add, check=True, capture_output=True, timeout=60)

        def active() -> bool:
            asked = ["nmcli", "--terse", "--fields", "NAME,STATE", "connection", "show", "--active"]
            return "real:activated" in subprocess.run(asked, capture_output=True, text=True, timeout=30).stdout

        until(active, "NetworkManager in the network")
