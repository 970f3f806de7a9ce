"""The driver against the lab's device, through bleak over HCI: what goes right, and what a person gets wrong."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest
from pydantic import SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.provisioning.espressif.driver import WARN_NO_PROOF, WARN_NONCE, WARN_RELAY, EspressifProvisioner
from installer.provisioning.espressif.endpoints import characteristic_uuid, has_provisioning, service_by_numbers
from installer.provisioning.provisioner import Capability, ConnectionSecurity, DriverOptions, Provisioner, Stage
from installer.provisioning.registry import provisioner_for
from installer.wifi.credentials import Credentials
from installer.wifi.networks import Band, Network, Security
from tests.installer.provisioning.espressif.bench import FAST, PROOF, bench
from tests.installer.provisioning.lab_bench import HOME, RIGHT, WRONG, stages

SCHEMES = [
    pytest.param({"security": 0}, id="security 0"),
    pytest.param({"security": 1}, id="security 1"),
    pytest.param({"security": 1, "proof": ""}, id="security 1 without proof"),
    pytest.param({"security": 2, "patch": 0}, id="security 2, one nonce"),
    pytest.param({"security": 2, "patch": 1}, id="security 2"),
    pytest.param({"security": 1, "firmware": "old", "descriptors": False}, id="old firmware"),
    pytest.param({"security": 2, "stack": "bluedroid"}, id="bluedroid"),
]


async def failure(work) -> InstallerError:
    """The error that `work` ends with."""
    with pytest.raises(InstallerError) as caught:
        await work
    assert PROOF not in str(caught.value)
    assert "horse" not in f"{caught.value} {caught.value!r} {caught.value.data}"
    return caught.value


@pytest.mark.parametrize("settings", SCHEMES)
async def test_a_whole_installation(settings: dict):
    async with bench(settings) as lab:
        driver: EspressifProvisioner = await lab.driver()
        as_contract: Provisioner = driver
        assert as_contract.protocol == "espressif"
        assert as_contract.encrypts_credentials is (settings["security"] > 0)
        assert not as_contract.set_up
        networks = await driver.networks()
        assert {n.ssid for n in networks} == {"Home", "Cafe", "Office", "Gäste ☕", "Old"}
        assert len(networks) == 6
        home = max((n for n in networks if n.ssid == "Home"), key=lambda n: n.rssi or -999)
        assert (home.security, home.rssi, home.band) == (Security.WPA2, -50, Band.GHZ_2_4)
        progress = await stages(driver)
        assert [p.stage for p in progress] == [Stage.SENDING, Stage.JOINING, Stage.JOINED]
        assert lab.device.joined == "Home"
        assert lab.device.espressif.session.count == 1
        await driver.close()


async def test_what_it_says_of_the_device():
    async with bench({"security": 2}) as lab:
        driver = await lab.driver(opened=False)
        assert driver.encrypts_credentials is False
        await driver.open()
        assert driver.capabilities == Capability.SCAN_NETWORKS | Capability.DEVICE_INFO
        assert (driver.security.wants_proof, driver.security.scheme, driver.warnings) == (True, 2, ())
        info = await driver.info()
        assert (info.name, info.firmware_version) == ("PROV_CE03C0", "netprov-v1.2")
        assert (await failure(driver.identify())).code is ErrorCode.DEVICE_REFUSED
        assert lab.device.espressif.exchanges == ["version"]


@pytest.mark.parametrize(
    ("settings", "proof", "warnings"),
    [
        ({"security": 2, "patch": 0}, PROOF, (WARN_NONCE,)),
        ({"security": 1, "proof": ""}, None, (WARN_NO_PROOF,)),
        ({"security": 0}, PROOF, ()),
        ({"security": 1}, PROOF, (WARN_RELAY,)),
        ({"security": 2}, PROOF, ()),
    ],
)
async def test_warnings(settings: dict, proof: str | None, warnings: tuple[str, ...]):
    async with bench(settings) as lab:
        driver = await lab.driver(proof)
        assert driver.warnings == warnings


async def test_application_version():
    async with bench() as lab:
        lab.device.espressif._version = lambda data: b'{"prov": {"ver": "v1.1"}, "scale": {"ver": "3.1"}}'
        driver = await lab.driver()
        info = await driver.info()
        assert (info.firmware, info.firmware_version) == ("scale", "3.1")
        assert driver.capabilities == Capability.DEVICE_INFO
        assert (await failure(driver.networks())).code is ErrorCode.DEVICE_REFUSED


@pytest.mark.parametrize(
    ("settings", "proof", "wants", "proved"),
    [
        ({"security": 0}, PROOF, False, False),
        ({"security": 1, "proof": ""}, PROOF, False, False),
        ({"security": 1, "firmware": "old", "proof": ""}, "", True, False),  # old firmware cannot say that it has none
        ({"security": 1}, PROOF, True, True),
        ({"security": 2}, PROOF, True, True),
    ],
)
async def test_whether_the_device_has_proved_itself(settings: dict, proof: str, wants: bool, proved: bool):
    async with bench(settings) as lab:
        driver = await lab.driver(proof)
        scheme = settings["security"]
        offered = ConnectionSecurity(scheme > 0, wants, False, scheme, authenticated=scheme == 2)
        assert driver.security == offered
        await driver.prove()
        assert driver.security == replace(offered, proved=proved)
        # The handshake came before any credentials, and is not made again.
        assert lab.device.espressif.credentials_received == 0
        await stages(driver)
        assert lab.device.espressif.session.count == 1
        await driver.close()
        assert driver.security == offered


@pytest.mark.parametrize(
    "version",
    [b'{"prov": {"sec_ver": 3}}', b'{"prov": {"sec_ver": 1, "cap": ["thread_prov"]}}'],
)
async def test_what_is_not_supported(version: bytes):
    async with bench() as lab:
        lab.device.espressif._version = lambda data: version
        driver = await lab.driver(opened=False)
        assert (await failure(driver.open())).code is ErrorCode.DEVICE_UNSUPPORTED


# The proof.


@pytest.mark.parametrize("settings", [{"security": 1}, {"security": 2}])
async def test_a_missing_proof_is_told_before_anything_is_sent(settings: dict):
    async with bench(settings) as lab:
        driver = await lab.driver(None)
        for work in (driver.networks(), stages(driver)):
            error = await failure(work)
            assert (error.code, error.exit_status) == (ErrorCode.PROOF_MISSING, 54)
        assert lab.device.espressif.exchanges == ["version"]


@pytest.mark.parametrize("security", [1, 2])
async def test_wrong_proof_then_right_one_on_the_same_connection(security: int):
    async with bench({"security": security}) as lab:
        asked: list[InstallerError] = []
        answers = iter(["wrong", "abcd123", PROOF])

        async def ask(problem: InstallerError) -> SecretStr:
            asked.append(problem)
            return SecretStr(next(answers))

        driver = await lab.driver(None, ask_proof=ask)
        assert len(await driver.networks()) == 6
        assert [e.code for e in asked] == [ErrorCode.PROOF_MISSING, ErrorCode.PROOF_WRONG, ErrorCode.PROOF_WRONG]
        assert [e.data["reconnect"] for e in asked] == [False, False, False]
        assert (await stages(driver))[-1].stage is Stage.JOINED
        assert len(asked) == 3


@pytest.mark.parametrize("security", [1, 2])
async def test_wrong_proof_where_the_device_hangs_up(security: int):
    async with bench({"security": security, "stack": "bluedroid"}) as lab:
        calls = []

        async def ask(problem: InstallerError) -> SecretStr:
            calls.append(problem)
            return SecretStr(PROOF)

        driver = await lab.driver("wrong", ask_proof=ask, timings=replace(FAST, disconnect=20))
        error = await failure(driver.networks())
        assert (error.code, error.exit_status) == (ErrorCode.PROOF_WRONG, 53)
        assert error.data["reconnect"] is True
        assert calls == []  # nobody is asked on a dead connection
        again = await lab.driver(PROOF)
        assert (await stages(again))[-1].stage is Stage.JOINED


async def test_wrong_proof_without_anybody_to_ask():
    async with bench() as lab:
        driver = await lab.driver("wrong")
        assert (await failure(stages(driver))).code is ErrorCode.PROOF_WRONG
        assert "set" not in lab.device.espressif.exchanges
        # Without another proof nothing is tried again.
        assert (await failure(stages(driver))).code is ErrorCode.PROOF_MISSING


async def test_an_empty_proof_is_wrong_where_one_is_wanted():
    async with bench({"firmware": "old"}) as lab:
        driver = await lab.driver("")
        assert (await failure(driver.networks())).code is ErrorCode.DEVICE_REFUSED


async def test_nobody_is_asked_for_ever():
    async with bench() as lab:
        asked = []

        async def ask(problem: InstallerError) -> SecretStr:
            asked.append(problem)
            return SecretStr("wrong")

        driver = await lab.driver(None, ask_proof=ask, timings=replace(FAST, disconnect=0.01))
        assert (await failure(driver.networks())).code is ErrorCode.PROOF_WRONG
        assert len(asked) == 5


async def test_security_2_with_another_username():
    async with bench({"security": 2, "username": "owner"}) as lab:
        assert (await failure((await lab.driver()).networks())).code is ErrorCode.PROOF_WRONG
        await lab.opened[-1].close()
        assert len(await (await lab.driver(username="owner")).networks()) == 6


# Joining.


@pytest.mark.parametrize("refuses", ["set", "apply"])
async def test_wrong_passphrase_then_right_one_on_the_same_connection(refuses: str):
    async with bench({"refuses": refuses}) as lab:
        driver = await lab.driver()
        error = await failure(stages(driver, WRONG))
        assert error.code is ErrorCode.JOIN_FAILED
        assert error.data == {"reason": "authentication", "reconnect": False}
        assert len(await driver.networks()) == 6
        assert (await stages(driver))[-1].stage is Stage.JOINED
        assert lab.device.espressif.exchanges.count("reset") == 1
        assert lab.device.espressif.session.count == 1


async def test_network_not_found():
    async with bench() as lab:
        driver = await lab.driver()
        nowhere = Credentials(network=Network(ssid="Nowhere"), passphrase=SecretStr("correct horse"))
        error = await failure(stages(driver, nowhere))
        assert (error.code, error.data["reason"]) == (ErrorCode.NETWORK_NOT_FOUND, "not_found")
        assert (await stages(driver))[-1].stage is Stage.JOINED


async def test_without_prov_ctrl_a_second_try_needs_a_restart():
    async with bench({"ctrl": False}) as lab:
        driver = await lab.driver()
        error = await failure(stages(driver, WRONG))
        assert (error.code, error.data["reconnect"]) == (ErrorCode.JOIN_FAILED, True)
        sent = len(lab.device.espressif.exchanges)
        error = await failure(stages(driver))
        assert (error.code, error.data["reconnect"]) == (ErrorCode.DEVICE_REFUSED, True)
        assert len(lab.device.espressif.exchanges) == sent
        # A new driver does not know; the device refuses, and then it does.
        await lab.opened[-1].close()
        error = await failure(stages(await lab.driver()))
        assert (error.code, error.data["reconnect"]) == (ErrorCode.DEVICE_REFUSED, True)


async def test_attempts_left_are_told():
    async with bench({"attempts": 3}) as lab:
        driver = await lab.driver()
        told = []
        asked = asyncio.Semaphore(0)
        status, try_join = lab.device.espressif._status, lab.device.try_join

        def answer() -> bytes:
            asked.release()
            return status()

        async def slowly(ssid: str, passphrase: SecretStr):
            # An attempt lasts until somebody has heard of the one before it.
            await asked.acquire()
            await asked.acquire()
            return await try_join(ssid, passphrase)

        lab.device.espressif._status, lab.device.try_join = answer, slowly

        async def follow() -> None:
            async for progress in driver.provision(WRONG):
                told.append((progress.stage, progress.attempts_left))

        assert (await failure(follow())).code is ErrorCode.JOIN_FAILED
        assert told == [(Stage.SENDING, None), (Stage.JOINING, None), (Stage.JOINING, 2), (Stage.JOINING, 1)]


async def test_an_open_network():
    async with bench({"security": 2}) as lab:
        driver = await lab.driver()
        await stages(driver, Credentials(network=Network(ssid="Cafe", security=Security.OPEN)))
        assert lab.device.joined == "Cafe"


async def test_a_network_with_a_name_of_many_bytes():
    async with bench() as lab:
        driver = await lab.driver()
        network = next(n for n in await driver.networks() if n.ssid.startswith("G"))
        await stages(driver, Credentials(network=network, passphrase=SecretStr("staple battery")))
        assert lab.device.joined == "Gäste ☕"


async def test_an_ssid_goes_back_as_the_bytes_that_the_scan_gave():
    async with bench() as lab:
        driver = await lab.driver()
        firmware = lab.device.espressif
        taken: list[bytes] = []
        original = firmware._set_config
        firmware._set_config = lambda part: taken.append(part.bytes(1)) or original(part)
        heard = lab.device.scan

        async def scan():
            return [replace(h, ssid="Caf\udce9") if h.ssid == "Cafe" else h for h in await heard()]

        lab.device.scan = scan
        network = next(n for n in await driver.networks() if n.ssid == "Caf\ufffd")
        error = await failure(stages(driver, Credentials(network=network)))
        assert error.code is ErrorCode.NETWORK_NOT_FOUND
        assert taken == [b"Caf\xe9"]


async def test_impossible_credentials_are_not_sent():
    async with bench() as lab:
        driver = await lab.driver()
        error = await failure(stages(driver, Credentials(network=HOME, passphrase=SecretStr("short"))))
        assert error.code is ErrorCode.PASSPHRASE_INVALID
        assert lab.device.espressif.exchanges == ["version"]


async def test_breaking_off_before_sending_sends_nothing():
    async with bench() as lab:
        driver = await lab.driver()
        async with aclosing(driver.provision(RIGHT)) as progress:
            assert (await anext(progress)).stage is Stage.SENDING
        assert "set" not in lab.device.espressif.exchanges


async def test_the_service_ends_once_success_was_told():
    async with bench({"stops_told": 0}) as lab:
        driver = await lab.driver()
        assert (await stages(driver))[-1].stage is Stage.JOINED
        async with asyncio.timeout(20):
            await lab.opened[0].wait_until_lost()
        assert not lab.device.describe()["advertising"]
        await driver.close()


async def test_the_service_ends_after_its_time_and_a_reset_brings_it_back():
    async with bench({"stops": 1.5}) as lab:
        driver = await lab.driver()
        await stages(driver)
        async with asyncio.timeout(20):
            await lab.opened[0].wait_until_lost()
        lab.device.factory_reset()
        assert (await stages(await lab.driver()))[-1].stage is Stage.JOINED


async def test_it_does_not_advertise_while_somebody_is_connected():
    async with bench() as lab:
        await lab.driver()
        assert not lab.device.describe()["advertising"]


# Taking up what another run began.


@pytest.mark.parametrize("refuses", ["set", "apply"])
async def test_a_device_that_joined_for_a_killed_run_is_left_as_it_is(refuses: str):
    async with bench({"refuses": refuses}) as lab:
        await stages(await lab.driver())
        await lab.opened[-1].close()
        assert [p.stage for p in await stages(await lab.driver())] == [Stage.SENDING, Stage.JOINED]
        assert lab.device.espressif.applied == 1


async def test_a_device_that_is_still_joining_is_waited_for():
    async with bench(timing={"join": 0.4}) as lab:
        driver = await lab.driver()
        async with aclosing(driver.provision(RIGHT)) as progress:
            while (await anext(progress)).stage is not Stage.JOINING:
                pass
        await lab.opened[-1].close()
        assert [p.stage for p in await stages(await lab.driver())] == [Stage.SENDING, Stage.JOINED]
        assert lab.device.espressif.applied == 1


async def test_a_device_that_failed_for_another_run_is_reset():
    async with bench() as lab:
        await failure(stages(await lab.driver(), WRONG))
        await lab.opened[-1].close()
        assert (await stages(await lab.driver()))[-1].stage is Stage.JOINED
        assert lab.device.espressif.exchanges.count("reset") == 1


async def test_a_device_on_another_network_is_provisioned_again():
    async with bench() as lab:
        await stages(await lab.driver())
        await lab.opened[-1].close()
        office = Credentials(network=Network(ssid="Office"), passphrase=SecretStr("battery staple"))
        assert [p.stage for p in await stages(await lab.driver(), office)][-1] is Stage.JOINED
        assert lab.device.joined == "Office"


# Endpoints.


def test_uuids_of_endpoints():
    assert characteristic_uuid("021a9004-0382-4aea-bff4-6b3f1c5adfb4", 0xFF51) == "021aff51-0382-4aea-bff4-6b3f1c5adfb4"
    assert characteristic_uuid("1775244d-6b43-439b-877c-060f2d9bed07", 0xFF51) == "1775ff51-6b43-439b-877c-060f2d9bed07"


@pytest.mark.parametrize(
    "service",
    [
        "021a9004-0382-4aea-bff4-6b3f1c5adfb4",
        "1775244d-6b43-439b-877c-060f2d9bed07",
        "0000ffff-0000-1000-8000-00805f9b34fb",
        "a1b2c3d4-0382-4aea-bff4-6b3f1c5adfb4",
    ],
)
@pytest.mark.parametrize("descriptors", [True, False])
async def test_any_service_is_found(service: str, descriptors: bool):
    async with bench({"service": service, "descriptors": descriptors}) as lab:
        driver = await lab.driver()
        assert service_by_numbers(lab.opened[0]) == service
        assert await has_provisioning(lab.opened[0])
        assert len(await driver.networks()) == 6


@pytest.mark.parametrize("security", [0, 1, 2])
async def test_a_product_with_uuids_of_its_own_is_known_by_its_descriptors(security: int):
    service = "5ca1ab1e-0000-4000-8000-00000000c0de"
    async with bench({"service": service, "own_uuids": True, "security": security}) as lab:
        connection = await lab.connect()
        assert service_by_numbers(connection) is None
        driver = await provisioner_for(connection, None, DriverOptions(proof=SecretStr(PROOF)))
        assert isinstance(driver, EspressifProvisioner)
        await driver.open()
        assert len(await driver.networks()) == 6
        assert (await stages(driver))[-1].stage is Stage.JOINED
        assert lab.device.joined == "Home"


async def test_a_device_of_another_protocol():
    async with bench({"descriptors": False}) as lab:
        service = lab.device.espressif.scenario.service
        driver = await lab.driver(opened=False)
        table = lab.opened[0]._table
        for characteristic in table.get_service(service).characteristics:
            characteristic._uuid = "00002a00-0000-1000-8000-00805f9b34fb"
        assert not await has_provisioning(lab.opened[0])
        assert (await failure(driver.open())).code is ErrorCode.DEVICE_UNSUPPORTED


@pytest.mark.parametrize("settings", [{"security": 1}, {"security": 2}])
async def test_the_smallest_mtu_is_enough(settings: dict):
    async with bench(settings, mtu=23) as lab:
        driver = await lab.driver()
        assert len(await driver.networks()) == 6
        assert (await stages(driver))[-1].stage is Stage.JOINED


# Scanning.


async def test_a_blocking_scan_may_take_longer_than_other_requests():
    async with bench(timing={"scan": 1.3}) as lab:
        driver = await lab.driver(timings=replace(FAST, request=1))
        assert len(await driver.networks()) == 6
        assert lab.device.espressif.exchanges.count("scan-status") == 1


async def test_firmware_that_does_not_block_is_asked_until_it_has_ended():
    async with bench({"blocking": False}, timing={"scan": 0.2}) as lab:
        driver = await lab.driver()
        assert len(await driver.networks()) == 6
        assert lab.device.espressif.exchanges.count("scan-status") > 1


async def test_pages_do_not_reach_over_the_end():
    async with bench({"results": 5}) as lab:
        driver = await lab.driver()
        assert len(await driver.networks()) == 5
        assert lab.device.espressif.exchanges.count("scan-results") == 2


async def test_no_networks_at_all():
    async with bench() as lab:
        for ssid in lab.world.wifi.networks:
            lab.world.set_network(ssid, False)
        assert await (await lab.driver()).networks() == []


async def test_a_scan_that_somebody_broke_off_does_not_break_the_session():
    async with bench(timing={"scan": 0.3}) as lab:
        driver = await lab.driver()
        begun = asyncio.Event()
        heard = lab.device.scan

        async def scan():
            begun.set()
            return await heard()

        lab.device.scan = scan
        scanning = asyncio.ensure_future(driver.networks())
        async with asyncio.timeout(20):
            await begun.wait()
        scanning.cancel()
        await asyncio.wait({scanning})
        assert len(await driver.networks()) == 6
        assert lab.device.espressif.session.count == 2


async def test_requests_made_at_the_same_time_go_one_after_the_other():
    async with bench({"security": 2}) as lab:
        driver = await lab.driver()
        assert [len(n) for n in await asyncio.gather(driver.networks(), driver.networks())] == [6, 6]
        assert lab.device.espressif.session.count == 1


async def test_nothing_before_open():
    async with bench() as lab:
        driver = await lab.driver(opened=False)
        with pytest.raises(RuntimeError):
            await driver.networks()
        await driver.close()


async def test_secrets_stay_out_of_the_repr():
    async with bench({"security": 2}) as lab:
        driver = await lab.driver()
        await stages(driver)
        for thing in (driver, driver._session, driver._session._security):
            assert PROOF not in f"{thing!r} {vars(thing)!r}"
            assert "horse" not in f"{thing!r} {vars(thing)!r}"
