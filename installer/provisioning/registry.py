"""Chooses the provisioner for a connected device by its GATT table.

Source: `facts/detection.md` §4. An advertisement is a hint; the table is the proof.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from installer.bluetooth.connection import Connection
from installer.provisioning.improv import codec as improv
from installer.provisioning.provisioner import DriverOptions, Provisioner


@dataclass(frozen=True)
class Driver:
    """One protocol: whether a device speaks it, and how its provisioner is made."""

    protocol: str
    proves: Callable[[Connection], Awaitable[bool]]
    make: Callable[[Connection, DriverOptions], Provisioner]


async def _proves_improv(connection: Connection) -> bool:
    return all(connection.has_characteristic(uuid, improv.SERVICE) for uuid in improv.CHARACTERISTICS)


def _make_improv(connection: Connection, options: DriverOptions) -> Provisioner:
    from installer.provisioning.improv.driver import ImprovProvisioner, Waits

    return ImprovProvisioner(connection, Waits(authorization=options.authorization), identify=options.identify)


async def _proves_espressif(connection: Connection) -> bool:
    from installer.provisioning.espressif.endpoints import has_provisioning

    return await has_provisioning(connection)


def _make_espressif(connection: Connection, options: DriverOptions) -> Provisioner:
    from installer.provisioning.espressif.driver import EspressifProvisioner

    return EspressifProvisioner(connection, proof=options.proof, username=options.username, ask_proof=options.ask_proof)


async def _proves_nordic(connection: Connection) -> bool:
    from installer.provisioning.nordic import uuids as nordic

    return all(connection.has_characteristic(uuid, nordic.SERVICE) for uuid in nordic.CHARACTERISTICS)


def _make_nordic(connection: Connection, _options: DriverOptions) -> Provisioner:
    from installer.provisioning.nordic.driver import NordicProvisioner

    return NordicProvisioner(connection)


async def _proves_shelly(connection: Connection) -> bool:
    from installer.provisioning.shelly import codec as shelly

    return all(connection.has_characteristic(uuid, shelly.SERVICE) for uuid in shelly.CHARACTERISTICS)


def _make_shelly(connection: Connection, _options: DriverOptions) -> Provisioner:
    from installer.provisioning.shelly.driver import ShellyProvisioner

    return ShellyProvisioner(connection)


# In the order of precedence, where a device speaks several and the advertisement gave no hint.
DRIVERS: tuple[Driver, ...] = (
    Driver("improv", _proves_improv, _make_improv),
    Driver("espressif", _proves_espressif, _make_espressif),
    Driver("nordic", _proves_nordic, _make_nordic),
    Driver("shelly", _proves_shelly, _make_shelly),
)


async def provisioner_for(
    connection: Connection, protocol_hint: str | None = None, options: DriverOptions | None = None
) -> Provisioner | None:
    """The provisioner for this device, not opened yet; None if it speaks no protocol that has a driver.

    `protocol_hint`: the protocol that the advertisement named; tried first.
    """
    for driver in sorted(DRIVERS, key=lambda d: d.protocol != protocol_hint):
        if await driver.proves(connection):
            return driver.make(connection, options or DriverOptions())
    return None
