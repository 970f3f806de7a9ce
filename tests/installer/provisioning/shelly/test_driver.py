"""The driver against the lab's Shelly device, through bleak over HCI: what goes right, and what a person gets wrong."""

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
from installer.provisioning.provisioner import Capability, Provisioner, Stage
from installer.provisioning.shelly import codec
from installer.provisioning.shelly.advertisement_signature import SERVICE
from installer.wifi.credentials import Credentials
from installer.wifi.networks import Band, Network, Security
from tests.installer.provisioning.lab_bench import HOME, RIGHT, WRONG, failure, stages, until
from tests.installer.provisioning.shelly.bench import FAST, shelly, shelly_driver


@pytest.mark.parametrize("mtu", [23, 64, 247, 517])
async def test_a_whole_installation(mtu: int):
    async with shelly(mtu=mtu) as lab:
        driver = await shelly_driver(lab)
        as_contract: Provisioner = driver
        assert (as_contract.protocol, as_contract.encrypts_credentials, as_contract.set_up) == ("shelly", False, False)
        assert as_contract.capabilities == Capability.DEVICE_INFO | Capability.SCAN_NETWORKS | Capability.STORE
        networks = await driver.networks()
        assert {n.ssid for n in networks} == {"Home", "Cafe", "Office", 'Gäste ☕ "1"'}
        home = max((n for n in networks if n.ssid == "Home"), key=lambda n: n.rssi or -999)
        assert (home.security, home.rssi, home.band) == (Security.WPA2, -50, Band.GHZ_2_4)
        progress = await stages(driver)
        assert [p.stage for p in progress] == [Stage.SENDING, Stage.JOINING, Stage.JOINED]
        assert progress[-1].url == "http://192.168.1.50"
        assert lab.device.joined == "Home"
        assert driver.set_up
        await driver.close()
        await lab.opened[0].close()
        assert (await shelly_driver(lab)).set_up


async def test_what_it_says_of_the_device():
    async with shelly({"version": "1.4.4\x1b[2J"}) as lab:
        driver = await shelly_driver(lab)
        info = await driver.info()
        assert (info.name, info.firmware, info.hardware) == ("shellyplus1-a8032abe54dc", "ShellyPlus1", "LAB-001")
        assert info.firmware_version == "1.4.4\ufffd[2J"
        assert (await failure(driver.identify())).code is ErrorCode.DEVICE_REFUSED
        assert lab.device.shelly.calls == ["info", "status"]


async def test_its_advertisement_is_recognised():
    async with shelly() as lab:
        device = await lab.find()
        assert device.name == "ShellyPlus1-A8032ABE54DC"
        assert lab.advert is not None
        assert lab.advert.manufacturer_data == {0x0BA9: bytes.fromhex("0aa8032abe54dc")}
        advert = Advert(manufacturer_data=lab.advert.manufacturer_data)
        assert registry.detector(load()).detect(device.address, advert).protocol == "shelly"
        connection = await lab.connect()
        assert all(connection.has_characteristic(uuid, SERVICE) for uuid in codec.CHARACTERISTICS)


async def test_wrong_passphrase_then_right_one_on_the_same_connection():
    async with shelly() as lab:
        driver = await shelly_driver(lab)
        error = await failure(stages(driver, WRONG))
        assert (error.code, error.data["reason"]) == (ErrorCode.JOIN_FAILED, "unknown")
        assert not driver.set_up
        assert (await stages(driver))[-1].stage is Stage.JOINED
        assert lab.device.joined == "Home"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("AP not found", ErrorCode.NETWORK_NOT_FOUND),
        ("auth fail", ErrorCode.JOIN_FAILED),
        ("wrong password", ErrorCode.JOIN_FAILED),
    ],
)
async def test_firmware_that_says_what_went_wrong(words: str, code: ErrorCode):
    async with shelly({"words": words}) as lab:
        driver = await shelly_driver(lab, replace(FAST, settle=60, fall=60))
        assert (await failure(stages(driver, WRONG))).code is code
        assert (await stages(driver))[-1].stage is Stage.JOINED


async def test_a_network_that_is_not_there():
    async with shelly() as lab:
        driver = await shelly_driver(lab)
        nowhere = Credentials(network=Network(ssid="Nowhere"), passphrase=SecretStr("correct horse"))
        assert (await failure(stages(driver, nowhere))).code is ErrorCode.NETWORK_NOT_FOUND
        lab.generic_faults(network_vanishes={})
        assert (await failure(stages(driver))).code is ErrorCode.JOIN_FAILED
        assert (await stages(driver))[-1].stage is Stage.JOINED


async def test_a_hidden_network():
    async with shelly() as lab:
        driver = await shelly_driver(lab)
        attic = Network(ssid="Attic", hidden=True)
        wrong = Credentials(network=attic, passphrase=SecretStr("under the horse"))
        assert (await failure(stages(driver, wrong))).code is ErrorCode.JOIN_FAILED
        await stages(driver, Credentials(network=attic, passphrase=SecretStr("under the roof")))
        assert lab.device.joined == "Attic"


async def test_an_open_network():
    async with shelly() as lab:
        driver = await shelly_driver(lab)
        await stages(driver, Credentials(network=Network(ssid="Cafe", security=Security.OPEN)))
        assert lab.device.joined == "Cafe"


async def test_quotes_backslashes_and_emoji_arrive_as_they_are():
    async with shelly(mtu=23) as lab:
        driver = await shelly_driver(lab)
        network = next(n for n in await driver.networks() if n.ssid.startswith("G"))
        await stages(driver, Credentials(network=network, passphrase=SecretStr('staple \\ "battery"')))
        assert lab.device.joined == 'Gäste ☕ "1"'


async def test_from_one_network_to_another():
    async with shelly() as lab:
        driver = await shelly_driver(lab)
        await stages(driver, Credentials(network=Network(ssid="Cafe", security=Security.OPEN)))
        assert (await stages(driver))[-1].stage is Stage.JOINED
        assert lab.device.joined == "Home"
        # The same network with a passphrase that does not hold any more.
        assert (await failure(stages(driver, WRONG))).code is ErrorCode.JOIN_FAILED


async def test_a_device_with_a_password():
    async with shelly({"password": True}) as lab:
        driver = await shelly_driver(lab, opened=False)
        error = await failure(driver.open())
        assert (error.code, error.data["rpc_error"]) == (ErrorCode.DEVICE_REFUSED, 401)
        assert "password" in error.what
        assert "reset" in error.todo
        assert lab.device.shelly.calls == ["info", "status"]


async def test_a_device_that_wants_to_be_paired():
    async with shelly({"pairing": True}) as lab:
        driver = await shelly_driver(lab, opened=False)
        error = await failure(driver.open())
        assert error.code is ErrorCode.PAIRING_NEEDED
        assert "paired" in error.what


async def test_a_device_that_must_start_anew():
    async with shelly({"restart": True}) as lab:
        driver = await shelly_driver(lab)
        error = await failure(stages(driver))
        assert (error.code, error.data["sent"]) == (ErrorCode.CONNECTION_LOST, True)
        await until(lambda: not lab.opened[0].is_open and lab.device.joined == "Home")
        assert (await shelly_driver(lab)).set_up


async def test_firmware_without_a_status_can_be_set_up_but_not_watched():
    async with shelly({"status": False}) as lab:
        driver = await shelly_driver(lab)
        assert not driver.set_up
        error = await failure(stages(driver))
        assert (error.code, error.data["rpc_error"]) == (ErrorCode.DEVICE_REFUSED, 404)
        assert lab.device.shelly.credentials_received == 1


async def test_notifications_between_answers_are_passed_over():
    async with shelly({"chatty": True}, mtu=64) as lab:
        driver = await shelly_driver(lab)
        assert len(await driver.networks()) == 5
        assert (await stages(driver))[-1].stage is Stage.JOINED


async def test_impossible_credentials_are_not_sent():
    async with shelly() as lab:
        driver = await shelly_driver(lab)
        short = Credentials(network=HOME, passphrase=SecretStr("short"))
        assert (await failure(stages(driver, short))).code is ErrorCode.PASSPHRASE_INVALID
        assert "credentials" not in lab.device.shelly.calls


async def test_breaking_off_before_sending_sends_nothing():
    async with shelly() as lab:
        driver = await shelly_driver(lab)
        async with aclosing(driver.provision(RIGHT)) as progress:
            assert (await anext(progress)).stage is Stage.SENDING
        assert "credentials" not in lab.device.shelly.calls


async def test_calls_at_the_same_time_go_one_after_the_other():
    async with shelly() as lab:
        driver = await shelly_driver(lab)
        found = await asyncio.gather(*(driver.networks() for _ in range(4)))
        assert [len(networks) for networks in found] == [5] * 4


async def test_a_call_that_was_broken_off_does_not_disturb_the_next():
    async with shelly(timing={"scan": 0.2}) as lab:
        driver = await shelly_driver(lab)
        scan = asyncio.create_task(driver.networks())
        await until(lambda: "scan" in lab.device.shelly.calls)
        scan.cancel()
        await asyncio.wait({scan})
        # Its answer comes later, when another one is waited for.
        assert (await stages(driver))[-1].stage is Stage.JOINED
        assert len(await driver.networks()) == 5
