"""The Improv driver against devices that follow the protocol, bend it, and break it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.connection import Connection
from installer.errors import ErrorCode, InstallerError
from installer.provisioning.improv.driver import ImprovProvisioner
from installer.provisioning.improv.session import Timings
from installer.provisioning.provisioner import Capability, Progress, Stage
from installer.wifi.credentials import Credentials
from installer.wifi.networks import Network, Security
from tests.installer.bluetooth.bench import Bench, connected
from tests.installer.provisioning.improv.fake_device import (
    AUTHORIZATION,
    AUTHORIZED,
    COMMAND,
    ERROR,
    FAST,
    PROVISIONED,
    PROVISIONING,
    RESULT,
    STATE,
    STOPPED,
    ImprovDevice,
    driver_for,
    frame,
)

PASSPHRASE = "violet-otter-7391"
CREDENTIALS = Credentials(network=Network(ssid="Home"), passphrase=SecretStr(PASSPHRASE))
URL = b"http://192.168.1.50"
SENDING, JOINING, JOINED = Stage.SENDING, Stage.JOINING, Stage.JOINED


async def run(provisioner: ImprovProvisioner, credentials: Credentials = CREDENTIALS) -> list[Progress]:
    return [progress async for progress in provisioner.provision(credentials)]


async def refused(work: Any) -> InstallerError:
    with pytest.raises(InstallerError) as caught:
        await asyncio.wait_for(work, 20)
    assert PASSPHRASE not in f"{caught.value} {caught.value.data} {caught.value.__cause__!r}"
    return caught.value


def joins(device: ImprovDevice, *texts: bytes) -> Callable[[bytes], None]:
    def react(_: bytes) -> None:
        device.say_state(PROVISIONING)
        device.say_state(PROVISIONED)
        device.say_result(frame(1, *texts))

    return react


async def test_a_hand_over_from_authorised_to_joined(bench: Bench, adapter: Adapter) -> None:
    device = ImprovDevice()
    await device.start(bench)
    device.react = joins(device, URL)
    connection, provisioner = await driver_for(adapter)
    assert not provisioner.set_up
    assert not provisioner.encrypts_credentials
    progress = await run(provisioner)
    assert [p.stage for p in progress] == [SENDING, JOINING, JOINED]
    assert progress[-1].url == "http://192.168.1.50"
    assert provisioner.set_up
    assert device.frames == [frame(1, b"Home", PASSPHRASE.encode())]
    error = await refused(run(provisioner))
    assert error.code is ErrorCode.DEVICE_ALREADY_SET_UP
    assert len(device.frames) == 1
    await provisioner.close()
    await connection.close()
    await provisioner.close()


@pytest.mark.parametrize("url", [(), (b"",), (b"about:blank",)])
async def test_success_without_an_address(bench: Bench, adapter: Adapter, url: tuple[bytes, ...]) -> None:
    device = ImprovDevice()
    await device.start(bench)
    device.react = joins(device, *url)
    _, provisioner = await driver_for(adapter)
    assert (await run(provisioner))[-1] == Progress(stage=JOINED, url=None)


async def test_a_result_may_come_before_the_state(bench: Bench, adapter: Adapter) -> None:
    device = ImprovDevice()
    await device.start(bench)
    device.react = lambda _: device.say_result(frame(1, URL))
    _, provisioner = await driver_for(adapter)
    assert [p.stage for p in await run(provisioner)] == [SENDING, JOINED]


@pytest.mark.parametrize("ending", ["silence", "stopped", "disconnect"])
async def test_the_state_alone_is_success_if_no_result_follows(bench: Bench, adapter: Adapter, ending: str) -> None:
    device = ImprovDevice()
    await device.start(bench)

    def react(_: bytes) -> None:
        device.say_state(PROVISIONED)
        if ending == "stopped":
            device.say_state(STOPPED)
        if ending == "disconnect":
            asyncio.get_running_loop().call_later(0.02, device.drop)

    device.react = react
    _, provisioner = await driver_for(adapter)
    assert [p.stage for p in await run(provisioner)] == [SENDING, JOINED]


async def test_a_wrong_passphrase_is_tried_again_on_the_same_connection(bench: Bench, adapter: Adapter) -> None:
    device = ImprovDevice()
    await device.start(bench)

    def react(_: bytes) -> None:
        device.say_state(PROVISIONING)
        device.say_error(0x03)
        asyncio.get_running_loop().call_later(0.02, device.say_state, AUTHORIZED)

    device.react = react
    connection, provisioner = await driver_for(adapter)
    assert (await refused(run(provisioner))).code is ErrorCode.JOIN_FAILED

    def better(data: bytes) -> None:
        device.say_error(0x00)
        joins(device, URL)(data)

    device.react = better
    assert (await run(provisioner))[-1].stage is JOINED
    assert connection.is_open


async def test_a_fall_back_without_an_error_is_a_failure_to_join(bench: Bench, adapter: Adapter) -> None:
    device = ImprovDevice()
    await device.start(bench)

    def react(_: bytes) -> None:
        device.say_state(PROVISIONING)
        device.say_state(AUTHORIZED)

    device.react = react
    _, provisioner = await driver_for(adapter)
    assert (await refused(run(provisioner))).code is ErrorCode.JOIN_FAILED


async def test_an_error_after_the_fall_back_explains_it(bench: Bench, adapter: Adapter) -> None:
    device = ImprovDevice()
    await device.start(bench)

    def react(_: bytes) -> None:
        device.say_state(PROVISIONING)
        device.say_state(AUTHORIZED)
        asyncio.get_running_loop().call_later(0.02, device.say_error, 0xFF)

    device.react = react
    _, provisioner = await driver_for(adapter)
    error = await refused(run(provisioner))
    assert (error.code, error.data["improv_error"]) == (ErrorCode.DEVICE_REFUSED, 0xFF)


@pytest.mark.parametrize("number", [0x01, 0x02, 0x05, 0xFF, 0x42])
async def test_other_errors_are_refusals(bench: Bench, adapter: Adapter, number: int) -> None:
    device = ImprovDevice()
    await device.start(bench)
    device.react = lambda _: device.say_error(number)
    _, provisioner = await driver_for(adapter)
    error = await refused(run(provisioner))
    assert error.code is ErrorCode.DEVICE_REFUSED
    assert error.data["improv_error"] == (0xFF if number == 0x42 else number)


async def test_the_button_is_asked_for_and_waited_for(bench: Bench, adapter: Adapter) -> None:
    device = ImprovDevice(state=AUTHORIZATION)
    await device.start(bench)
    device.react = joins(device, URL)
    _, provisioner = await driver_for(adapter)
    stages = []
    async for progress in provisioner.provision(CREDENTIALS):
        stages.append(progress.stage)
        if progress.stage is Stage.AUTHORIZATION_NEEDED:
            assert progress.seconds == FAST.authorization
            assert device.frames == []
            device.say_state(AUTHORIZED)
    assert stages == [Stage.AUTHORIZATION_NEEDED, Stage.AUTHORIZED, SENDING, JOINING, JOINED]


async def test_nobody_presses_the_button(bench: Bench, adapter: Adapter) -> None:
    device = ImprovDevice(state=AUTHORIZATION)
    await device.start(bench)
    _, provisioner = await driver_for(adapter, Timings(authorization=0.1))
    error = await refused(run(provisioner))
    assert error.code is ErrorCode.AUTHORIZATION_TIMEOUT
    assert device.frames == []


async def test_an_authorisation_that_expired_is_asked_for_again(bench: Bench, adapter: Adapter) -> None:
    device = ImprovDevice()
    await device.start(bench)

    def expired(_: bytes) -> None:
        device.say_error(0x04)
        device.say_state(AUTHORIZATION)

    device.react = expired
    _, provisioner = await driver_for(adapter)
    stages = []
    async for progress in provisioner.provision(CREDENTIALS):
        stages.append(progress.stage)
        if progress.stage is Stage.AUTHORIZATION_NEEDED:
            device.react = joins(device, URL)
            device.say_state(AUTHORIZED)
    assert stages == [SENDING, Stage.AUTHORIZATION_NEEDED, Stage.AUTHORIZED, SENDING, JOINING, JOINED]


async def test_a_device_that_never_lets_go_of_not_authorised_is_given_up(bench: Bench, adapter: Adapter) -> None:
    device = ImprovDevice()
    await device.start(bench)
    device.react = lambda _: device.say_error(0x04)
    _, provisioner = await driver_for(adapter)
    error = await refused(run(provisioner))
    assert (error.code, error.data["improv_error"]) == (ErrorCode.DEVICE_REFUSED, 0x04)
    assert len(device.frames) == 3


async def test_a_silent_device_runs_into_the_deadline(bench: Bench, adapter: Adapter) -> None:
    device = ImprovDevice()
    await device.start(bench)
    _, provisioner = await driver_for(adapter, Timings(join=0.2))
    assert (await refused(run(provisioner))).code is ErrorCode.PROVISIONING_TIMEOUT
    device.react = lambda _: device.say_state(PROVISIONING)
    assert (await refused(run(provisioner))).code is ErrorCode.PROVISIONING_TIMEOUT
    # Still busy with the attempt before: nothing is sent into it.
    assert (await refused(run(provisioner))).code is ErrorCode.PROVISIONING_TIMEOUT
    assert len(device.frames) == 2


async def test_a_device_that_is_not_in_set_up_mode(bench: Bench, adapter: Adapter) -> None:
    device = ImprovDevice(state=STOPPED)
    await device.start(bench)
    _, provisioner = await driver_for(adapter)
    assert (await refused(run(provisioner))).code is ErrorCode.DEVICE_REFUSED
    device.say_state(PROVISIONED)
    await asyncio.sleep(0)
    assert device.frames == []


@pytest.mark.parametrize("at", ["sending", "joining"])
async def test_a_link_that_drops_is_said_at_once(bench: Bench, adapter: Adapter, at: str) -> None:
    device = ImprovDevice()
    await device.start(bench)

    def react(_: bytes) -> None:
        if at == "joining":
            device.say_state(PROVISIONING)
        asyncio.get_running_loop().call_later(0.02, device.drop)

    device.react = react
    _, provisioner = await driver_for(adapter)
    assert (await refused(run(provisioner))).code is ErrorCode.CONNECTION_LOST
    assert (await refused(run(provisioner))).code is ErrorCode.CONNECTION_LOST
    await provisioner.close()


@pytest.mark.parametrize(
    "misdeed",
    [
        lambda d: d.say_state(0x05),
        lambda d: d.say(STATE, b""),
        lambda d: d.say(ERROR, b""),
        lambda d: d.say_result(b"\x01\x00\x02"),
        lambda d: d.say_result(frame(1, URL)[:-1] + b"\x00"),
        lambda d: d.say_result(frame(1, URL)[:-3]),
        lambda d: d.say_result(frame(1, URL) + b"more"),
        lambda d: d.say_result(b""),
        lambda d: d.say_result(b"\x01\x02\x09a" + bytes((0x01 + 0x02 + 0x09 + ord("a"),))),
        lambda d: (d.say_state(PROVISIONED), d.say_state(AUTHORIZED)),
        lambda d: d.say_state(STOPPED),
    ],
)
async def test_breaches_of_the_protocol_are_told(
    bench: Bench, adapter: Adapter, misdeed: Callable[[ImprovDevice], Any]
) -> None:
    device = ImprovDevice()
    await device.start(bench)
    device.react = lambda _: misdeed(device)
    _, provisioner = await driver_for(adapter)
    assert (await refused(run(provisioner))).code is ErrorCode.DEVICE_MISBEHAVED


@pytest.mark.parametrize(("mtu", "pieces"), [(23, [20, 6]), (27, [24, 2]), (64, [26]), (517, [26])])
async def test_a_frame_is_cut_only_where_the_link_demands_it(
    bench: Bench, adapter: Adapter, mtu: int, pieces: list[int]
) -> None:
    device = ImprovDevice()
    await device.start(bench, mtu=mtu)
    device.react = joins(device, URL)
    _, provisioner = await driver_for(adapter)
    # At an MTU of 23 the result's 23 bytes are cut, too, and read whole.
    assert (await run(provisioner))[-1].url == "http://192.168.1.50"
    assert [len(piece) for piece in device.writes] == pieces


async def test_a_write_that_fails_half_way_ends_the_link(bench: Bench, adapter: Adapter) -> None:
    device = ImprovDevice()
    await device.start(bench, mtu=23)
    connection, provisioner = await driver_for(adapter, Timings(request=0.1))
    assert device.peripheral is not None
    written = device._written

    def hang(who: Any, data: bytes) -> None:
        written(who, data)
        assert device.peripheral is not None
        device.peripheral.hung = True

    device.table[COMMAND].value.write = hang  # type: ignore[union-attr]
    assert (await refused(run(provisioner))).code is ErrorCode.DEVICE_MISBEHAVED
    assert not connection.is_open


async def test_breaking_off_sends_nothing(bench: Bench, adapter: Adapter) -> None:
    device = ImprovDevice(state=AUTHORIZATION)
    await device.start(bench)
    connection, provisioner = await driver_for(adapter)
    async with aclosing(provisioner.provision(CREDENTIALS)) as stages:
        assert (await anext(stages)).stage is Stage.AUTHORIZATION_NEEDED
    device.say_state(AUTHORIZED)
    async with aclosing(provisioner.provision(CREDENTIALS)) as stages:
        async for progress in stages:
            if progress.stage is SENDING:
                break
    await connection.read(STATE)
    assert device.frames == []


async def test_credentials_that_do_not_fit_are_refused_before_anything_is_sent(bench: Bench, adapter: Adapter) -> None:
    device = ImprovDevice()
    await device.start(bench)
    _, provisioner = await driver_for(adapter)
    long = Credentials(network=Network(ssid="n" * 32), passphrase=SecretStr(PASSPHRASE * 14))
    assert (await refused(run(provisioner, long))).code is ErrorCode.PASSPHRASE_INVALID
    assert device.frames == []


async def test_the_passphrase_is_in_no_log_line(
    bench: Bench, adapter: Adapter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    device = ImprovDevice()
    await device.start(bench)
    device.react = joins(device, URL)
    _, provisioner = await driver_for(adapter)
    await run(provisioner)
    device.state = AUTHORIZED
    assert PASSPHRASE not in caplog.text
    assert PASSPHRASE.encode().hex() not in caplog.text.lower()


async def test_what_a_device_tells_of_itself(bench: Bench, adapter: Adapter) -> None:
    device = ImprovDevice(state=AUTHORIZATION)
    await device.start(bench)
    texts = [b"Firm\x1b[2Jware", b"1.0", b"ESP32", b"Kitchen \xff", b"RTOS"]
    device.react = lambda _: device.say_result(frame(3, *texts))
    _, provisioner = await driver_for(adapter)
    info = await provisioner.info()
    assert (info.firmware, info.firmware_version, info.hardware) == ("Firm\ufffd[2Jware", "1.0", "ESP32")
    assert info.name == "Kitchen \ufffd"
    device.react = lambda _: device.say_result(frame(3, *texts[:3]))
    assert (await refused(provisioner.info())).code is ErrorCode.DEVICE_MISBEHAVED
    device.react = lambda _: None
    assert (await refused(provisioner.info())).code is ErrorCode.DEVICE_MISBEHAVED
    device.react = lambda _: device.say_error(0x02)
    assert (await refused(provisioner.info())).code is ErrorCode.DEVICE_REFUSED


async def test_a_late_answer_to_another_command_is_passed_over(bench: Bench, adapter: Adapter) -> None:
    device = ImprovDevice()
    await device.start(bench)

    def react(_: bytes) -> None:
        device.say_result(frame(4, b"Home", b"-50", b"WPA2"))
        device.say_result(frame(3, b"a", b"b", b"c", b"d"))

    device.react = react
    _, provisioner = await driver_for(adapter)
    assert (await provisioner.info()).name == "d"


async def test_one_list_of_networks_or_several_in_a_row(bench: Bench, adapter: Adapter) -> None:
    device = ImprovDevice()
    await device.start(bench)
    _, provisioner = await driver_for(adapter)

    def one(_: bytes) -> None:
        device.say_result(frame(4, b"Home", b"-50", b"WPA2", b"Home", b"-70", b"WPA2"))

    device.react = one
    assert [(n.ssid, n.rssi) for n in await provisioner.networks()] == [("Home", -50), ("Home", -70)]

    def several(_: bytes) -> None:
        device.say_result(frame(4, b"A", b"-50", b"WPA2"))
        device.say_result(frame(4, b"B", b"-60", b"NO"))
        device.say_result(frame(4))
        device.say_result(frame(4, b"after the end", b"-60", b"NO"))

    device.react = several
    found = await provisioner.networks()
    assert [(n.ssid, n.security) for n in found] == [("A", Security.WPA2), ("B", Security.OPEN)]
    device.react = lambda _: device.say_result(frame(4))
    assert await provisioner.networks() == []
    device.react = lambda _: device.say_result(frame(4, b"A", b"-50"))
    assert (await refused(provisioner.networks())).code is ErrorCode.DEVICE_MISBEHAVED


async def test_no_further_list_is_waited_for_when_the_wanted_network_is_found(bench: Bench, adapter: Adapter) -> None:
    device = ImprovDevice()
    await device.start(bench)
    # Whoever waits for another list waits for ever.
    _, provisioner = await driver_for(adapter, replace(FAST, quiet=1000.0), wanted_ssid="B")

    def lists(_: bytes) -> None:
        device.say_result(frame(4, b"A", b"-50", b"WPA2"))
        device.say_result(frame(4, b"B", b"-60", b"NO"))

    device.react = lists
    assert [network.ssid for network in await provisioner.networks()] == ["A", "B"]
    # One that comes later is not the answer to the next command.
    device.react = lambda _: (
        device.say_result(frame(4, b"C", b"-50", b"WPA2")),
        device.say_result(frame(3, b"f", b"1", b"h", b"d")),
    )
    assert (await provisioner.info()).name == "d"


async def test_a_long_list_is_read_whole_over_a_small_link(bench: Bench, adapter: Adapter) -> None:
    device = ImprovDevice()
    await device.start(bench, mtu=23)
    entries = [part for n in range(12) for part in (f"Network {n:02}".encode(), b"-60", b"WPA2")]
    device.react = lambda _: device.say_result(frame(4, *entries))
    _, provisioner = await driver_for(adapter)
    assert len(await provisioner.networks()) == 12


async def test_identify(bench: Bench, adapter: Adapter) -> None:
    device = ImprovDevice()
    await device.start(bench)
    _, provisioner = await driver_for(adapter)
    await provisioner.identify()
    assert device.frames == [b"\x02\x00\x02"]
    device.react = lambda _: device.say_error(0x02)
    assert (await refused(provisioner.identify())).code is ErrorCode.DEVICE_REFUSED


@pytest.mark.parametrize("nested", [False, True])
async def test_host_names_in_either_form(bench: Bench, adapter: Adapter, nested: bool) -> None:
    device = ImprovDevice()
    await device.start(bench)

    def react(data: bytes) -> None:
        device.say_error(0x00)
        if nested and data[1] and data[2] != data[1] - 1:
            device.say_error(0x05)
        else:
            name = data[3 if nested else 2 : -1] or b"old-name"
            device.say_result(frame(5, name))

    device.react = react
    _, provisioner = await driver_for(adapter)
    assert await provisioner.hostname() == "old-name"
    assert await provisioner.set_hostname("living-room") == "living-room"
    assert len(device.frames) == (3 if nested else 2)
    assert (await refused(provisioner.set_hostname("living room"))).code is ErrorCode.ANSWERS_INVALID
    device.react = lambda _: device.say_error(0x04)
    assert (await refused(provisioner.set_hostname("x"))).code is ErrorCode.DEVICE_REFUSED
    device.react = lambda _: device.say_result(frame(5, b"not a name"))
    assert (await refused(provisioner.hostname())).code is ErrorCode.DEVICE_MISBEHAVED


async def test_what_the_firmware_cannot_is_not_sent(bench: Bench, adapter: Adapter) -> None:
    device = ImprovDevice(capabilities=b"\x00\x01")
    await device.start(bench)
    _, provisioner = await driver_for(adapter)
    assert provisioner.capabilities is Capability.NONE
    for work in (provisioner.identify(), provisioner.info(), provisioner.networks(), provisioner.hostname()):
        assert (await refused(work)).code is ErrorCode.DEVICE_REFUSED
    assert device.frames == []


async def test_capabilities_come_from_the_advertisement_or_the_device(bench: Bench, adapter: Adapter) -> None:
    device = ImprovDevice(capabilities=b"\x05")
    await device.start(bench, service_data=bytes.fromhex("7746020500000000"))
    assert device.peripheral is not None
    connection = await connected(adapter)
    before = device.peripheral.requests
    provisioner = ImprovProvisioner(connection, FAST)
    await provisioner.open()
    assert provisioner.capabilities == Capability.IDENTIFY | Capability.SCAN_NETWORKS
    # Three subscriptions and the state.
    assert device.peripheral.requests - before == 4


async def test_a_device_without_all_characteristics_is_no_improv_device(bench: Bench, adapter: Adapter) -> None:
    device = ImprovDevice()
    await device.start(bench, without=RESULT)
    connection: Connection = await connected(adapter)
    assert (await refused(ImprovProvisioner(connection).open())).code is ErrorCode.DEVICE_MISBEHAVED


@pytest.mark.parametrize(("state", "capabilities"), [(0x09, b"\x0f"), (0x02, b"")])
async def test_a_first_word_that_makes_no_sense(
    bench: Bench, adapter: Adapter, state: int, capabilities: bytes
) -> None:
    device = ImprovDevice(state=state, capabilities=capabilities)
    await device.start(bench)
    connection = await connected(adapter)
    assert (await refused(ImprovProvisioner(connection).open())).code is ErrorCode.DEVICE_MISBEHAVED
