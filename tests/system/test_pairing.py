"""Pairing through BlueZ: what its agent interface asks is asked of a person, and each end of it has its words.

BlueZ is a stand-in on a real D-Bus daemon; `tests/guest/inside/test_pairing.py` does the same with the real one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import repeat

import pytest
import pytest_asyncio
from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus

from installer.bluetooth.bluez import agent, look_anew
from installer.bluetooth.bluez import pair as pairing
from installer.bluetooth.bluez.bus import AGENT, system_bus
from installer.bluetooth.pairing import PairingEnd
from installer.errors import ErrorCode, InstallerError
from tests.installer.bluetooth.dialogs import Answers
from tests.system import pairing_devices as devices
from tests.system.bluez_stand_in import IN_PROGRESS, StandIn, fails, path_of
from tests.system.test_host_network import bus

__all__ = ["bus"]
ADDRESS = "AA:BB:CC:DD:EE:FF"
PATH, OTHER_PATH = path_of(ADDRESS), path_of("11:22:33:44:55:66")


@pytest_asyncio.fixture
async def bluez(bus: str) -> AsyncIterator[StandIn]:
    """BlueZ with one device."""
    async with StandIn(bus) as service:
        service.in_reach[ADDRESS] = "Cuff"
        service.add(ADDRESS, "Cuff")
        yield service


async def paired(bus: str, dialog: Answers | None, path: str = PATH) -> None:
    async with system_bus("hci0", bus) as connection:
        await pairing.pair(connection, path, ADDRESS, "Cuff", dialog)


async def refused(bus: str, dialog: Answers | None, path: str = PATH) -> InstallerError:
    with pytest.raises(InstallerError) as raised:
        await paired(bus, dialog, path)
    return raised.value


async def test_just_works_asks_nobody_but_needs_an_agent(bus: str, bluez: StandIn) -> None:
    dialog = Answers()
    await paired(bus, dialog)
    assert bluez.objects[PATH]["Paired"]
    assert dialog.asked == []
    assert (bluez.capability, bluez.agent) == ("KeyboardDisplay", None)
    # The place of the desktop's agent is not taken.
    assert "RequestDefaultAgent" not in bluez.methods


async def test_a_link_that_stands_is_ended_first(bus: str, bluez: StandIn) -> None:
    """On such a link BlueZ 5.82 asks nobody for digits."""
    bluez.change(PATH, Connected=True)
    bluez.device = devices.shows(63140)
    await paired(bus, Answers(passkey="063140"))
    assert bluez.methods.index("Disconnect") < bluez.methods.index("Pair")


async def test_a_pairing_that_the_end_of_the_link_before_cancels_is_asked_for_again(bus: str, bluez: StandIn) -> None:
    """The kernel confirms that end after the event; BlueZ 5.82 takes it for the end of what has begun meanwhile."""
    bluez.change(PATH, Connected=True)
    bluez.instead["Pair"] = repeat(fails(devices.CANCELED), 1)
    bluez.device = devices.shows(63140)
    dialog = Answers(passkey="063140")
    await paired(bus, dialog)
    assert (bluez.methods.count("Pair"), bluez.objects[PATH]["Paired"]) == (2, True)
    assert dialog.asked == [("passkey", "Cuff")]


async def test_a_device_that_hangs_up_each_time_is_told(bus: str, bluez: StandIn) -> None:
    bluez.change(PATH, Connected=True)
    bluez.device = devices.hangs_up
    assert (await refused(bus, Answers())).data["why"] == PairingEnd.DEVICE_HUNG_UP
    assert bluez.methods.count("Pair") == 2


async def test_a_device_with_a_request_that_is_never_answered_is_looked_for_anew(
    bus: str, bluez: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look_anew, "FIND_SECONDS", 0.2)
    async with system_bus("hci0", bus) as connection:
        await pairing.look_anew(connection, PATH, ADDRESS)
        changes = [call for call in bluez.methods if call != "GetManagedObjects"]
        assert changes[-4:] == ["RemoveDevice", "SetDiscoveryFilter", "StartDiscovery", "StopDiscovery"]
        bluez.in_reach.clear()
        with pytest.raises(InstallerError) as raised:
            await pairing.look_anew(connection, PATH, ADDRESS)
    assert raised.value.code is ErrorCode.CONNECTION_LOST
    assert bluez.methods[-1] == "StopDiscovery"


async def test_what_is_paired_is_not_paired_again(bus: str, bluez: StandIn) -> None:
    bluez.change(PATH, Paired=True)
    await paired(bus, Answers())
    assert "Pair" not in bluez.methods  # one version of BlueZ never answers it


@pytest.mark.parametrize("digits", [63140, 0, 999999])
async def test_the_digits_of_the_device_are_typed(bus: str, bluez: StandIn, digits: int) -> None:
    bluez.device = devices.shows(digits)
    dialog = Answers(passkey=f"{digits:06d}")
    await paired(bus, dialog)
    assert (bluez.objects[PATH]["Paired"], dialog.asked) == (True, [("passkey", "Cuff")])


async def test_a_number_is_compared_with_all_its_six_digits(bus: str, bluez: StandIn) -> None:
    bluez.device = devices.compares(63140)
    dialog = Answers(same=True)
    await paired(bus, dialog)
    assert (bluez.objects[PATH]["Paired"], dialog.asked) == (True, [("same_number", "063140")])


async def test_digits_are_shown_for_a_device_with_keys(bus: str, bluez: StandIn) -> None:
    bluez.device = devices.has_keys(63140)
    dialog = Answers()
    await paired(bus, dialog)
    assert (bluez.objects[PATH]["Paired"], dialog.asked) == (True, [("show_passkey", "063140")])


@pytest.mark.parametrize(
    ("device", "dialog", "end"),
    [
        (devices.shows(1), Answers(passkey="000002"), PairingEnd.WRONG_DIGITS),
        (devices.has_keys(1), Answers(), PairingEnd.WRONG_DIGITS),
        (devices.compares(1), Answers(same=False), PairingEnd.OTHER_NUMBER),
        (devices.compares(1, device_says=False), Answers(same=True), PairingEnd.DEVICE_REFUSED),
        (devices.refuses, Answers(), PairingEnd.DEVICE_REFUSED),
        (devices.hangs_up, Answers(), PairingEnd.DEVICE_HUNG_UP),
        (devices.cancels, Answers(), PairingEnd.DEVICE_HUNG_UP),
    ],
)
async def test_each_end_is_told_although_bluez_does_not_tell_it(
    bus: str, bluez: StandIn, device: devices.Device, dialog: Answers, end: PairingEnd
) -> None:
    bluez.device, bluez.cancel_after = device, dialog.asking
    error = await refused(bus, dialog)
    assert (error.code, error.data["why"]) == (ErrorCode.PAIRING_FAILED, end.value)
    assert "000002" not in f"{error} {error.data}"
    # BlueZ keeps the link on which a pairing failed; then nobody would hear the device.
    assert (bluez.agent, bluez.is_connected(PATH)) == (None, False)


async def test_a_question_is_withdrawn_when_the_device_ends_the_pairing(bus: str, bluez: StandIn) -> None:
    bluez.device = devices.cancels
    dialog = Answers()  # never answers
    bluez.cancel_after = dialog.asking
    await refused(bus, dialog)
    assert dialog.withdrawn == ["passkey"]


async def test_nobody_answering_in_time_is_no_failure_of_the_device(
    bus: str, bluez: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairing, "TOO_LATE_SECONDS", 0.0)
    dialog = Answers()
    bluez.device, bluez.cancel_after = devices.cancels, dialog.asking
    assert (await refused(bus, dialog)).data["why"] == PairingEnd.PERSON_TOO_LATE
    bluez.device = devices.hangs_up
    assert (await refused(bus, Answers())).data["why"] == PairingEnd.DEVICE_TOO_LATE


async def test_without_anybody_to_ask_it_is_said(bus: str, bluez: StandIn) -> None:
    bluez.device = devices.shows(1)
    assert (await refused(bus, None)).code is ErrorCode.PAIRING_NEEDED


async def test_what_the_person_did_comes_through(bus: str, bluez: StandIn) -> None:
    class Stopped(Exception):
        pass

    bluez.device = devices.shows(1)
    with pytest.raises(Stopped):
        await paired(bus, Answers(raises=Stopped()))
    assert not bluez.is_connected(PATH)


async def test_a_pairing_of_another_program_is_waited_for(bus: str, bluez: StandIn) -> None:
    bluez.instead["Pair"] = repeat(IN_PROGRESS, 2)
    await paired(bus, Answers())
    assert bluez.methods.count("Pair") == 3


async def test_the_radio_and_the_system_are_blamed_rightly(
    bus: str, bluez: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    bluez.device = devices.refuses
    bluez.power(False)
    assert (await refused(bus, Answers())).code is ErrorCode.BLUETOOTH_OFF
    assert (await refused(bus, Answers(), "/org/bluez/hci0/dev_gone")).code is ErrorCode.CONNECTION_LOST

    async def never(_: StandIn) -> str:
        await asyncio.Event().wait()
        return ""

    monkeypatch.setattr(pairing, "PAIR_SECONDS", 0.1)
    bluez.device = never
    bluez.power(True)
    assert (await refused(bus, Answers())).code is ErrorCode.ADAPTER_FAILED
    assert "CancelPairing" in bluez.methods


async def test_only_bluez_may_ask_and_only_for_this_device(bus: str, bluez: StandIn) -> None:
    answers: list[Message] = []

    async def device(service: StandIn) -> str:
        answers.append(await service.ask("RequestPasskey", path=OTHER_PATH))
        answers.append(await service.ask("RequestPinCode"))
        assert service.agent is not None
        stranger = await MessageBus(bus_address=bus).connect()
        call = Message(service.agent[0], agent.PATH, AGENT, "RequestPasskey", signature="o", body=[PATH])
        answer = await stranger.call(call)
        assert answer is not None
        answers.append(answer)
        stranger.disconnect()
        answers.append(await service.ask("RequestAuthorization"))
        answers.append(await service.ask("AuthorizeService", "os", "1800"))
        return ""

    bluez.device = device
    dialog = Answers(passkey="123456")
    await paired(bus, dialog)
    assert [answer.message_type for answer in answers[:3]] == [MessageType.ERROR] * 3
    assert [answer.message_type for answer in answers[3:]] == [MessageType.METHOD_RETURN] * 2
    assert dialog.asked == [("allow", "Cuff"), ("allow", "Cuff")]
