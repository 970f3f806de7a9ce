"""Pairing with a real bluetoothd: every kind of question, every end, other programs' agents, and lost bonds."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.connection import Connection
from installer.bluetooth.open_adapter import open_adapter
from installer.bluetooth.pairing import PairingDialog, PairingEnd
from installer.bluetooth.scan import Scan
from installer.catalogue.catalogue_file import load
from installer.errors import ErrorCode, InstallerError
from installer.flow import lab_process
from installer.provisioning import registry
from tests.flow.support import LabWorld, use
from tests.guest.inside.background import Background
from tests.guest.inside.bluez import BlueZ
from tests.guest.inside.conftest import lab_scenario
from tests.guest.inside.program import Program
from tests.guest.inside.test_protocols import SCRIPT, WIFI
from tests.installer.lab.lab_process import LabProcess

FEATURES = "2a9e"  # of a scale: a value that never changes
WEIGHT = "2a9d"
UNITS = {
    "just-works": "00:24:E4:20:00:01",
    "passkey": "00:24:E4:20:00:02",
    "compare": "00:24:E4:20:00:03",
    "enter": "00:24:E4:20:00:04",
    "legacy": "00:24:E4:20:00:05",
    "open": "00:24:E4:20:00:06",
}
NORDIC = "F4:CE:36:00:00:02"  # wants to be paired before it takes credentials
PASSKEY = "063140"


def units() -> str:
    """The lab's world with scales that want to be paired."""
    scenario = lab_scenario()
    head, rest = scenario[: scenario.index("[[device]]")], scenario[scenario.index("# Networks.") :]
    wanted = {
        "just-works": 'bonding = "just-works"',
        "passkey": f'bonding = "passkey"\npasskey = "{PASSKEY}"',
        "compare": 'bonding = "compare"',
        "enter": 'bonding = "enter"',
        "legacy": 'bonding = "passkey"\nbonding_legacy = true',
        "open": "",
    }
    devices = "".join(
        f'[[device]]\nmodel = "body-plus"\naddress = "{UNITS[kind]}"\nname = "Scale {kind}"\n{more}\n\n'
        for kind, more in wanted.items()
    )
    nordic = f'model = "nordic"\naddress = "{NORDIC}"\nbonding = "just-works"\nbonding_for = "provisioning"'
    return f"{head}{devices}[[device]]\n{nordic}\n\n{rest}"


@pytest.fixture(scope="module")
def scales(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    with LabProcess(tmp_path_factory.mktemp("scales"), units()) as lab:
        yield lab


@pytest.fixture
def world(scales: LabProcess, bare_bluez: BlueZ, home: Any) -> LabWorld:
    """The scales in reach of hci0."""
    scales.call_now("POST", "/lab/reset")
    bare_bluez.plug(scales)
    state = lab_process.read_state(scales.state_file)
    assert state is not None
    use(LabWorld(state), scales.state_file)
    return LabWorld(state)


class Person:
    """Looks at the device's display and answers. `answer`: instead of the right one; `asked`: what was asked."""

    def __init__(self, world: LabWorld, kind: str, answer: Callable[[str], Any] | None = None) -> None:
        self.asked: list[str] = []
        self.ended: list[bool] = []
        self._world, self._address = world, UNITS[kind]
        self._answer = answer or (lambda digits: digits)

    async def passkey(self, name: str) -> str:
        self.asked.append("passkey")
        answer = self._answer(await self._shown())
        return str(await answer if isinstance(answer, Awaitable) else answer)

    async def same_number(self, name: str, number: str) -> bool:
        self.asked.append("number")
        return bool(self._answer(await self._shown()) == number)

    async def allow(self, name: str) -> bool:
        self.asked.append("allow")
        return True

    def show_passkey(self, name: str, passkey: str) -> None:
        self.asked.append("shown")
        self._typing = asyncio.create_task(self._type(self._answer(passkey)))

    def pairing_ended(self, *, paired: bool) -> None:
        self.ended.append(paired)

    async def _shown(self) -> str:
        return str(await self._until(lambda device: device["shows"]))

    async def _type(self, digits: str) -> None:
        await self._until(lambda device: device["asks_digits"])
        path = f"/lab/devices/{self._address}/enter"
        await asyncio.to_thread(self._world.call, "POST", path, {"digits": digits})

    async def _until(self, found: Callable[[dict[str, Any]], Any]) -> Any:
        async with asyncio.timeout(60):
            while True:
                devices = (await asyncio.to_thread(self._world.call, "GET", "/lab/state"))["devices"]
                value = found(next(d for d in devices if d["address"] == self._address))
                if value:
                    return value
                await asyncio.sleep(0.1)


async def connected(
    adapter: Adapter, kind: str, dialog: PairingDialog | None = None, *, pair: bool = False
) -> Connection:
    async with Scan(adapter, registry.detector(load()), settle=0) as scan:
        found = await scan.wait_until(
            lambda seen: next((s for s in seen if s.address == UNITS[kind]), None), timeout=60
        )
        assert found is not None
        device = scan.ble_device(UNITS[kind])
    return await Connection.open(adapter, device, 60, dialog=dialog, pair=pair)


async def read(kind: str, dialog: PairingDialog | None = None, *, pair: bool = False) -> bytes:
    """Connect and read a value that only a paired computer gets."""
    async with await open_adapter("system") as adapter, await connected(adapter, kind, dialog, pair=pair) as connection:
        return await connection.read(FEATURES)


def bonds(world: LabWorld, kind: str) -> int:
    return int(next(d for d in world.call("GET", "/lab/state")["devices"] if d["address"] == UNITS[kind])["bonds"])


@pytest.mark.parametrize(
    ("kind", "asked", "pair"),
    [
        pytest.param(kind, asked, pair, id=f"{kind}-{when}", marks=[pytest.mark.long] if long else [])
        for kind, asked, long in (
            ("just-works", [], False),
            ("passkey", ["passkey"], False),
            ("compare", ["number"], True),
            ("enter", ["shown"], True),
            ("legacy", ["passkey"], True),
        )
        for when, pair, long in (("at-first", True, False), ("when-asked", False, long))
    ],
)
def test_each_kind_is_paired_and_then_answers_at_once(world: LabWorld, kind: str, asked: list[str], pair: bool) -> None:
    person = Person(world, kind)
    assert asyncio.run(read(kind, person, pair=pair))
    assert (person.asked, person.ended, bonds(world, kind)) == (asked, [True], 1)
    # Nobody is asked again, and nobody need be there.
    assert asyncio.run(read(kind, None))


@pytest.mark.parametrize(
    ("kind", "answer", "end"),
    [
        ("passkey", lambda _: "111111", PairingEnd.WRONG_DIGITS),
        ("compare", lambda _: "other", PairingEnd.OTHER_NUMBER),
        pytest.param("legacy", lambda _: "111111", PairingEnd.WRONG_DIGITS, marks=pytest.mark.long),
        pytest.param("enter", lambda _: "111111", PairingEnd.WRONG_DIGITS, marks=pytest.mark.long),
    ],
)
def test_what_went_wrong_is_told_and_a_second_try_works(
    world: LabWorld, kind: str, answer: Callable[[str], Any], end: PairingEnd
) -> None:
    with pytest.raises(InstallerError) as raised:
        asyncio.run(read(kind, Person(world, kind, answer), pair=True))
    assert (raised.value.code, raised.value.data["why"]) == (ErrorCode.PAIRING_FAILED, end.value)
    assert asyncio.run(read(kind, Person(world, kind), pair=True))


def test_a_device_that_refuses_is_told(world: LabWorld) -> None:
    path = f"/lab/devices/{UNITS['just-works']}/faults"
    world.call("POST", path, {"faults": {"refuse_pairing": {"times": 1}}})
    with pytest.raises(InstallerError) as raised:
        asyncio.run(read("just-works", Person(world, "just-works"), pair=True))
    assert (raised.value.code, raised.value.data["why"]) == (ErrorCode.PAIRING_FAILED, PairingEnd.DEVICE_REFUSED.value)


@pytest.mark.long
def test_a_person_has_the_whole_time_of_a_pairing_and_is_told_when_it_is_over(world: LabWorld) -> None:
    async def never(_: str) -> str:
        await asyncio.Event().wait()
        return ""

    person = Person(world, "passkey", lambda digits: never(digits))
    with pytest.raises(InstallerError) as raised:
        asyncio.run(read("passkey", person))
    assert raised.value.data["why"] == PairingEnd.PERSON_TOO_LATE.value


def test_a_person_may_take_longer_than_a_request(world: LabWorld) -> None:
    async def later(digits: str) -> str:
        await asyncio.sleep(8)  # a person reads and types; a request has 5 s
        return digits

    assert asyncio.run(read("passkey", Person(world, "passkey", lambda digits: later(digits))))


def test_without_anybody_a_request_is_told_as_a_wish_to_pair(world: LabWorld) -> None:
    with pytest.raises(InstallerError) as raised:
        asyncio.run(read("passkey", None))
    assert raised.value.code is ErrorCode.PAIRING_NEEDED


def test_a_subscription_survives_the_pairing_of_a_later_request(world: LabWorld) -> None:
    async def subscribed() -> None:
        got: asyncio.Queue[bytes] = asyncio.Queue()
        async with (
            await open_adapter("system") as adapter,
            await connected(adapter, "just-works", Person(world, "just-works")) as connection,
        ):
            await connection.subscribe(WEIGHT, got.put_nowait)
            path = f"/lab/devices/{UNITS['just-works']}/measure"
            await asyncio.to_thread(world.call, "POST", path)
            assert await connection.run_while_connected(got.get(), 20, "waiting")

    asyncio.run(subscribed())


AGENT = """
import asyncio, sys
from dbus_fast import BusType, Message
from dbus_fast.aio import MessageBus

async def main():
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()

    def answer(message):
        if message.interface != "org.bluez.Agent1":
            return None
        print(message.member, flush=True)
        if message.member == "RequestPasskey":
            return Message.new_method_return(message, "u", [int(sys.argv[1])])
        return Message.new_method_return(message)

    bus.add_message_handler(answer)
    for member, signature, body in (
        ("RegisterAgent", "os", ["/desktop", "KeyboardDisplay"]),
        ("RequestDefaultAgent", "o", ["/desktop"]),
    ):
        await bus.call(
            Message("org.bluez", "/org/bluez", "org.bluez.AgentManager1", member, signature=signature, body=body)
        )
    print("registered", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_the_agent_of_a_desktop_keeps_its_place(world: LabWorld, evidence: Any) -> None:
    desktop = Background("desktop", [sys.executable, "-c", AGENT, PASSKEY], evidence)
    try:
        desktop.wait_text("registered")
        # What a request begins, the desktop is asked.
        ours = Person(world, "passkey")
        assert asyncio.run(read("passkey", ours))
        assert "RequestPasskey" in desktop.text
        assert ours.asked == []
        # What we begin, we are asked; and nobody has taken the desktop's place.
        ours = Person(world, "legacy")
        assert asyncio.run(read("legacy", ours, pair=True))
        assert ours.asked == ["passkey"]
        assert desktop.text.count("RequestPasskey") == 1
        assert "Release" not in desktop.text
    finally:
        desktop.stop()


def test_a_device_that_lost_its_keys_is_told_from_a_bad_link_and_paired_anew(world: LabWorld) -> None:
    assert asyncio.run(read("just-works", Person(world, "just-works"), pair=True))
    world.call("POST", f"/lab/devices/{UNITS['just-works']}/forget_bonds")

    async def lost_and_renewed() -> bytes:
        async with await open_adapter("system") as adapter:
            with pytest.raises(InstallerError) as raised:
                await connected(adapter, "just-works", Person(world, "just-works"))
            assert raised.value.code is ErrorCode.BOND_LOST
            await adapter.forget_bond(UNITS["just-works"])
        return await read("just-works", Person(world, "just-works"), pair=True)

    assert asyncio.run(lost_and_renewed())


def test_keys_that_this_computer_lost_are_made_anew(world: LabWorld) -> None:
    assert asyncio.run(read("just-works", Person(world, "just-works"), pair=True))
    subprocess.run(["bluetoothctl", "remove", UNITS["just-works"]], check=True, timeout=20)
    person = Person(world, "just-works")
    assert asyncio.run(read("just-works", person, pair=True))
    assert person.ended == [True]


def test_a_whole_installation_with_the_digits_of_an_option(world: LabWorld, program: Program) -> None:
    done = program.run(
        *("install", *SCRIPT, "--device", UNITS["passkey"], "--sync", "bluetooth", "--passkey-env", "DIGITS"),
        DIGITS=PASSKEY,
    )
    assert done.status == 0, done
    assert PASSKEY not in done.output + done.errors
    assert done.events[-1]["summary"]["bonded"] is True


def test_a_provisioning_service_that_wants_pairing_gets_it(world: LabWorld, program: Program) -> None:
    done = program.run("install", *SCRIPT, "--device", NORDIC, *WIFI, *program.set_up_only())
    assert done.status == 0, done
    device = next(d for d in world.call("GET", "/lab/state")["devices"] if d["address"] == NORDIC)
    assert (device["joined"], device["bonds"]) == ("Home", 1)
