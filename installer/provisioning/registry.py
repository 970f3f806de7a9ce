"""The registry of provisioning protocols: the built-in ones and those of other packages.

Source of the order: `facts/detection.md` §4. An advertisement is a hint; the GATT table is the proof.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from installer import settings
from installer.bluetooth.advertisement_signature import AdvertisementSignature
from installer.bluetooth.connection import Connection
from installer.bluetooth.detection import Detector
from installer.catalogue import catalogue_file
from installer.catalogue.catalogue_file import Catalogue
from installer.errors import ErrorCode, InstallerError
from installer.provisioning.espressif.protocol import ESPRESSIF
from installer.provisioning.guided.protocol import GUIDED_HAND_OFF
from installer.provisioning.improv.protocol import IMPROV
from installer.provisioning.matter.advertisement_signature import MatterSignature
from installer.provisioning.nordic.protocol import NORDIC
from installer.provisioning.protocol import Encryption, ProvisioningProtocol
from installer.provisioning.provisioner import DriverOptions, Provisioner
from installer.provisioning.shelly.protocol import SHELLY
from installer.text.path_reasons import why_unusable

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "device_installer.provisioners"

# The first one wins if a device speaks several and its advertisement gives no hint.
BUILT_IN: tuple[ProvisioningProtocol, ...] = (IMPROV, ESPRESSIF, NORDIC, SHELLY, GUIDED_HAND_OFF)


def protocols() -> tuple[ProvisioningProtocol, ...]:
    """All usable protocols, the built-in ones first."""
    return BUILT_IN + _from_packages()[0]


def unusable_packages() -> tuple[InstallerError, ...]:
    """Why the protocols of some packages are left out: SETTINGS_INVALID, each with the package and what to do."""
    return tuple(_from_packages()[1].values())


def find_protocol(name: str) -> ProvisioningProtocol | None:
    """The protocol with this name; None if there is none. Other packages are read only for a name that is not built in.

    Raises SETTINGS_INVALID if the package that brings it cannot be used.
    """
    built_in = next((p for p in BUILT_IN if p.name == name), None)
    if built_in is not None:
        return built_in
    found, unusable = _from_packages()
    if name in unusable:
        raise unusable[name]
    return next((p for p in found if p.name == name), None)


def is_protocol(name: str) -> bool:
    """Whether a catalogue entry may name this protocol. Raises SETTINGS_INVALID."""
    return find_protocol(name) is not None


def label_of(name: str) -> str:
    """The protocol's name as its makers write it; `name` itself if the protocol is not known."""
    found = find_protocol(name)
    return found.label if found is not None else name


def never_encrypt(names: Iterable[str]) -> bool:
    """Whether none of these protocols can encrypt credentials, on any device."""
    found = [find_protocol(name) for name in names]
    return all(p is not None and p.make_provisioner is not None and p.encryption is Encryption.NONE for p in found)


def can_prove(name: str) -> bool:
    """Whether devices of this protocol can prove who they are."""
    found = find_protocol(name)
    return found is not None and found.proves


def signatures() -> tuple[AdvertisementSignature, ...]:
    """How all protocols advertise, in the order of precedence; with those that this program only recognises."""
    return (*(p.signature for p in protocols()), MatterSignature())


def load_catalogue(extra: Sequence[Path] = ()) -> Catalogue:
    """The built-in catalogue, the files in the `catalogue` folder of the settings, and `extra`.

    What the files in `extra` change of known models is in its remarks.
    Raises CATALOGUE_INVALID, also for an entry that names a protocol that is not here; SETTINGS_INVALID.
    """
    return catalogue_file.load(_user_catalogue_files(), is_protocol, extra)


def _user_catalogue_files() -> list[Path]:
    folder = settings.config_dir() / "catalogue"
    try:
        return sorted(file for file in folder.iterdir() if file.suffix == ".toml")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InstallerError(
            ErrorCode.CATALOGUE_INVALID,
            f"The folder of your catalogue files {folder} cannot be read ({why_unusable(error, folder)}).",
            "Check its owner and its permissions.",
            file=str(folder),
        ) from None


def detector(catalogue: Catalogue) -> Detector:
    """Recognises models and protocols in advertisements."""
    return Detector(catalogue, signatures())


async def provisioner_for(
    connection: Connection, protocol_hint: str | None = None, options: DriverOptions | None = None
) -> Provisioner | None:
    """The provisioner for this device, not opened yet; None if it speaks no protocol that has a driver.

    `protocol_hint`: the protocol that the advertisement shows; tried first. Raises CONNECTION_LOST.
    """
    everything = protocols()
    for protocol in sorted(everything, key=lambda p: p.name != protocol_hint):
        if protocol.speaks is None or protocol.make_provisioner is None:
            continue
        others = [p for p in everything if p is not protocol]
        services = [s for s in sorted(connection.services) if not any(p.owns_service(s) for p in others)]
        if await protocol.speaks(connection, services):
            return protocol.make_provisioner(connection, (options or DriverOptions()).for_services(services))
    return None


@cache
def _from_packages() -> tuple[tuple[ProvisioningProtocol, ...], dict[str, InstallerError]]:
    """The protocols of other packages; and those that cannot be used, by the name of their entry point.

    Reading the metadata of all packages takes some milliseconds: it is done once, and only when it is needed.
    """
    from importlib.metadata import entry_points

    found: dict[str, ProvisioningProtocol] = {}
    unusable: dict[str, InstallerError] = {}
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda e: e.name):
        try:
            protocol = entry.load()
        except Exception as error:  # noqa: BLE001 - code of somebody else may raise anything
            unusable[entry.name] = _unusable(entry, f"cannot be loaded ({type(error).__name__}: {error})")
            continue
        if not isinstance(protocol, ProvisioningProtocol):
            unusable[entry.name] = _unusable(entry, "is no ProvisioningProtocol")
        elif protocol.name in found or any(p.name == protocol.name for p in BUILT_IN):
            unusable[entry.name] = _unusable(
                entry, f"has the name “{protocol.name}”, which another protocol has already"
            )
        else:
            found[protocol.name] = protocol
    return tuple(found.values()), unusable


def _unusable(entry: EntryPoint, why: str) -> InstallerError:
    package = entry.dist.name if entry.dist is not None else entry.value
    return InstallerError(
        ErrorCode.SETTINGS_INVALID,
        f"The provisioning protocol “{entry.name}” of the package {package} {why}.",
        "Update or remove that package.",
        package=package,
    )
