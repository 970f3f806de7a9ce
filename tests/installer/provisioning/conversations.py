"""Whole conversations with each kind of lab device, from the first message of a connection to the last one.

A conversation is what the installer does with a connection that is open: it drives the device until it has joined, or
has said what it was asked. Whatever message is added to one, the tests of faults take it in by themselves.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from bleak.backends.device import BLEDevice
from pydantic import SecretStr

from installer.bluetooth.connection import Connection
from installer.catalogue.model import Profile
from installer.errors import ErrorCode, InstallerError
from installer.health_profiles.reader import take_measurement
from installer.lab.device import LabDevice
from installer.lab.espressif.device import EspressifDevice
from installer.lab.espressif.scenario import EspressifScenario
from installer.lab.improv.device import ImprovDevice
from installer.lab.nordic.device import NordicDevice
from installer.lab.nordic.scenario import NordicScenario
from installer.lab.peripheral import LabEnvironment
from installer.lab.scenario import DeviceScenario
from installer.lab.shelly.device import ShellyDevice
from installer.lab.shelly.scenario import ShellyScenario
from installer.provisioning.espressif.driver import EspressifProvisioner
from installer.provisioning.espressif.session import Timings as EspressifTimings
from installer.provisioning.improv.driver import ImprovProvisioner
from installer.provisioning.improv.session import Timings as ImprovTimings
from installer.provisioning.nordic.driver import NordicProvisioner
from installer.provisioning.nordic.session import Timings as NordicTimings
from installer.provisioning.provisioner import Capability, Provisioner, Stage
from installer.provisioning.shelly.driver import ShellyProvisioner
from installer.provisioning.shelly.rpc_client import Timings as ShellyTimings
from installer.provisioning.withings.probe import probe
from tests.installer.provisioning.lab_bench import ADDRESS, RIGHT, Bench, running

PROOF = SecretStr("abcd1234")
WAIT = 3.0  # s; for an answer that a fault keeps back. A second try has the same, and nothing is kept back from it.
Make = Callable[[DeviceScenario, LabEnvironment], LabDevice]


@dataclass(frozen=True)
class Kind:
    """One protocol: its lab device, and the conversation over an open connection."""

    name: str
    make: Make
    talk: Callable[[Connection], Awaitable[None]]
    device: dict[str, Any] = field(default_factory=dict)
    joins: bool = True


async def drive(driver: Provisioner, *, scan: bool = True) -> None:
    """All that the installer does with a driver. A device that is set up already is left as it is."""
    try:
        await driver.open()
        if driver.set_up:
            return
        if Capability.DEVICE_INFO in driver.capabilities:
            await driver.info()
        assert not scan or any(n.ssid == "Home" for n in await driver.networks())
        progress = [p async for p in driver.provision(RIGHT)]
        assert progress[-1].stage is Stage.JOINED
    finally:
        await driver.close()


async def _improv(connection: Connection) -> None:
    # In pieces, as over the smallest link.
    connection.max_write = lambda _uuid: 20  # type: ignore[method-assign]
    timings = ImprovTimings(
        request=WAIT, answer=WAIT, scan=WAIT, quiet=0.05, refusal=0.02, join=WAIT, result=WAIT, settle=0.1
    )
    driver = ImprovProvisioner(connection, timings)
    await drive(driver)


async def _espressif(connection: Connection, username: str | None = None, *, scan: bool = True) -> None:
    timings = EspressifTimings(
        request=WAIT, scan=WAIT, join=WAIT, settle=0.2, disconnect=0.1, poll_first=0.02, poll_last=0.05
    )
    driver = EspressifProvisioner(connection, proof=PROOF, username=username, timings=timings)
    await drive(driver, scan=scan)


async def _espressif_2(connection: Connection) -> None:
    # Only the handshake is another one than with security 1, and its arithmetic takes time.
    await _espressif(connection, "wifiprov", scan=False)


async def _shelly(connection: Connection) -> None:
    timings = ShellyTimings(
        request=WAIT, answer=WAIT, foreign=0.1, scan=WAIT, ready=0.01, join=WAIT, settle=0.3, fall=0.1, confirm=0.1,
        poll_first=0.03, poll_last=0.05,
    )  # fmt: skip
    await drive(ShellyProvisioner(connection, timings))


async def _nordic(connection: Connection) -> None:
    timings = NordicTimings(request=WAIT, answer=WAIT, first=WAIT, quiet=0.1, scan=WAIT, join=WAIT, settle=0.2)
    await drive(NordicProvisioner(connection, timings))


async def _probe(connection: Connection) -> None:
    told = await probe(connection, answer_seconds=0.5)
    assert told is None or told.name.isprintable()


async def _measure(connection: Connection) -> None:
    assert (await take_measurement(connection, Profile.WEIGHT, timeout=0.5)).readings


def _espressif_unit(security: int) -> Make:
    scenario = EspressifScenario(security=security)  # type: ignore[arg-type]
    return lambda entry, around: EspressifDevice(entry, around, scenario)


KINDS = {
    kind.name: kind
    for kind in (
        Kind("improv", ImprovDevice, _improv),
        Kind("espressif 1", _espressif_unit(1), _espressif),
        Kind("espressif 2", _espressif_unit(2), _espressif_2),
        Kind("shelly", lambda e, a: ShellyDevice(e, a, ShellyScenario()), _shelly),
        Kind("nordic", lambda e, a: NordicDevice(e, a, NordicScenario()), _nordic),
        Kind("probe", LabDevice, _probe, {"model": "body-plus", "improv": False}, joins=False),
        Kind(
            "health", LabDevice, _measure, {"model": "body-plus", "timing": {"measure_after": 0.02}}, joins=False
        ),
    )
}  # fmt: skip


class Table:
    """A device of this kind, and conversations with it one after the other."""

    def __init__(self, kind: Kind, bench: Bench[LabDevice]) -> None:
        self.kind = kind
        self.bench = bench
        self._found: BLEDevice | None = None

    @property
    def device(self) -> LabDevice:
        """The lab's device."""
        return self.bench.device

    async def talk(self) -> InstallerError | None:
        """One conversation over a new connection; the error that it ends with. Any other exception is a failure."""
        if self._found is None:
            self._found = await self.bench.find()
        connection = await Connection.open(self.bench.adapter, self._found, timeout=20)
        try:
            await self.kind.talk(connection)
        except InstallerError as found:
            error = found
        else:
            error = None
        finally:
            await connection.close()
        assert "correct horse" not in f"{error} {error!r} {error.data if error else ''}"
        assert error is None or (error.what and error.todo)
        return error

    async def whole(self) -> list[str]:
        """A conversation without a fault: what each of its messages is. It must succeed."""
        error = await self.talk()
        assert error is None, error
        assert not self.kind.joins or self.device.joined == "Home"
        return [what for what, _ in self.device.messages.history]

    async def fault(self, **faults: Any) -> InstallerError | None:
        """A conversation with a new device that has this fault; if it fails, another one, which must succeed."""
        self.bench.generic_faults(**faults)
        error = await self.talk()
        self.bench.generic_faults()
        if error is None:
            # The device has told all that it was to tell.
            self.device.factory_reset()
            return None
        again = await self.talk()
        words = f"{faults}: first {error!r}, then {again!r}; {self.device.messages.history}"
        if again is not None and again.code is ErrorCode.DEVICE_ALREADY_SET_UP:
            # It was still joining when the second try began, and has joined since.
            again = await self.talk()
        assert again is None, words
        assert not self.kind.joins or self.device.joined == "Home", words
        self.device.factory_reset()
        return error


@asynccontextmanager
async def table(name: str, **device: Any) -> AsyncIterator[Table]:
    """A running lab with one device of this kind."""
    kind = KINDS[name]
    async with running(kind.make, **{**kind.device, **device}) as bench:
        assert bench.device.address == ADDRESS
        with contextlib.suppress(StopAsyncIteration):
            yield Table(kind, bench)
