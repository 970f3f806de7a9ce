"""py-improv-ble-client, written by others, over the same backend: it works, and needs no fewer requests than ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import bleak
import pytest
from improv_ble_client import ImprovBLEClient
from improv_ble_client import client as theirs

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.connection import Connection
from installer.bluetooth.hci.client import HciClient
from installer.bluetooth.open_adapter import open_adapter
from installer.bluetooth.raw_adapter import RawAdapter
from installer.bluetooth.scan import Scan
from installer.catalogue import catalogue_file
from installer.provisioning import registry
from installer.provisioning.improv.driver import ImprovProvisioner
from installer.provisioning.provisioner import Stage
from tests.installer.bluetooth.bench import sighted
from tests.installer.lab.lab_process import LabProcess
from tests.installer.provisioning.improv.test_lab_device import PASSPHRASE, run


@pytest.fixture
async def adapter(lab: LabProcess) -> AsyncIterator[Adapter]:
    async with await open_adapter(lab.adapter) as made:
        yield made


@pytest.fixture
def their_bleak(adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their client makes bleak's clients itself: let them be ours."""
    assert isinstance(adapter, RawAdapter)
    host = adapter._host

    class Bound(HciClient):
        def __init__(self, device: Any, **kwargs: Any) -> None:
            super().__init__(device, host=host, **kwargs)

    monkeypatch.setattr(bleak, "get_platform_client_backend_type", lambda: (Bound, "hci"))


async def requests(lab: LabProcess, address: str) -> int:
    return int((await lab.device(address))["att_requests"])


async def test_the_same_result_takes_no_more_requests(lab: LabProcess, adapter: Adapter, their_bleak: None) -> None:
    address = lab.address("body-plus")

    async with Scan(adapter, registry.detector(catalogue_file.load()), settle=0) as scan:
        device = await sighted(scan, address)
    before = await requests(lab, address)
    client = ImprovBLEClient(device)
    states: list[Any] = []
    url = await client.provision("Home", PASSPHRASE, states.append)
    await client._execute_disconnect(theirs.DisconnectReason.ERROR)
    theirs_took = await requests(lab, address) - before
    assert states[-1] == theirs.prot.State.PROVISIONED

    await lab.reset()
    before = await requests(lab, address)
    async with Scan(adapter, registry.detector(catalogue_file.load()), settle=0) as scan:
        # The device's state and capabilities are in every second advertisement.
        await scan.wait_until(
            lambda seen: [s for s in seen if s.address == address and s.advert.service_data] or None, 10
        )
        device = scan.ble_device(address)
    connection = await Connection.open(adapter, device)
    provisioner = ImprovProvisioner(connection)
    await provisioner.open()
    progress = await run(provisioner)
    ours_took = await requests(lab, address) - before
    await connection.close()
    assert progress[-1].stage is Stage.JOINED
    assert progress[-1].url == url
    assert ours_took <= theirs_took


async def test_a_wrong_passphrase_is_a_failure_for_theirs_too(
    lab: LabProcess, adapter: Adapter, their_bleak: None
) -> None:
    async with Scan(adapter, registry.detector(catalogue_file.load()), settle=0) as scan:
        device = await sighted(scan, lab.address("body"))
    with pytest.raises(theirs.ProvisioningFailed):
        await ImprovBLEClient(device).provision("Home", "wrong passphrase", None)
