"""Which devices the gateway collects from: those installed for Bluetooth-only sync, or those of `--device`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from installer.catalogue.catalogue_file import Catalogue
from installer.catalogue.model import Profile
from installer.errors import ErrorCode, InstallerError
from installer.ledger.query_types import InstalledDevice
from installer.settings import ConsentSettings
from installer.text import printable


@dataclass(frozen=True)
class GatewayDevice:
    """A device to collect from. `profiles`: to subscribe to; `account`: the stored account that it is linked to.

    `installation`: the record of its installation, and `serial`: the serial number there; empty if there is none.
    `set_time`: whether its clock is set at each visit. `consent`: of which user, and the place of the consent code;
    `consent_needed`: whether it gives nothing without one.
    """

    address: str
    profiles: tuple[Profile, ...]
    model: str = ""
    name: str = ""
    account: str = ""
    serial: str = ""
    installation: str = ""
    set_time: bool = True
    consent: ConsentSettings | None = None
    consent_needed: bool = False


def installed_devices(installed: Iterable[InstalledDevice], catalogue: Catalogue) -> list[GatewayDevice]:
    """The devices of the ledger whose model has a standard health profile."""
    models = {model.id: model for model in catalogue.models}
    found = []
    for device in installed:
        model = models.get(device.model)
        if model is None or model.profile is None:
            continue
        name = printable(device.name or model.name, 32)
        address, profiles = device.address.upper(), profiles_for(model.profile)
        found.append(
            GatewayDevice(
                address,
                profiles,
                model.id,
                name,
                device.account or "",
                device.serial,
                device.id,
                set_time=model.set_time,
                consent_needed=model.consent,
            )
        )
    return found


def left_out(installed: Iterable[InstalledDevice], catalogue: Catalogue) -> list[InstallerError]:
    """The devices of the ledger whose model is not in the catalogue, so that nobody knows how to collect from them."""
    known = {model.id for model in catalogue.models}
    return [
        InstallerError(
            ErrorCode.CATALOGUE_INVALID,
            f"Nothing is collected from {printable(device.name or 'the device', 32)} {printable(device.address, 64)}: "
            f"its model “{printable(device.model, 64)}” is not in the catalogue.",
            "Give the catalogue file with which it was installed (--catalogue), or name the device with --device and "
            "--profile.",
            device=device.address,
        )
        for device in installed
        if device.model not in known
    ]


def selected_devices(
    addresses: Sequence[str], profiles: Sequence[str], installed: Iterable[GatewayDevice] = ()
) -> list[GatewayDevice]:
    """The devices of `--device` with the profiles of `--profile`; an installed one needs no profile. Raises USAGE."""
    given = tuple(_profile(name) for name in profiles)
    by_address = {device.address: device for device in installed}
    found = []
    for address in dict.fromkeys(a.strip().upper() for a in addresses):
        device = by_address.get(address)
        if device is None and not given:
            raise InstallerError(
                ErrorCode.USAGE,
                f"This program did not install the device {printable(address, 64)}, so its profile is not known.",
                f"Give it with --profile: {', '.join(Profile)}.",
            )
        if device is None:
            device = GatewayDevice(address, given)
        found.append(replace(device, profiles=given or device.profiles))
    return found


def with_consents(devices: Sequence[GatewayDevice], consents: Mapping[str, ConsentSettings]) -> list[GatewayDevice]:
    """The devices, each with the consent that the settings have for its address."""
    return [replace(device, consent=consents.get(device.address)) for device in devices]


def profiles_for(main: Profile) -> tuple[Profile, ...]:
    """The profiles to subscribe to on a device with this main profile: all in which devices store measurements.

    Heart rate is sent live as long as there is a subscription. Nobody expects an endless stream of pulse values.
    """
    return (main, *(p for p in Profile if p is not main and p is not Profile.HEART_RATE))


def _profile(name: str) -> Profile:
    try:
        return Profile(name.strip().lower())
    except ValueError:
        raise InstallerError(
            ErrorCode.USAGE,
            f"There is no health profile “{printable(name, 40)}”.",
            f"Choose one of these: {', '.join(Profile)}.",
        ) from None
