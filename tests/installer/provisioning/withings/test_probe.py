"""The probe: against the lab's units, and against devices that answer otherwise, over real Bluetooth stacks."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.connection import Connection
from installer.bluetooth.open_adapter import open_adapter
from installer.errors import ErrorCode, InstallerError
from installer.provisioning.registry import provisioner_for
from installer.provisioning.withings.probe import ProbeReply, pipe_of, probe, proves
from tests.installer.bluetooth.bench import connected
from tests.installer.lab.lab_process import LabProcess

SCALE, ASSOCIATED, WATCH = "00:24:E4:20:00:3C", "00:24:E4:10:00:1A", "00:24:E4:60:00:90"
PLAIN, OTHER = "00:24:E4:50:00:70", "7C:DF:A1:00:00:42"

SCENARIO = f"""
version = 1
[radio]
advertising_interval = 0.02
supervision_timeout = 0.05
[[device]]
model = "body-plus"
address = "{SCALE}"
improv = false
mtu = 23
[[device]]
model = "body"
address = "{ASSOCIATED}"
improv = false
[[device]]
model = "move"
address = "{WATCH}"
[[device]]
model = "thermo"
address = "{PLAIN}"
improv = false
vendor_service = false
[[device]]
model = "generic"
address = "{OTHER}"
[cloud]
users = [{{ email = "alex@example.org", password = "lab-password", devices = ["{ASSOCIATED}"] }}]
"""


@pytest.fixture(scope="module")
def _units(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    with LabProcess(tmp_path_factory.mktemp("units"), SCENARIO) as lab:
        yield lab


@pytest.fixture
def units(_units: LabProcess) -> LabProcess:
    _units.call_now("POST", "/lab/reset")
    return _units


@pytest.fixture
async def adapter(units: LabProcess) -> AsyncIterator[Adapter]:
    async with await open_adapter(units.adapter) as made:
        yield made


@asynccontextmanager
async def open_to(adapter: Adapter, address: str) -> AsyncIterator[Connection]:
    connection = await connected(adapter, address)
    try:
        yield connection
    finally:
        await connection.close()


async def test_a_new_unit_says_who_it_is(adapter: Adapter) -> None:
    """With packets of 20 bytes both the question and the answer come in pieces."""
    async with open_to(adapter, SCALE) as connection:
        assert pipe_of(connection) == "00000024-5749-5448-0005-000000000000"
        assert await provisioner_for(connection) is None
        told = await probe(connection)
        assert told == ProbeReply(False, "Body+ 3C", SCALE, "1000", "", 87)
        # A second time on the same connection, too.
        assert await probe(connection) == told


async def test_a_unit_on_an_account_asks_for_its_secret_and_gets_nothing(adapter: Adapter, units: LabProcess) -> None:
    async with open_to(adapter, ASSOCIATED) as connection:
        told = await probe(connection)
        assert told == ProbeReply(True, mac=ASSOCIATED)
    # One probe, and no further word.
    assert (await units.device(ASSOCIATED))["probes"] == 1


async def test_a_unit_that_comes_onto_an_account_changes_its_answer(adapter: Adapter, units: LabProcess) -> None:
    await units.call("POST", f"/lab/devices/{WATCH}/vendor_app")
    async with open_to(adapter, WATCH) as connection:
        told = await probe(connection)
    assert told is not None
    assert told.associated
    await units.factory_reset(WATCH)
    async with open_to(adapter, WATCH) as connection:
        told = await probe(connection)
    assert told is not None
    assert not told.associated


@pytest.mark.parametrize("address", [PLAIN, OTHER])
async def test_a_device_without_the_pipe_is_not_asked(adapter: Adapter, address: str) -> None:
    async with open_to(adapter, address) as connection:
        assert not proves(connection)
        assert await probe(connection) is None


async def test_the_link_drops_while_it_is_asked(adapter: Adapter, units: LabProcess) -> None:
    async with open_to(adapter, SCALE) as connection:
        await units.drop(SCALE)
        await connection.wait_until_lost()
        with pytest.raises(InstallerError) as caught:
            await probe(connection)
        assert caught.value.code is ErrorCode.CONNECTION_LOST


# Answers that no lab unit gives: a connection whose other end is written here.

REPLY = (
    "01010100680123001514c471073f3d8c79df68d53fed8ab7c006bc6cf0b7010100460000000005426f64792b"
    "1130303a32343a65343a30303a30303a30311030313233343536373839616263646566"
    "00ffffff08303030303030303100000005000004d200ffffff012c000100"
)
BATTERY = "010504000e0504000a470200000f0100000000"
Answer = Callable[[bytes], list[str]]


class Scripted:
    """The part of a connection that the probe uses. It answers whole requests with what a test says."""

    services = frozenset({"00000020-5749-5448-0005-000000000000"})

    def __init__(self, answer: Answer, pipe: str = "00000023") -> None:
        self._answer = answer
        self._pipe = f"{pipe}-5749-5448-0005-000000000000"
        self._heard: Callable[[bytes], None] | None = None
        self._buffer = b""
        self.requests: list[bytes] = []

    def has_characteristic(self, uuid: str, service: str) -> bool:
        return uuid == self._pipe and service in self.services

    def has_service(self, uuid: str) -> bool:
        return uuid in self.services

    def max_write(self, uuid: str) -> int:
        return 20

    async def subscribe(self, uuid: str, callback: Callable[[bytes], None]) -> None:
        self._heard = callback

    async def unsubscribe(self, uuid: str) -> None:
        self._heard = None

    async def write(self, uuid: str, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) < 5 + int.from_bytes(self._buffer[3:5], "big"):
            return
        request, self._buffer = self._buffer, b""
        self.requests.append(request)
        for text in self._answer(request):
            assert self._heard is not None
            self._heard(bytes.fromhex(text))

    async def run_while_connected(self, work: object, timeout: float, what: str) -> object:
        async with asyncio.timeout(timeout):
            return await work  # type: ignore[misc]


async def asked(answer: Answer) -> tuple[ProbeReply | None, list[bytes]]:
    connection = Scripted(answer)
    return await probe(connection, answer_seconds=0.05), connection.requests  # type: ignore[arg-type]


def is_probe(request: bytes) -> bool:
    return request[1:3] == b"\x01\x01"


async def test_the_older_pipe_and_messages_that_come_unasked() -> None:
    said = ["0141010000", "0185040000", REPLY[:40], REPLY[40:]]
    told, requests = await asked(lambda r: said if is_probe(r) else [BATTERY])
    assert told == ProbeReply(False, "Body+", "00:24:E4:00:00:01", "1234", "", 71)
    assert [r[1:3].hex() for r in requests] == ["0101", "0504"]


@pytest.mark.parametrize(
    "answer",
    [
        [],  # nothing
        ["010100000a011000060101fffffffb"],  # not authenticated
        ["010100000a011000060101fffffffe"],  # busy
        ["0101010000"],  # a reply without its object
        ["010101000401010000"],  # an empty object
        ["0201010000"],  # no message at all
        ["010101ffff"],  # longer than any
        ["010128000401220000"],  # a challenge without its parts
        [REPLY[:100]],  # half an answer
    ],
)
async def test_no_answer_that_can_be_understood_is_no_failure(answer: list[str]) -> None:
    told, _ = await asked(lambda _request: answer)
    assert told is None


@pytest.mark.parametrize("answer", [[], ["010100000a011000060504fffffffd"], ["0205"], ["0105040000"]])
async def test_without_a_battery_the_rest_counts(answer: list[str]) -> None:
    told, _ = await asked(lambda r: [REPLY] if is_probe(r) else answer)
    assert told is not None
    assert (told.name, told.battery) == ("Body+", None)


async def test_control_characters_do_not_get_through() -> None:
    nasty = REPLY.replace("05426f64792b", "051b5b324a07")
    told, _ = await asked(lambda r: [nasty] if is_probe(r) else [])
    assert told is not None
    assert all(c.isprintable() for c in told.name)


async def test_nothing_but_questions_is_ever_written() -> None:
    """No association, no set-up, no answer to a challenge: two commands, both without a secret."""
    challenge = "0101280027012200231130303a32343a65343a30303a30303a303110000102030405060708090a0b0c0d0e0f"
    for answer in ([REPLY], [challenge]):
        _, requests = await asked(lambda r, a=answer: a if is_probe(r) else [BATTERY])  # type: ignore[misc]
        assert {r[1:3].hex() for r in requests} <= {"0101", "0504"}
        digest = hashlib.sha1(bytes(range(16)), usedforsecurity=False).digest()
        assert all(digest not in r for r in requests)


async def test_a_newer_table_is_recognised_and_not_asked() -> None:
    connection = Scripted(lambda _request: [])
    connection.services = frozenset({"00000000-0000-5749-5448-494e47530000"})
    assert proves(connection)  # type: ignore[arg-type]
    assert await probe(connection) is None  # type: ignore[arg-type]
    assert connection.requests == []
