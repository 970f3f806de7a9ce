"""Messages of the toy protocol: bytes to objects and back. Pure functions (README, "The protocol")."""

from __future__ import annotations

from dataclasses import dataclass

from installer.provisioning.driver_errors import Malformed
from installer.text import printable
from installer.wifi.networks import SSID_BYTES, Network, Security

REQUEST = "70790001-0f3c-4b2e-9d5a-1c0ffee0c0de"
ANSWER = "70790002-0f3c-4b2e-9d5a-1c0ffee0c0de"
MAX_MESSAGE = 180  # bytes

_SECURITY = {"open": Security.OPEN, "wpa2": Security.WPA2}


@dataclass(frozen=True)
class Answer:
    """One message of the device. `kind`: network, end, joining, joined or failed; `network` and `reason` go with it."""

    kind: str
    network: Network | None = None
    reason: str = ""


def scan_request() -> bytes:
    """Asks the device for the networks that it sees."""
    return b"scan"


def join_request(ssid: str, passphrase: str) -> bytes:
    """Hands over credentials. Raises Malformed for an SSID or a passphrase that does not fit into a message."""
    message = f"join\t{ssid}\t{passphrase}".encode()
    if "\t" in ssid or "\t" in passphrase or len(message) > MAX_MESSAGE:
        raise Malformed("these credentials do not fit into a message")
    return message


def decode_answer(data: bytes) -> Answer:
    """One message of the device, whatever it sent. Raises Malformed."""
    try:
        words = data.decode().split("\t")
    except UnicodeDecodeError:
        raise Malformed("a message that is not UTF-8 text") from None
    if len(data) > MAX_MESSAGE:
        raise Malformed("a message that is too long")
    match words:
        case ["network", ssid, security, signal]:
            return Answer("network", _network(ssid, security, signal))
        case ["end" | "joining" | "joined" as kind]:
            return Answer(kind)
        case ["failed", reason]:
            return Answer("failed", reason=printable(reason, 40))
    raise Malformed("a message that the protocol does not have")


def _network(ssid: str, security: str, signal: str) -> Network:
    if not 1 <= len(ssid.encode()) <= SSID_BYTES:
        raise Malformed("an SSID of a wrong length")
    try:
        rssi = int(signal)
    except ValueError:
        raise Malformed("a signal that is no number") from None
    return Network(ssid=ssid, security=_SECURITY.get(security, Security.UNKNOWN), rssi=max(-127, min(rssi, 20)))
