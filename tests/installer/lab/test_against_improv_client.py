"""Another project's Improv client sets up lab devices: a witness that the lab speaks what others mean by Improv.

py-improv-ble-client (Home Assistant's) runs unmodified; its bleak is given a backend over HCI (`facts/bench.md`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import bleak
import pytest
from bleak import BleakScanner
from improv_ble_client import Error, ImprovBLEClient, State, device_filter
from improv_ble_client.errors import ProvisioningFailed

from installer.bluetooth.hci.client import HciClient
from installer.bluetooth.hci.host import HciHost
from installer.bluetooth.hci.scanner import HciScanner
from tests.installer.lab.lab_process import LabProcess

HOME, PASSPHRASE = "Home", "correct horse battery staple"
Find = Callable[[str], Awaitable[ImprovBLEClient]]


@pytest.fixture
async def find(lab: LabProcess, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Find]:
    """`find(model)`: their client for the lab's device, found by a scan."""
    host = await HciHost.open(lab.transport)

    class Client(HciClient):
        def __init__(self, device: Any, **kwargs: Any) -> None:
            super().__init__(device, host=host, **kwargs)

    class Scanner(HciScanner):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, host=host, **kwargs)

    monkeypatch.setattr(bleak, "get_platform_client_backend_type", lambda: (Client, "lab"))
    monkeypatch.setattr(bleak, "get_platform_scanner_backend_type", lambda: (Scanner, "lab"))
    clients: list[ImprovBLEClient] = []

    async def find_one(model: str) -> ImprovBLEClient:
        address = lab.address(model)
        device = await BleakScanner.find_device_by_filter(
            lambda device, advert: device.address.upper() == address and device_filter(advert), timeout=15
        )
        assert device is not None, f"their filter does not take the lab's {model}"
        clients.append(ImprovBLEClient(device))
        return clients[-1]

    yield find_one
    await host.close()


async def authorized(client: ImprovBLEClient) -> None:
    """Their way to wait for the button, as Home Assistant goes it: by the states that the device tells."""
    pressed = asyncio.Event()
    await client.subscribe_state_updates(lambda state: pressed.set() if state is State.AUTHORIZED else None)
    # Asked again once subscribed: a press between their first reading and their subscription would go unheard.
    if await client.need_authorization():
        await pressed.wait()


@pytest.mark.parametrize("model", ["body", "body-plus", "thermo", "generic"])
async def test_it_provisions_a_device(lab: LabProcess, find: Find, model: str) -> None:
    client = await find(model)
    await authorized(client)
    states: list[State] = []
    url = await client.provision(HOME, PASSPHRASE, states.append)
    assert url == "http://192.168.1.50"
    assert State.PROVISIONED in states
    assert (await lab.device(model))["joined"] == HOME


async def test_it_is_told_of_a_wrong_passphrase_and_succeeds_with_the_right_one(lab: LabProcess, find: Find) -> None:
    client = await find("body-plus")
    gone = asyncio.Event()
    await client.subscribe_state_updates(lambda state: gone.set() if state is State.DISCONNECTED else None)
    with pytest.raises(ProvisioningFailed) as failed:
        await client.provision(HOME, "not the passphrase", None)
    assert failed.value.args[0] == Error.UNABLE_TO_CONNECT.name
    # After an error it hangs up in the background; what it is told to write meanwhile goes out twice.
    await gone.wait()
    assert await client.provision(HOME, PASSPHRASE, None)


async def test_it_reads_info_networks_and_hostname(lab: LabProcess, find: Find) -> None:
    client = await find("body-plus")
    await client.ensure_connected()
    info = await client.get_device_info()
    assert info.device_name == b"Body+ 3C"
    networks = (await client.scan_wifi()).networks
    assert [ssid.decode() for ssid, _rssi, _auth in networks] == [
        "Home",
        "Office",
        "Zoë's 🏠 Wi-Fi",
        "Café Open",
        "Home",
        "Corp",
    ]
    assert await client.set_hostname("scale-upstairs") == "scale-upstairs"
    assert await client.get_hostname() == "scale-upstairs"
    await client.identify()
    await lab.until(lambda d: d["identified"] == 1, "body-plus")


async def test_a_watch_tells_it_what_it_cannot(lab: LabProcess, find: Find) -> None:
    client = await find("move")
    await client.ensure_connected()
    assert client.can_identify
    assert client.can_get_device_info
    assert not client.can_scan_wifi
    with pytest.raises(ProvisioningFailed):
        await client.provision(HOME, PASSPHRASE, None)
    assert (await lab.device("move"))["wifi_commands"] == 1
