"""`bonds` against a BlueZ of the test's own on a real D-Bus daemon: it answers as the real one was measured to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import repeat
from pathlib import Path

import pytest
import pytest_asyncio
from dbus_fast import Message

from installer import settings
from installer.bluetooth.bluez import remove_device as removal
from installer.bluetooth.bonds import Bond, forget_bonds, list_bonds
from installer.cli.bonds import _words
from installer.cli.main import _main
from installer.errors import ErrorCode, InstallerError
from installer.ledger.records import Records
from tests.security.erasing import ANNA, record
from tests.system.bluez_stand_in import StandIn, fails, path_of

KEYBOARD = "11:22:33:44:55:66"
INCOMPLETE = ErrorCode.ERASURE_INCOMPLETE


@pytest_asyncio.fixture
async def bluez(bus: str) -> AsyncIterator[StandIn]:
    """BlueZ with Anna's monitor and a keyboard, and a device that is only in range."""
    async with StandIn(bus) as service:
        service.add(ANNA.monitor, "BPM", Paired=True, Bonded=True, Connected=True)
        del service.objects[service.add(KEYBOARD, "Keyboard", Paired=True)]["Bonded"]  # an older BlueZ has none
        service.add("00:00:00:00:00:01", "Seen")
        service.add("00:00:00:00:00:02", "Paired without keys", Paired=True)
        yield service


async def test_what_is_kept_is_listed(bus: str, bluez: StandIn) -> None:
    found = await list_bonds(address=bus)
    assert [(b.address, b.name, b.adapter, b.connected) for b in found] == [
        (KEYBOARD, "Keyboard", "hci0", False),
        (ANNA.monitor, "BPM", "hci0", True),
    ]
    assert await list_bonds("hci1", address=bus) == []
    assert len(await list_bonds("hci0", address=bus)) == 2
    # As `--adapter` takes it, too.
    own = bluez.objects["/org/bluez/hci0"]["Address"]
    assert len(await list_bonds(own.lower(), address=bus)) == 2
    assert await list_bonds("00:00:00:00:00:99", address=bus) == []


@pytest.mark.parametrize("lingers", [0, 2])
async def test_the_end_of_a_removed_device_is_waited_for(
    bus: str, bluez: StandIn, lingers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "AGAIN_SECONDS", 0.1)
    bluez.instead["RemoveDevice"] = repeat(Message.new_method_return, lingers)
    (gone,) = await forget_bonds([ANNA.monitor.lower()], address=bus)
    assert gone.address == ANNA.monitor
    assert [b.address for b in await list_bonds(address=bus)] == [KEYBOARD]
    assert await forget_bonds([ANNA.monitor], address=bus) == []


async def test_keys_that_stay_are_told(bus: str, bluez: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "REMOVE_SECONDS", 0.05)
    bluez.instead["RemoveDevice"] = repeat(Message.new_method_return)
    with pytest.raises(InstallerError, match="still has the keys") as raised:
        await forget_bonds([ANNA.monitor], address=bus)
    assert raised.value.code is INCOMPLETE


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("org.freedesktop.DBus.Error.AccessDenied", ErrorCode.BLUETOOTH_DENIED),
        ("org.freedesktop.DBus.Error.ServiceUnknown", ErrorCode.BLUETOOTH_MISSING),
        ("org.bluez.Error.Failed", ErrorCode.ADAPTER_FAILED),
    ],
)
async def test_the_system_is_blamed_rightly(bus: str, bluez: StandIn, error: str, code: ErrorCode) -> None:
    bluez.instead["GetManagedObjects"] = repeat(fails(error))
    with pytest.raises(InstallerError) as raised:
        await list_bonds(address=bus)
    assert raised.value.code is code


async def test_without_bluez_and_without_a_bus_it_is_said(bus: str, tmp_path: Path) -> None:
    for address in (bus, f"unix:path={tmp_path / 'none'}"):
        with pytest.raises(InstallerError) as raised:
            await list_bonds(address=address)
        assert raised.value.code is ErrorCode.BLUETOOTH_MISSING


@pytest.mark.parametrize(("platform", "where"), [("darwin", "Forget This Device"), ("win32", "Remove device")])
async def test_other_systems_are_named_the_place(platform: str, where: str) -> None:
    for call in (list_bonds(platform=platform), forget_bonds([KEYBOARD], platform=platform)):
        with pytest.raises(InstallerError) as raised:
            await call
        assert where in raised.value.todo


async def test_the_commands(
    bus: str, bluez: StandIn, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus)
    records = Records(settings.data_dir() / "ledger.sqlite")
    await asyncio.to_thread(record, records, "one", ANNA)
    records.close()

    async def run(*arguments: str) -> tuple[int, str, str]:
        status = await asyncio.to_thread(_main, ["bonds", *arguments])
        told = capsys.readouterr()
        return status, told.out, told.err

    _, listed, _ = await run("list", "--json")
    assert {line["address"]: line["known"] for line in map(json.loads, listed.splitlines())} == {
        ANNA.monitor: True,
        KEYBOARD: False,
    }
    assert (await run("forget"))[0] == (await run("forget", KEYBOARD, "--all"))[0] == ErrorCode.USAGE.exit_status
    assert (await run("forget", "--all"))[0] == ErrorCode.ANSWER_MISSING.exit_status
    assert "Would be erased: the keys of BPM" in (await run("forget", "--all", "--dry-run"))[1]
    assert bluez.called("RemoveDevice") == []
    status, erased, told = await run("forget", "--all", "--yes")
    assert (status, ANNA.monitor in erased, KEYBOARD in erased) == (0, True, False)
    assert "1 other paired" in told
    assert "until they are reset" in told
    assert (await run("forget", ANNA.monitor, "--yes"))[0] == 0
    status, _, told = await run("list", "--adapter", "hci:usb:0")
    assert (status, "keeps no keys" in told) == (0, True)
    assert bluez.called("RemoveDevice") == [path_of(ANNA.monitor)]


def test_a_device_cannot_write_to_the_terminal_with_its_name() -> None:
    assert "\x1b" not in _words(Bond(KEYBOARD, "Key\x1b[2Jboard", "hci0", True, "/"))
