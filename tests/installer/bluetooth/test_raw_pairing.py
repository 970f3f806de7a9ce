"""Pairing over a raw adapter with units of the lab that want it: every kind, and everything that can go wrong."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from bleak import BleakClient
from bleak.backends.device import BLEDevice
from bleak.exc import BleakGATTProtocolError

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.hci import pairing
from installer.bluetooth.hci.kept_keys import RawBond, parse
from installer.bluetooth.hci.key_ring import KeyRing
from installer.bluetooth.open_adapter import open_adapter
from installer.bluetooth.pairing import PairingDialog
from installer.errors import ErrorCode, InstallerError
from installer.flow.bluetooth_keys import BluetoothKeysFile
from installer.lab.device import LabDevice
from installer.lab.scenario import Scenario
from installer.lab.world import World
from tests.installer.provisioning.lab_bench import until

ADDRESS = "A8:03:2A:BE:54:DC"
FEATURES = "00002a9e-0000-1000-8000-00805f9b34fb"  # of a scale
VALUE = bytes.fromhex("bd010000")
NO = InstallerError(ErrorCode.PAIRING_NEEDED, "Nobody is there.", "Come back.")


class Person:
    """Somebody in front of the device. `answer`: instead of the right one; `told`: what was asked or shown."""

    def __init__(self, unit: LabDevice, answer: Any = None) -> None:
        self.unit, self.answer = unit, answer
        self.told: list[str] = []

    async def passkey(self, name: str) -> str:
        self.told.append("passkey")
        return cast(str, await self._answer(await self._shown()))

    async def same_number(self, name: str, number: str) -> bool:
        self.told.append("number")
        return cast(bool, await self._answer(number == await self._shown()))

    async def allow(self, name: str) -> bool:
        raise AssertionError("a pairing that this program begins needs no leave")

    def show_passkey(self, name: str, passkey: str) -> None:
        self.told.append("shown")
        self._typing = asyncio.create_task(self._type(passkey))

    def pairing_ended(self, *, paired: bool = False) -> None:
        pass

    async def _type(self, passkey: str) -> None:
        await until(lambda: self.unit.bonding.asks)
        self.unit.bonding.enter(await self._answer(passkey))

    async def _shown(self) -> str:
        await until(lambda: self.unit.bonding.shows)
        return self.unit.bonding.shows or ""

    async def _answer(self, right: Any) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        if callable(self.answer):
            return await self.answer()
        return right if self.answer is None else self.answer


class Room:
    """A lab with one scale, and the file of keys of this computer."""

    def __init__(self, world: World, port: int, file: BluetoothKeysFile, path: Path) -> None:
        self.unit = world.devices[ADDRESS]
        self.file, self.path = file, path
        self.unplug = world.hci_server.unplug
        self.spec = f"hci:tcp-client:127.0.0.1:{port}"

    def adapter(self) -> Any:
        """The adapter of a new process."""
        return open_adapter(self.spec, key_file=self.file)

    async def find(self, adapter: Adapter) -> BLEDevice:
        found: asyncio.Future[BLEDevice] = asyncio.get_running_loop().create_future()

        def heard(device: BLEDevice, _: object) -> None:
            if device.name and not found.done():
                found.set_result(device)

        scanner = adapter.scanner(heard)
        async with asyncio.timeout(20), scanner:
            return await found

    @asynccontextmanager
    async def connected(self, adapter: Adapter) -> AsyncIterator[tuple[BleakClient, BLEDevice]]:
        device = await self.find(adapter)
        client = adapter.client(device, None, 20)
        await client.connect()
        try:
            yield client, device
        finally:
            await client.disconnect()

    async def pair(self, person: Person | None) -> list[str]:
        """Pair as a process does, and read a value; what the person was told."""
        async with await self.adapter() as adapter, self.connected(adapter) as (client, device):
            adapter.pairing_dialog = cast("PairingDialog | None", person)
            await adapter.pair(client, device)
            assert await client.read_gatt_char(FEATURES) == VALUE
        return person.told if person is not None else []

    async def read(self) -> bytes:
        """Read the value as a process does that can ask nobody."""
        async with await self.adapter() as adapter, self.connected(adapter) as (client, _):
            return bytes(await client.read_gatt_char(FEATURES))


@asynccontextmanager
async def room(folder: Path, **device: Any) -> AsyncIterator[Room]:
    scenario = Scenario.model_validate(
        {
            "radio": {"advertising_interval": 0.02, "supervision_timeout": 0.1, "rssi_jitter": 0},
            "device": [{"model": "body", "address": ADDRESS, "name": "Scale", **device}],
        }
    )
    world = World(scenario)
    port = await world.start()
    try:
        yield Room(world, port, BluetoothKeysFile(folder / "keys.json"), folder / "keys.json")
    finally:
        await world.stop()


async def failure(work: Any) -> InstallerError:
    with pytest.raises(InstallerError) as caught:
        await work
    return caught.value


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    ("bonding", "asked"),
    [("just-works", []), ("passkey", ["passkey"]), ("compare", ["number"]), ("enter", ["shown"])],
)
async def test_every_kind_is_paired_once_and_then_needs_nobody(
    tmp_path: Path, bonding: str, asked: list[str], legacy: bool
) -> None:
    async with room(tmp_path, bonding=bonding, bonding_legacy=legacy) as made:
        with pytest.raises(BleakGATTProtocolError, match="Insufficient Authentication"):
            await made.read()
        told = await made.pair(Person(made.unit))
        assert told == (["passkey"] if legacy and bonding == "compare" else asked)
        assert await made.read() == VALUE
        assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
        made.path.chmod(0o644)  # by a careless copy
        kept = parse(made.file.read_keys(), "keys")
        assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
        assert [bond.address for bond in kept.bonds] == [ADDRESS]
        # Neither a log nor a crash report gets a key by the way.
        secrets = (kept.bonds[0].ltk, kept.bonds[0].irk, kept.identity.irk if kept.identity else None)
        assert not any(repr(secret) in repr(kept) for secret in secrets)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    ("device", "answer", "why"),
    [
        ({"bonding": "passkey", "passkey": "123456"}, "123457", "wrong-digits"),
        ({"bonding": "passkey"}, "000000", "wrong-digits"),  # zero
        ({"bonding": "enter"}, "123457", "wrong-digits"),
        ({"bonding": "compare"}, False, "other-number"),
        ({"bonding": "compare", "faults": {"refuse_pairing": {}}}, None, "device-refused"),
        ({"bonding": "passkey", "faults": {"refuse_pairing": {}}}, None, "device-refused"),
        ({"bonding": "just-works", "faults": {"refuse_pairing": {}}}, None, "device-refused"),
    ],
)
async def test_a_failed_pairing_says_why_and_the_next_one_works(
    tmp_path: Path, device: dict[str, Any], answer: Any, why: str, legacy: bool
) -> None:
    if legacy and device["bonding"] == "compare":
        device = {**device, "bonding": "passkey"}  # a comparison needs Secure Connections
        answer, why = ("654321", "wrong-digits") if why == "other-number" else (answer, why)
    async with room(tmp_path, bonding_legacy=legacy, **device) as made:
        error = await failure(made.pair(Person(made.unit, answer)))
        assert (error.code, error.data["why"]) == (ErrorCode.PAIRING_FAILED, why)
        assert ADDRESS in error.what
        assert not made.path.exists()
        await made.pair(Person(made.unit))
        assert await made.read() == VALUE


async def test_a_second_try_on_the_same_link_works(tmp_path: Path) -> None:
    async with (
        room(tmp_path, bonding="passkey", passkey="123456") as made,
        await made.adapter() as adapter,
        made.connected(adapter) as (client, device),
    ):
        adapter.pairing_dialog = Person(made.unit, "654321")
        assert (await failure(adapter.pair(client, device))).data["why"] == "wrong-digits"
        adapter.pairing_dialog = Person(made.unit)
        await adapter.pair(client, device)
        assert await client.read_gatt_char(FEATURES) == VALUE


@pytest.mark.parametrize("bonding", ["passkey", "compare", "enter"])
async def test_with_nobody_to_ask_it_is_not_paired_without_digits(tmp_path: Path, bonding: str) -> None:
    async with room(tmp_path, bonding=bonding) as made:
        assert (await failure(made.pair(None))).code is ErrorCode.PAIRING_NEEDED
        assert not made.path.exists()


async def test_what_needs_no_answer_is_paired_with_nobody_there(tmp_path: Path) -> None:
    async with room(tmp_path, bonding="just-works") as made:
        await made.pair(None)
        assert await made.read() == VALUE


@pytest.mark.parametrize("problem", [NO, ZeroDivisionError("a defect")])
async def test_what_the_dialog_raises_comes_out(tmp_path: Path, problem: Exception) -> None:
    async with room(tmp_path, bonding="passkey") as made:
        with pytest.raises(type(problem)) as caught:
            await made.pair(Person(made.unit, problem))
        assert caught.value is problem


@pytest.mark.parametrize(
    ("drop", "code"),
    [("link", ErrorCode.PAIRING_FAILED), ("controller", ErrorCode.ADAPTER_FAILED)],
)
async def test_a_question_is_withdrawn_when_the_other_side_is_gone(tmp_path: Path, drop: str, code: ErrorCode) -> None:
    withdrawn = asyncio.Event()
    async with room(tmp_path, bonding="passkey") as made:

        async def hang_up() -> None:
            try:
                made.unit.drop() if drop == "link" else made.unplug()
                await asyncio.get_running_loop().create_future()
            finally:
                withdrawn.set()

        error = await failure(made.pair(Person(made.unit, hang_up)))
        assert error.code is code
        assert error.data.get("why", "device-hung-up") == "device-hung-up"
        assert withdrawn.is_set()


@pytest.mark.parametrize(("asked", "why"), [(True, "person-too-late"), (False, "device-too-late")])
async def test_neither_side_is_waited_for_without_end(
    tmp_path: Path, asked: bool, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairing, "PERSON_SECONDS", 0.3)
    monkeypatch.setattr(pairing, "GRACE_SECONDS", 0.0)

    async def never() -> None:
        await asyncio.get_running_loop().create_future()

    async with room(tmp_path, bonding="passkey" if asked else "enter") as made:
        error = await failure(made.pair(Person(made.unit, never)))
        assert (error.code, error.data["why"]) == (ErrorCode.PAIRING_FAILED, why)


@pytest.mark.parametrize("legacy", [False, True])
async def test_a_device_that_lost_its_keys_is_told_and_can_be_paired_anew(tmp_path: Path, legacy: bool) -> None:
    async with room(tmp_path, bonding="just-works", bonding_legacy=legacy) as made:
        await made.pair(None)
        made.unit.forget_bonds()
        error = await failure(made.read())
        assert error.code is ErrorCode.BOND_LOST
        assert ADDRESS in error.what
        assert (await failure(made.read())).code is ErrorCode.BOND_LOST  # nothing is erased without consent
        async with await made.adapter() as adapter:
            await adapter.forget_bond(ADDRESS.lower())
        assert not made.path.exists()
        await made.pair(None)
        assert await made.read() == VALUE


@pytest.mark.parametrize("bonding", ["just-works", "passkey"])
async def test_another_device_with_another_key_is_a_lost_bond(tmp_path: Path, bonding: str) -> None:
    async with room(tmp_path, bonding=bonding) as made:
        await made.pair(Person(made.unit))
        (keys,) = made.unit.bonding.keys.all_keys.values()
        assert keys.ltk is not None
        keys.ltk.value = bytes(reversed(keys.ltk.value))
        assert (await failure(made.read())).code is ErrorCode.BOND_LOST


async def test_keys_that_are_lost_here_are_made_anew(tmp_path: Path) -> None:
    async with room(tmp_path, bonding="passkey") as made:
        await made.pair(Person(made.unit))
        made.path.unlink()
        with pytest.raises(BleakGATTProtocolError):
            await made.read()
        await made.pair(Person(made.unit))
        assert await made.read() == VALUE


@pytest.mark.parametrize("bonding", ["just-works", "passkey"])
async def test_a_device_behind_a_changing_address_is_known_again(tmp_path: Path, bonding: str) -> None:
    async with room(tmp_path, bonding=bonding, private_address=True) as made:
        async with await made.adapter() as adapter:
            assert (await made.find(adapter)).address != ADDRESS
        await made.pair(Person(made.unit))
        await made.unit.change_address()
        async with await made.adapter() as adapter:
            assert (await made.find(adapter)).address == ADDRESS
        assert await made.read() == VALUE


async def test_a_process_that_runs_already_uses_what_another_one_has_paired(tmp_path: Path) -> None:
    async with room(tmp_path, bonding="passkey") as made, await made.adapter() as gateway:
        await made.pair(Person(made.unit))
        async with gateway.scanner(lambda _device, _advert: None), made.connected(gateway) as (client, device):
            assert await gateway.is_bonded(device)
            assert await client.read_gatt_char(FEATURES) == VALUE


async def test_processes_that_pair_at_once_lose_no_key(tmp_path: Path) -> None:
    file = BluetoothKeysFile(tmp_path / "keys.json")
    rings = [KeyRing(file) for _ in range(5)]
    bonds = [RawBond((0, bytes((number, *range(5)))), "Scale", bytes(16)) for number in range(5)]
    await asyncio.gather(*(ring.add(bond, ring.identity()) for ring, bond in zip(rings, bonds, strict=True)))
    assert set(KeyRing(file).kept.bonds) == set(bonds)
    assert {ring.identity() for ring in rings} == {KeyRing(file).identity()}
    await rings[0].forget({bond.address for bond in bonds[1:]})
    assert rings[4].kept.bonds == (bonds[0],)
    await rings[1].forget({bonds[0].address})
    assert not (tmp_path / "keys.json").exists()


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"version": 2}', b'{"version": 1, "identity": null, "bonds": []}'])
async def test_a_damaged_file_is_said_and_stays(tmp_path: Path, content: bytes) -> None:
    async with room(tmp_path) as made:
        made.path.write_bytes(content)
        made.path.chmod(0o600)
        error = await failure(made.adapter())
        assert error.code is ErrorCode.SECRET_UNAVAILABLE
        assert str(made.path) in error.what
        assert made.path.read_bytes() == content


async def test_keys_that_cannot_be_kept_are_told(tmp_path: Path) -> None:
    async with room(tmp_path, bonding="just-works") as made:
        made.path.with_suffix(".lock").mkdir()
        error = await failure(made.pair(None))
        assert error.code is ErrorCode.FILE_UNWRITABLE
        assert [path.name for path in tmp_path.iterdir()] == ["keys.lock"]
