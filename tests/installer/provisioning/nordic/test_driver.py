"""The driver against the lab's device, through bleak over HCI: what goes right, and what a person gets wrong."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest
from pydantic import SecretStr

from installer.bluetooth.sighting import Advert
from installer.catalogue.catalogue_file import load
from installer.errors import ErrorCode
from installer.provisioning import registry
from installer.provisioning.nordic.advertisement_signature import SERVICE
from installer.provisioning.provisioner import Capability, Provisioner, Stage
from installer.wifi.credentials import Credentials
from installer.wifi.networks import Band, Network, Security
from tests.installer.provisioning.lab_bench import HOME, RIGHT, WRONG, failure, stages, until
from tests.installer.provisioning.nordic.bench import FAST, nordic, nordic_driver


@pytest.mark.parametrize("mtu", [100, 247, 517])
async def test_a_whole_installation(mtu: int):
    async with nordic(mtu=mtu) as lab:
        driver = await nordic_driver(lab)
        as_contract: Provisioner = driver
        assert (as_contract.protocol, as_contract.encrypts_credentials, as_contract.set_up) == ("nordic", False, False)
        assert as_contract.capabilities == Capability.DEVICE_INFO | Capability.SCAN_NETWORKS
        networks = await driver.networks()
        assert {n.ssid for n in networks} == {"Home", "Cafe", "Office", 'Gäste ☕ "1"'}
        home = max((n for n in networks if n.ssid == "Home"), key=lambda n: n.rssi or -999)
        assert (home.security, home.rssi, home.band) == (Security.WPA2, -50, Band.GHZ_2_4)
        progress = await stages(driver)
        assert [p.stage for p in progress] == [Stage.SENDING, Stage.JOINING, Stage.JOINED]
        assert progress[-1].url == "http://192.168.1.50"
        assert lab.device.joined == "Home"
        assert lab.device.nordic.requests == ["status", "scan", "stop", "credentials", "status"]
        assert driver.set_up
        await driver.close()
        await lab.opened[0].close()
        assert (await nordic_driver(lab)).set_up


async def test_without_a_scan_of_the_persons_the_driver_scans_by_itself():
    async with nordic() as lab:
        driver = await nordic_driver(lab)
        await stages(driver)
        assert lab.device.nordic.requests == ["status", "scan", "stop", "credentials", "status"]
        # The strongest access point of the two.
        wifi = lab.device.nordic.configs[0].message(1)
        point = next(n for n in await driver.networks() if n.ssid == "Home" and n.rssi == -50)
        assert wifi.bytes(2).hex(":").upper() == point.bssid
        assert (wifi.number(4), wifi.number(5), lab.device.nordic.configs[0].number(4)) == (6, 3, 1)


async def test_the_access_point_that_was_chosen():
    async with nordic() as lab:
        driver = await nordic_driver(lab)
        weak = next(n for n in await driver.networks() if n.ssid == "Home" and n.rssi == -61)
        await stages(driver, Credentials(network=weak, passphrase=RIGHT.passphrase))
        assert lab.device.nordic.configs[0].message(1).bytes(2).hex(":").upper() == weak.bssid


async def test_what_it_says_of_the_device():
    async with nordic({"version": 3}) as lab:
        driver = await nordic_driver(lab)
        info = await driver.info()
        assert (info.name, info.firmware_version) == ("PVBE54DC", "3")
        assert (await failure(driver.identify())).code is ErrorCode.DEVICE_REFUSED
        assert lab.device.nordic.requests == ["status"]


async def test_its_advertisement_is_recognised():
    async with nordic() as lab:
        device = await lab.find()
        assert lab.advert is not None
        assert lab.advert.service_data == {SERVICE: bytes((1, 0, 0, 0))}
        assert (
            registry.detector(load()).detect(device.address, Advert(service_data=lab.advert.service_data)).protocol
            == "nordic"
        )
        await stages(await nordic_driver(lab))
        assert lab.device.nordic.service_data() == bytes((1, 3, 0, 256 - 55))


async def test_wrong_passphrase_then_right_one_on_the_same_connection():
    async with nordic() as lab:
        driver = await nordic_driver(lab)
        error = await failure(stages(driver, WRONG))
        assert (error.code, error.data["reason"]) == (ErrorCode.JOIN_FAILED, "authentication")
        assert not driver.set_up
        assert (await stages(driver))[-1].stage is Stage.JOINED
        assert lab.device.joined == "Home"
        assert lab.device.nordic.requests.count("scan") == 1


@pytest.mark.parametrize("keeps", [True, False])
async def test_credentials_of_an_earlier_attempt_are_forgotten_where_they_are_in_the_way(keeps: bool):
    async with nordic({"keeps": keeps}) as lab:
        driver = await nordic_driver(lab)
        await failure(stages(driver, WRONG))
        assert (await stages(driver))[-1].stage is Stage.JOINED
        assert lab.device.nordic.requests.count("forget") == keeps


@pytest.mark.parametrize(
    ("settings", "code", "reason"),
    [
        ({"failure": 0}, ErrorCode.JOIN_FAILED, "authentication"),
        ({"failure": 1}, ErrorCode.NETWORK_NOT_FOUND, "not_found"),
        ({"failure": 2}, ErrorCode.PROVISIONING_TIMEOUT, "timeout"),
        ({"failure": 3}, ErrorCode.JOIN_FAILED, "no_address"),
        ({"failure": 4}, ErrorCode.JOIN_FAILED, "connect"),
        ({"failure": 9}, ErrorCode.JOIN_FAILED, "unknown"),
        ({"reasons": False}, ErrorCode.JOIN_FAILED, "unknown"),
        ({"falls": True}, ErrorCode.JOIN_FAILED, "unknown"),
    ],
)
async def test_reasons(settings: dict, code: ErrorCode, reason: str):
    async with nordic(settings) as lab:
        driver = await nordic_driver(lab)
        error = await failure(stages(driver, WRONG))
        assert (error.code, error.data["reason"]) == (code, reason)
        assert (await stages(driver))[-1].stage is Stage.JOINED


async def test_a_network_that_vanishes():
    async with nordic() as lab:
        driver = await nordic_driver(lab)
        lab.generic_faults(network_vanishes={})
        assert (await failure(stages(driver))).code is ErrorCode.NETWORK_NOT_FOUND
        assert (await stages(driver))[-1].stage is Stage.JOINED


@pytest.mark.parametrize(
    ("network", "words"), [(Network(ssid="Attic", hidden=True), "hidden"), (Network(ssid="Nowhere"), "does not see")]
)
async def test_what_the_device_does_not_see_it_is_not_told_to_join(network: Network, words: str):
    async with nordic() as lab:
        driver = await nordic_driver(lab)
        credentials = Credentials(network=network, passphrase=SecretStr("under the horse"))
        error = await failure(stages(driver, credentials))
        assert (error.code, error.data["reason"]) == (ErrorCode.NETWORK_NOT_FOUND, "not_seen")
        assert words in error.what
        assert "credentials" not in lab.device.nordic.requests
        assert (await stages(driver))[-1].stage is Stage.JOINED


async def test_an_open_network():
    async with nordic() as lab:
        driver = await nordic_driver(lab)
        await stages(driver, Credentials(network=Network(ssid="Cafe", security=Security.OPEN)))
        assert lab.device.joined == "Cafe"
        assert not lab.device.nordic.configs[0].has(2)


async def test_a_network_with_a_name_of_many_bytes():
    async with nordic() as lab:
        driver = await nordic_driver(lab)
        network = next(n for n in await driver.networks() if n.ssid.startswith("G"))
        await stages(driver, Credentials(network=network, passphrase=SecretStr('staple \\ "battery"')))
        assert lab.device.joined == 'Gäste ☕ "1"'


async def test_an_ssid_goes_back_as_the_bytes_that_the_scan_gave():
    async with nordic() as lab:
        driver = await nordic_driver(lab)
        heard = lab.device.scan

        async def scan():
            return [replace(h, ssid="Caf\udce9") if h.ssid == "Cafe" else h for h in await heard()]

        lab.device.scan = scan
        network = next(n for n in await driver.networks() if n.ssid == "Caf\ufffd")
        assert (await failure(stages(driver, Credentials(network=network)))).code is ErrorCode.NETWORK_NOT_FOUND
        assert lab.device.nordic.configs[0].message(1).bytes(1) == b"Caf\xe9"


async def test_an_access_point_that_is_shown_again_and_again_is_one():
    async with nordic({"repeats": 20}) as lab:
        assert len(await (await nordic_driver(lab)).networks()) == 5


async def test_nothing_within_reach():
    async with nordic(bands=["6 GHz"]) as lab:
        assert await (await nordic_driver(lab, replace(FAST, first=0.2))).networks() == []


async def test_a_device_that_wants_to_be_paired():
    async with nordic({"pairing": True}) as lab:
        driver = await nordic_driver(lab, opened=False)
        error = await failure(driver.open())
        assert error.code is ErrorCode.PAIRING_NEEDED


async def test_impossible_credentials_are_not_sent():
    async with nordic() as lab:
        driver = await nordic_driver(lab)
        short = Credentials(network=HOME, passphrase=SecretStr("short"))
        assert (await failure(stages(driver, short))).code is ErrorCode.PASSPHRASE_INVALID
        assert lab.device.nordic.requests == ["status"]


async def test_breaking_off_before_sending_sends_nothing():
    async with nordic() as lab:
        driver = await nordic_driver(lab)
        async with aclosing(driver.provision(RIGHT)) as progress:
            assert (await anext(progress)).stage is Stage.SENDING
        assert "credentials" not in lab.device.nordic.requests
        # And the driver is free again.
        assert (await stages(driver))[-1].stage is Stage.JOINED


async def test_scans_at_the_same_time_go_one_after_the_other():
    async with nordic() as lab:
        driver = await nordic_driver(lab)
        found = await asyncio.gather(*(driver.networks() for _ in range(3)))
        assert [len(networks) for networks in found] == [5] * 3


async def test_a_device_that_was_reset():
    async with nordic() as lab:
        await stages(await nordic_driver(lab))
        lab.device.factory_reset()
        await until(lambda: not lab.opened[0].is_open)
        assert not (await nordic_driver(lab)).set_up
        assert lab.device.describe()["state"] == "disconnected"
        lab.device.set_protocol_faults({"silent": {"on": "record"}})
        assert lab.device.describe()["faults"]["silent"]["on"] == "record"
        lab.device.restore()
        assert lab.device.describe()["faults"] == {}
        with pytest.raises(ValueError, match="drop"):
            lab.device.set_protocol_faults({"drop": {"on": "nowhere"}})
