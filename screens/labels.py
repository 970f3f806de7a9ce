"""What screens show in words and signs: signal, security, protocol, text from outside."""

from __future__ import annotations

from installer.provisioning import registry
from installer.text import in_quotes, printable
from installer.wifi.networks import Security
from screens.choice_list import steady

_BARS = "▂▄▆█"


_STRENGTH = ("very weak", "weak", "fair", "good", "very good")


def signal(bars: int) -> str:
    """Four cells: as many bars as the signal has, dots for the missing ones."""
    return _BARS[:bars] + "·" * (4 - bars)


def strength(bars: int) -> str:
    """The signal in words."""
    return _STRENGTH[max(0, min(bars, 4))]


def security_label(security: Security) -> str:
    """How a network is protected, in the words of a router's label."""
    return {
        Security.OPEN: "open",
        Security.WEP: "WEP",
        Security.WPA: "WPA",
        Security.WPA2: "WPA2",
        Security.WPA_WPA2: "WPA/WPA2",
        Security.WPA3: "WPA3",
        Security.WPA2_WPA3: "WPA2/WPA3",
        Security.ENTERPRISE: "company (802.1X)",
        Security.UNKNOWN: "not known",
    }[security]


def protocol_label(protocol: str) -> str:
    """A provisioning protocol by the name that its makers use."""
    return shown(registry.label_of(protocol))


def shown_ssid(ssid: str) -> str:
    """The name of a network for a sentence: in quotes, so that a blank at its end can be seen."""
    return steady(in_quotes(ssid))


def shown(text: str, limit: int = 80) -> str:
    """Text that came from outside, safe and of a steady width."""
    return steady(printable(text, limit))
