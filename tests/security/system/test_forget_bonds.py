"""`bonds` against a BlueZ of the test's own on a real D-Bus daemon: it answers as the real one was measured to."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from installer import settings
from installer.bluetooth.bluez import remove_device as removal
from installer.bluetooth.bluez.bus import DEVICE, OBJECT_MANAGER, SERVICE
from installer.bluetooth.bonds import Bond, forget_bonds, list_bonds
from installer.cli.bonds import _words
from installer.cli.main import _main
from installer.errors import ErrorCode, InstallerError
from installer.ledger.records import Records
from tests.security.erasing import ANNA, record

KEYBOARD = "11:22:33:44:55:66"
INCOMPLETE = ErrorCode.ERASURE_INCOMPLETE


class BlueZ:
    """The part of BlueZ that `bonds` uses. `lingers`: how many requests to remove a device leave it there."""

    def __init__(self, connection: MessageBus) -> None:
        self.connection = connection
        self.devices: dict[str, dict[str, Variant]] = {}
        self.removed: list[str] = []
        self.lingers = 0
        self.error = ""

    def add(self, address: str, name: str, *, adapter: str = "hci0", **state: bool) -> None:
        self.devices[f"/org/bluez/{adapter}/dev_{address.replace(':', '_')}"] = {
            "Address": Variant("s", address),
            "Alias": Variant("s", name),
            "Adapter": Variant("o", f"/org/bluez/{adapter}"),
            **{key: Variant("b", value) for key, value in state.items()},
        }

    def answer(self, message: Message) -> Message | None:
        if message.message_type is not MessageType.METHOD_CALL or not message.interface:
            return None
        if self.error:
            return Message.new_error(message, self.error, "no")
        if message.member == "GetManagedObjects":
            objects: dict[str, Any] = {path: {DEVICE: values} for path, values in self.devices.items()}
            objects["/org/bluez/hci0"] = {"org.bluez.Adapter1": {"Powered": Variant("b", True)}}
            return Message.new_method_return(message, "a{oa{sa{sv}}}", [objects])
        if message.member == "RemoveDevice":
            (path,) = message.body
            if path not in self.devices or not path.startswith(message.path):
                return Message.new_error(message, "org.bluez.Error.DoesNotExist", "Does Not Exist")
            self.removed.append(path)
            if self.lingers:
                self.lingers -= 1
            else:
                asyncio.get_running_loop().call_later(0.02, self._remove, path)
            return Message.new_method_return(message)
        return None

    def _remove(self, path: str) -> None:
        del self.devices[path]
        self.connection.send(Message.new_signal("/", OBJECT_MANAGER, "InterfacesRemoved", "oas", [path, [DEVICE]]))


@pytest_asyncio.fixture
async def bluez(bus: str) -> Any:
    """BlueZ with Anna's monitor and a keyboard, and a device that is only in range."""
    connection = await MessageBus(bus_address=bus).connect()
    service = BlueZ(connection)
    service.add(ANNA.monitor, "BPM", Paired=True, Bonded=True, Connected=True)
    service.add(KEYBOARD, "Keyboard", Paired=True)  # an older BlueZ has no `Bonded`
    service.add("00:00:00:00:00:01", "Seen", Paired=False, Bonded=False)
    service.add("00:00:00:00:00:02", "Paired without keys", Paired=True, Bonded=False)
    connection.add_message_handler(service.answer)
    await connection.request_name(SERVICE)
    yield service
    connection.disconnect()
    await connection.wait_for_disconnect()


async def test_what_is_kept_is_listed(bus: str, bluez: BlueZ) -> None:
    found = await list_bonds(address=bus)
    assert [(b.address, b.name, b.adapter, b.connected) for b in found] == [
        (KEYBOARD, "Keyboard", "hci0", False),
        (ANNA.monitor, "BPM", "hci0", True),
    ]
    assert await list_bonds("hci1", address=bus) == []
    assert len(await list_bonds("hci0", address=bus)) == 2


@pytest.mark.parametrize("lingers", [0, 2])
async def test_the_end_of_a_removed_device_is_waited_for(
    bus: str, bluez: BlueZ, lingers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "AGAIN_SECONDS", 0.1)
    bluez.lingers = lingers
    (gone,) = await forget_bonds([ANNA.monitor.lower()], address=bus)
    assert gone.address == ANNA.monitor
    assert [b.address for b in await list_bonds(address=bus)] == [KEYBOARD]
    assert await forget_bonds([ANNA.monitor], address=bus) == []


async def test_keys_that_stay_are_told(bus: str, bluez: BlueZ, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "REMOVE_SECONDS", 0.05)
    bluez.lingers = 10**6
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
async def test_the_system_is_blamed_rightly(bus: str, bluez: BlueZ, error: str, code: ErrorCode) -> None:
    bluez.error = error
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
    bus: str, bluez: BlueZ, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
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
    assert bluez.removed == []
    status, erased, told = await run("forget", "--all", "--yes")
    assert (status, ANNA.monitor in erased, KEYBOARD in erased) == (0, True, False)
    assert "1 other paired" in told
    assert "until they are reset" in told
    assert (await run("forget", ANNA.monitor, "--yes"))[0] == 0
    status, _, told = await run("list", "--adapter", "hci:usb:0")
    assert (status, "keeps no keys" in told) == (0, True)
    assert [Path(path).name for path in bluez.removed] == [f"dev_{ANNA.monitor.replace(':', '_')}"]


def test_a_device_cannot_write_to_the_terminal_with_its_name() -> None:
    assert "\x1b" not in _words(Bond(KEYBOARD, "Key\x1b[2Jboard", "hci0", True, "/"))
