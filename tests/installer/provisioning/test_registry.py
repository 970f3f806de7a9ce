"""The GATT table decides which driver a device gets."""

from __future__ import annotations

from bumble.gatt import Service

from installer.bluetooth.adapter import open_adapter
from installer.provisioning.improv.driver import ImprovProvisioner
from installer.provisioning.registry import provisioner_for
from tests.installer.bluetooth.bench import SERVICE, VALUE, Bench, Properties, characteristic, connected
from tests.installer.provisioning.improv.fake_device import CAPABILITIES, ImprovDevice


async def test_an_improv_device_gets_the_improv_driver_whatever_was_hinted() -> None:
    async with Bench() as bench, await open_adapter(bench.adapter) as adapter:
        await ImprovDevice().start(bench)
        async with await connected(adapter) as connection:
            for hint in ("improv", "guided", "nordic", None):
                assert isinstance(await provisioner_for(connection, hint), ImprovProvisioner)


async def test_an_incomplete_table_is_no_proof() -> None:
    async with Bench() as bench, await open_adapter(bench.adapter) as adapter:
        await ImprovDevice().start(bench, without=CAPABILITIES)
        async with await connected(adapter) as connection:
            assert await provisioner_for(connection, "improv") is None


async def test_an_unknown_device_gets_none() -> None:
    async with Bench() as bench, await open_adapter(bench.adapter) as adapter:
        await bench.peripheral([Service(SERVICE, [characteristic(VALUE, Properties.READ)])])
        async with await connected(adapter) as connection:
            assert await provisioner_for(connection, "improv") is None
