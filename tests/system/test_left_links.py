"""A link that a killed program left open: the next program ends it and hears the device, and leaves others' alone.

On a real D-Bus daemon, with real processes that are killed; BlueZ is a stand-in.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from installer import settings
from installer.bluetooth.connection import Connection
from installer.bluetooth.own_links import Note, OwnLinks, seconds_after_start
from installer.bluetooth.scan import Scan
from installer.bluetooth.system_adapter import SystemAdapter
from installer.catalogue import catalogue_file
from installer.errors import ErrorCode, InstallerError
from installer.provisioning import registry
from installer.storage.process_marks import Mark, ProcessMarks
from tests.flow.conftest import home
from tests.system.bluez_stand_in import BATTERY, VALUE, StandIn, never, path_of
from tests.system.test_host_network import bus

__all__ = ["bus", "home"]

SCALE, HEADPHONES = "00:24:E4:60:00:90", "11:22:33:44:55:66"
SCALE_PATH = path_of(SCALE)
DETECTOR = registry.detector(catalogue_file.load())
# It scans, connects, says so, and then holds the link for ever.
HOLDER = """
import asyncio, sys
from pathlib import Path
from installer.bluetooth.adapter import start_scanner
from installer.bluetooth.system_adapter import SystemAdapter
from installer.bluetooth.connection import Connection
from installer.bluetooth.own_links import OwnLinks
from installer.storage.process_marks import ProcessMarks

async def hold():
    adapter, heard = SystemAdapter("hci0", links=OwnLinks(ProcessMarks(Path(sys.argv[1])))), asyncio.Queue()
    scanner = adapter.scanner(lambda device, _: heard.put_nowait(device))
    await start_scanner(adapter, scanner)
    device = await heard.get()
    await scanner.stop()
    connection = await Connection.open(adapter, device)
    print("connected", flush=True)
    await connection.wait_until_lost()

asyncio.run(hold())
"""

# It scans, connects, lets the device go, and ends.
PARTING = """
import asyncio, sys
from pathlib import Path
from installer.bluetooth.adapter import start_scanner
from installer.bluetooth.system_adapter import SystemAdapter
from installer.bluetooth.connection import Connection
from installer.bluetooth.own_links import OwnLinks
from installer.storage.process_marks import ProcessMarks

async def part():
    adapter, heard = await SystemAdapter.open("hci0", OwnLinks(ProcessMarks(Path(sys.argv[1])))), asyncio.Queue()
    scanner = adapter.scanner(lambda device, _: heard.put_nowait(device))
    await start_scanner(adapter, scanner)
    device = await heard.get()
    await scanner.stop()
    connection = await Connection.open(adapter, device)
    await connection.let_go()
    await adapter.close()

asyncio.run(part())
"""


@pytest_asyncio.fixture
async def bluez(bus: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StandIn]:
    """BlueZ with a scale in reach, and headphones that the desktop has connected."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus)
    async with StandIn(bus) as service:
        service.in_reach[SCALE] = "Body+"
        service.add(SCALE, "Body+")
        service.add(HEADPHONES, "Headphones", Connected=True, Paired=True, Bonded=True)
        yield service


@pytest.fixture
def marks(home: Path) -> ProcessMarks:
    """Where the programs of this home note their links."""
    return ProcessMarks(settings.state_dir() / "bluetooth" / "links")


@asynccontextmanager
async def holder(marks: ProcessMarks) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, str(marks.folder), stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def killed(process: asyncio.subprocess.Process) -> None:
    process.send_signal(signal.SIGKILL)
    await process.wait()


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.01)


def look(marks: ProcessMarks) -> tuple[SystemAdapter, list[str]]:
    """An adapter of the next program, and which left links it has told of."""
    adapter, told = SystemAdapter("hci0", links=OwnLinks(marks)), list[str]()
    adapter.on_left_link = told.append
    return adapter, told


def names(seen: Iterable[Any]) -> list[str]:
    """The names of sightings or devices, sorted."""
    return sorted(one.name for one in seen)


async def heard(scan: Scan, name: str) -> bool:
    found = await scan.wait_until(lambda seen: True if name in names(seen) else None, 10)
    return found is not None


async def test_a_link_that_a_killed_program_held_is_ended_and_the_device_heard(
    bluez: StandIn, marks: ProcessMarks
) -> None:
    async with holder(marks) as process:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"connected\n"
        adapter, told = look(marks)
        async with Scan(adapter, DETECTOR, settle=0):
            # Its program lives: the link is in use.
            assert (bluez.is_connected(SCALE_PATH), told) == (True, [])
        await killed(process)
    assert bluez.is_connected(SCALE_PATH)
    async with Scan(adapter, DETECTOR, settle=0) as scan:
        assert await heard(scan, "Body+")
    assert told == [SCALE]
    assert bluez.called("Disconnect") == [SCALE_PATH]
    assert not list(marks.folder.iterdir())


async def test_a_link_that_is_left_during_a_long_scan_is_ended_too(
    bluez: StandIn, marks: ProcessMarks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("installer.bluetooth.scan.LOOK_BESIDE_SECONDS", 0.05)
    adapter, told = look(marks)
    async with holder(marks) as process, Scan(adapter, DETECTOR, settle=0):
        assert process.stdout is not None
        assert await process.stdout.readline() == b"connected\n"
        await killed(process)
        await until(lambda: told)
    assert told == [SCALE]


async def test_an_attempt_to_connect_that_goes_on_is_ended(bluez: StandIn, marks: ProcessMarks) -> None:
    bluez.instead["Connect"] = repeat(bluez.goes_on)
    async with holder(marks) as process:
        await until(lambda: bluez.connecting)
        await killed(process)
    del bluez.instead["Connect"]
    adapter, told = look(marks)
    async with Scan(adapter, DETECTOR, settle=0) as scan:
        assert await heard(scan, "Body+")
    # There was no link yet, so there is nothing to tell.
    assert (bluez.connecting, told) == (set(), [])


async def test_a_link_of_a_program_that_ended_well_is_not_noted(bluez: StandIn, marks: ProcessMarks) -> None:
    adapter, _ = look(marks)
    async with Scan(adapter, DETECTOR, settle=0) as scan:
        assert await heard(scan, "Body+")
        device = scan.ble_device(SCALE)
    connection = await Connection.open(adapter, device)
    assert [json.loads(text)["address"] for text, _ in marks.held()] == [SCALE]
    await connection.close()
    assert marks.held() == marks.take_abandoned() == []


async def test_a_device_of_another_run_is_left_to_it(bluez: StandIn, marks: ProcessMarks) -> None:
    """For BlueZ it would be one link, and the run that lets go first would end it for both."""
    adapter, _ = look(marks)
    async with Scan(adapter, DETECTOR, settle=0) as scan:
        assert await heard(scan, "Body+")
        device = scan.ble_device(SCALE)
    async with holder(marks) as process:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"connected\n"
        with pytest.raises(InstallerError) as caught:
            await Connection.open(adapter, device)
        assert caught.value.code is ErrorCode.DEVICE_TAKEN
        assert (bluez.is_connected(SCALE_PATH), bluez.called("Disconnect")) == (True, [])


@pytest.mark.parametrize("gives_way", [True, False])
async def test_of_two_runs_that_begin_at_once_the_later_gives_way(
    bluez: StandIn, marks: ProcessMarks, gives_way: bool
) -> None:
    adapter, _ = look(marks)
    async with Scan(adapter, DETECTOR, settle=0) as scan:
        assert await heard(scan, "Body+")
        device = scan.ble_device(SCALE)
    noted = OwnLinks(marks).hold(SCALE, SCALE_PATH)
    assert noted is not None
    rival = json.loads(noted.text) | {"process": 1, "made": seconds_after_start() + 60}
    noted.remove()
    others = marks.hold(json.dumps(rival))
    assert others is not None
    opening = asyncio.ensure_future(Connection.open(adapter, device))
    await until(lambda: len(marks.held()) == 2)
    if gives_way:
        others.remove()
        async with await opening:
            assert bluez.is_connected(SCALE_PATH)
        return
    with pytest.raises(InstallerError) as caught:
        await opening
    assert (caught.value.code, bluez.called("Connect")) == (ErrorCode.DEVICE_TAKEN, [])
    assert len(marks.held()) == 1


async def test_a_program_does_not_wait_for_a_link_that_is_being_ended(bluez: StandIn, marks: ProcessMarks) -> None:
    bluez.instead["Disconnect"] = repeat(never)
    parting = await asyncio.create_subprocess_exec(sys.executable, "-c", PARTING, str(marks.folder))
    assert await parting.wait() == 0
    # It has gone, BlueZ knows what to do, and no note says that a link was left.
    assert bluez.is_connected(SCALE_PATH)
    asked = bluez.called("Disconnect")
    assert set(asked) == {SCALE_PATH}
    assert not list(marks.folder.iterdir())
    bluez.change(SCALE_PATH, Connected=False, ServicesResolved=False)
    adapter, told = look(marks)
    async with Scan(adapter, DETECTOR, settle=0) as scan:
        assert await heard(scan, "Body+")
    assert (told, bluez.called("Disconnect")) == ([], asked)


async def test_a_program_that_goes_on_lets_go_in_the_background(bluez: StandIn, marks: ProcessMarks, bus: str) -> None:
    async with await SystemAdapter.open("hci0", OwnLinks(marks)) as adapter:
        async with Scan(adapter, DETECTOR, settle=0) as scan:
            assert await heard(scan, "Body+")
            device = scan.ble_device(SCALE)
        bluez.instead["Disconnect"] = repeat(never)
        connection = await Connection.open(adapter, device)
        await connection.let_go()
        assert (connection.is_open, bluez.is_connected(SCALE_PATH), marks.held()) == (False, True, [])
        asked = bluez.called("Disconnect")
        del bluez.instead["Disconnect"]

        def down() -> None:
            bluez.change(SCALE_PATH, Connected=False, ServicesResolved=False)

        # The next connection is a new one and not that link, and nobody asks for an end again, which would be its end.
        asyncio.get_running_loop().call_later(0.1, down)
        again = await Connection.open(adapter, device)
        assert bluez.called("Connect") == [SCALE_PATH, SCALE_PATH]
        assert (again.is_open, len(marks.held()), bluez.called("Disconnect")) == (True, 1, asked)
        await again.close()
    assert marks.held() == marks.take_abandoned() == []


async def test_without_an_answer_the_link_stays_noted_until_it_is_down(
    bluez: StandIn, marks: ProcessMarks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here BlueZ is not watched, so nobody can ask it whether it has taken the request: then it is waited for."""
    adapter, _ = look(marks)
    async with Scan(adapter, DETECTOR, settle=0) as scan:
        assert await heard(scan, "Body+")
        device = scan.ble_device(SCALE)
    bluez.instead["Disconnect"] = repeat(never)
    connection = await Connection.open(adapter, device)
    parting = asyncio.create_task(connection.let_go())
    await until(lambda: bluez.called("Disconnect"))
    assert len(marks.held()) == 1
    bluez.change(SCALE_PATH, Connected=False, ServicesResolved=False)
    parting.cancel()
    await asyncio.wait({parting})


async def test_only_what_is_surely_ours_is_ended(bluez: StandIn, marks: ProcessMarks) -> None:
    bluez.change(SCALE_PATH, Connected=True)
    links = OwnLinks(marks)
    # The daemon was started since; another start of the system; not BlueZ's; not readable; a device that is not there.
    said = {"address": SCALE, "path": SCALE_PATH, "boot": "", "made": 0.0}
    note = links.hold(SCALE, SCALE_PATH)
    assert note is not None
    boot = json.loads(note.text)["boot"]
    note.remove()
    for text in (
        json.dumps({**said, "boot": boot}),
        json.dumps({**said, "boot": "another", "made": 1e9}),
        json.dumps({**said, "boot": boot, "path": "/org/other", "made": 1e9}),
        json.dumps({**said, "boot": boot, "path": f"{SCALE_PATH}0", "made": 1e9}),
        "{",
        "[1]",
    ):
        mark = marks.hold(text)
        assert mark is not None
        mark.leave()
    adapter, told = look(marks)
    async with Scan(adapter, DETECTOR, settle=0):
        pass
    assert (bluez.called("Disconnect"), told) == ([], [])
    assert not list(marks.folder.iterdir())


async def test_a_link_that_another_program_of_ours_has_again_is_left_alone(bluez: StandIn, marks: ProcessMarks) -> None:
    bluez.change(SCALE_PATH, Connected=True)
    links = OwnLinks(marks)
    left, used = links.hold(SCALE, SCALE_PATH), links.hold(SCALE, SCALE_PATH)
    assert left is not None
    assert used is not None
    left.leave()
    adapter, told = look(marks)
    async with Scan(adapter, DETECTOR, settle=0):
        pass
    assert (bluez.called("Disconnect"), told, len(marks.held())) == ([], [], 1)
    used.remove()


class DiesAmongTheLooks(ProcessMarks):
    """The process of `mark` dies between the two looks at the notes, in whichever order they come."""

    mark: Note | None = None

    def held(self) -> list[tuple[str, float]]:
        seen = super().held()
        self._dies()
        return seen

    def take_abandoned(self) -> list[Mark]:
        seen = super().take_abandoned()
        self._dies()
        return seen

    def _dies(self) -> None:
        if self.mark is not None:
            self.mark.leave()


async def test_a_program_that_dies_while_one_looks_is_found_by_the_next_look(
    bluez: StandIn, marks: ProcessMarks
) -> None:
    bluez.change(SCALE_PATH, Connected=True)
    dying = DiesAmongTheLooks(marks.folder)
    dying.mark = OwnLinks(marks).hold(SCALE, SCALE_PATH)
    adapter, told = look(dying)
    await adapter.end_left_links()
    await adapter.end_left_links()
    assert (told, bluez.is_connected(SCALE_PATH), list(marks.folder.iterdir())) == ([SCALE], False, [])


async def test_a_link_that_cannot_be_ended_now_is_tried_again(
    bluez: StandIn, marks: ProcessMarks, monkeypatch: pytest.MonkeyPatch, bus: str
) -> None:
    bluez.change(SCALE_PATH, Connected=True)
    note = OwnLinks(marks).hold(SCALE, SCALE_PATH)
    assert note is not None
    note.leave()
    adapter, told = look(marks)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"{bus}-gone")
    await adapter.end_left_links()
    assert told == []
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus)
    await adapter.end_left_links()
    assert (told, bluez.is_connected(SCALE_PATH)) == ([SCALE], False)


async def test_the_command_scan_tells_of_it(bluez: StandIn, marks: ProcessMarks, home: Path) -> None:
    async with holder(marks) as process:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"connected\n"
        await killed(process)
    scanning = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from installer.cli.main import main; main()",
        *("scan", "--seconds", "1", "--all", "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, told = await scanning.communicate()
    assert [json.loads(line)["sighting"]["address"] for line in out.splitlines()] == [SCALE]
    assert told.decode() == f"A link to {SCALE} that an earlier run left open was ended.\n"


async def test_what_bluez_knows_is_a_first_sighting(bluez: StandIn, marks: ProcessMarks) -> None:
    bluez.repeats = False  # another program scans: nothing that is known is told again
    bluez.objects[SCALE_PATH]["RSSI"] = -61
    bluez.add("00:00:00:00:00:01", "Heard a while ago")
    bluez.add("00:00:00:00:00:02", "Paired", RSSI=-50, Paired=True)
    bluez.objects[path_of(HEADPHONES)]["RSSI"] = -40
    adapter, _ = look(marks)
    async with Scan(adapter, DETECTOR, settle=0) as scan:
        assert await heard(scan, "Body+")
        (sighting,) = scan.current()
        assert (sighting.address, sighting.rssi, sighting.detection.model_id) == (SCALE, -61, "body-plus")
        # bleak connects to it as to one that it has heard itself.
        connection = await Connection.open(adapter, scan.ble_device(SCALE))
        assert bluez.is_connected(SCALE_PATH)
        await connection.close()
    assert bluez.filters["DuplicateData"] is True
    assert names(device for device, _ in await adapter.connected_devices()) == ["Headphones"]


async def test_a_table_that_follows_after_its_announcement_is_waited_for(bluez: StandIn, marks: ProcessMarks) -> None:
    """BlueZ 5.82 does so with a table that it has kept from the last link."""
    bluez.table_follows = 0.1
    adapter, _ = look(marks)
    async with Scan(adapter, DETECTOR, settle=0) as scan:
        assert await heard(scan, "Body+")
        device = scan.ble_device(SCALE)
    async with await Connection.open(adapter, device) as connection:
        assert (connection.services, connection.characteristics) == ({BATTERY}, {VALUE})
        assert await connection.read(VALUE) == b"\x32"


async def test_a_connection_that_is_cancelled_while_its_table_is_waited_for_leaves_no_link(
    bluez: StandIn, marks: ProcessMarks
) -> None:
    bluez.table_follows = 60.0  # never, here
    adapter, _ = look(marks)
    async with Scan(adapter, DETECTOR, settle=0) as scan:
        assert await heard(scan, "Body+")
        device = scan.ble_device(SCALE)
    connecting = asyncio.create_task(adapter.client(device, None, 5.0).connect())
    await until(lambda: bluez.called("Connect") and "GetManagedObjects" in bluez.methods[-3:])
    connecting.cancel()
    await asyncio.wait({connecting})
    assert (connecting.cancelled(), bluez.is_connected(SCALE_PATH), marks.held()) == (True, False, [])


async def test_the_lasting_address_of_a_paired_device_is_known(bluez: StandIn, marks: ProcessMarks) -> None:
    adapter, _ = look(marks)
    async with Scan(adapter, DETECTOR, settle=0) as scan:
        assert await heard(scan, "Body+")
        device = scan.ble_device(SCALE)
        assert await adapter.lasting_address(device) == SCALE
        # The object stays the same one; so does bleak's.
        bluez.change(SCALE_PATH, Address="C0:00:00:00:00:08", Bonded=True)
        async with asyncio.timeout(10):
            while await adapter.lasting_address(device) != "C0:00:00:00:00:08":  # noqa: ASYNC110 - a signal changes it
                await asyncio.sleep(0.01)
    assert device.address == SCALE


async def test_a_device_that_another_program_has_is_named(bluez: StandIn, home: Path) -> None:
    bluez.change(SCALE_PATH, Connected=True)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from installer.cli.main import main; main()",
        *("scan", "--seconds", "0.3"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await process.communicate()
    assert told.decode().splitlines()[0] == (
        f"Body+ {SCALE} is connected to this computer by another program, so no scan finds it. End that connection in "
        f"the Bluetooth settings, or with: bluetoothctl disconnect {SCALE}"
    )
    assert bluez.is_connected(SCALE_PATH)


async def test_without_bluez_nothing_is_known(bus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus)
    adapter = SystemAdapter()
    assert await adapter.heard_lately() == await adapter.connected_devices() == []
    with pytest.raises(InstallerError) as raised:
        async with Scan(adapter, DETECTOR):
            pass
    assert raised.value.code is ErrorCode.BLUETOOTH_MISSING
