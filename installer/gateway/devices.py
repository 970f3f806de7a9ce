"""Which devices the gateway collects from: what was installed for Bluetooth-only sync, and what is named to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from installer.catalogue.catalogue import Catalogue, Profile
from installer.errors import ErrorCode, InstallerError
from installer.ledger.query_types import Installed
from installer.text import printable

# The sinks by name (installer/gateway/sinks.py, cloud_sink.py, webhook.py).
STORE, LAB_CLOUD, WEBHOOK = "store", "lab-cloud", "webhook"


@dataclass(frozen=True)
class GatewayDevice:
    """A device to collect from. `profiles`: those to listen to; `account`: the stored account that it is linked to."""

    address: str
    profiles: tuple[Profile, ...]
    model: str = ""
    name: str = ""
    account: str = ""


def of_ledger(installed: Iterable[Installed], catalogue: Catalogue) -> list[GatewayDevice]:
    """The installed devices whose model has a standard health profile."""
    models = {model.id: model for model in catalogue.models}
    found = []
    for device in installed:
        model = models.get(device.model)
        if model is None or model.profile is None:
            continue
        name = printable(device.name or model.name, 32)
        found.append(
            GatewayDevice(device.address.upper(), profiles_for(model.profile), model.id, name, device.account or "")
        )
    return found


def named(
    addresses: Sequence[str], profiles: Sequence[str], known: Iterable[GatewayDevice] = ()
) -> list[GatewayDevice]:
    """The devices of `--device`, with the profiles of `--profile`; one that is installed needs none. Raises USAGE."""
    wanted = tuple(_profile(name) for name in profiles)
    by_address = {target.address: target for target in known}
    found = []
    for address in dict.fromkeys(a.strip().upper() for a in addresses):
        target = by_address.get(address)
        if target is None and not wanted:
            raise InstallerError(
                ErrorCode.USAGE,
                f"The device {printable(address, 64)} was not installed by this program, so its profile is not known.",
                f"Name it with --profile: {', '.join(Profile)}.",
            )
        if target is None:
            target = GatewayDevice(address, wanted)
        found.append(GatewayDevice(address, wanted or target.profiles, target.model, target.name, target.account))
    return found


def profiles_for(main: Profile) -> tuple[Profile, ...]:
    """The profiles to listen to on a device of this main profile: all in which devices keep measurements.

    A heart rate is sent live for as long as somebody listens; nobody would expect an endless stream of pulses.
    """
    return (main, *(p for p in Profile if p is not main and p is not Profile.HEART_RATE))


def _profile(name: str) -> Profile:
    try:
        return Profile(name.strip().lower())
    except ValueError:
        raise InstallerError(
            ErrorCode.USAGE,
            f"There is no health profile “{printable(name, 40)}”.",
            f"There are: {', '.join(Profile)}.",
        ) from None
