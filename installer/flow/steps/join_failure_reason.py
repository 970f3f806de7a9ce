"""Why a device could not join, if it does not say: what its own list of networks makes likely."""

from __future__ import annotations

from collections.abc import Sequence

from installer.errors import ErrorCode, InstallerError
from installer.wifi.networks import Network

GOOD_RSSI, WEAK_RSSI = -70, -80  # dBm: three bars and more; one bar or none


def with_likely_reason(error: InstallerError, network: Network, seen: Sequence[Network]) -> InstallerError:
    """`error` with the likely reason of a failed join; unchanged if the device gave one or nothing is known.

    `seen`: the networks that the device listed. `data["likely"]`: passphrase, reach or name.
    """
    if error.code is not ErrorCode.JOIN_FAILED or error.data.get("reason") not in (None, "unknown"):
        return error
    found = next((n for n in seen if n.ssid == network.ssid), None)
    label = network.in_quotes
    if found is not None and found.rssi is not None and found.rssi >= GOOD_RSSI:
        likely = "passphrase"
        todo = f"It sees {label} well ({found.rssi} dBm), so the passphrase is most likely wrong: type it again."
    elif found is not None and found.rssi is not None and found.rssi <= WEAK_RSSI:
        likely = "reach"
        todo = (
            f"It hears {label} weakly only ({found.rssi} dBm): bring it closer to the router, or check the passphrase."
        )
    elif found is None and seen and not network.hidden:
        likely = "name"
        todo = (
            f"It does not see {label} at all, so the passphrase is hardly the reason: check the name (capitals count), "
            "bring the device closer to the router, and see that the router offers 2.4 GHz."
        )
    else:
        return error
    if error.data.get("reconnect"):
        todo = f"{todo} {error.todo}"
    return error.with_advice(todo, likely=likely)
