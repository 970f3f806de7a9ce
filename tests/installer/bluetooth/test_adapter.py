"""Opening an adapter: each way in which it can fail has its own code, one sentence, and something to do."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from bleak.backends.device import BLEDevice
from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason, BleakDBusError, BleakError

from installer.bluetooth import system_adapter
from installer.bluetooth.hci import host
from installer.bluetooth.open_adapter import check_adapter, open_adapter
from installer.bluetooth.own_links import OwnLinks
from installer.bluetooth.scan import Scan
from installer.bluetooth.system_adapter import SystemAdapter
from installer.bluetooth.system_errors import adapter_error
from installer.catalogue import catalogue_file
from installer.errors import ErrorCode, InstallerError
from installer.provisioning import registry
from installer.storage.process_marks import ProcessMarks
from tests.installer.bluetooth.bench import Bench

Reason = BleakBluetoothNotAvailableReason


def good(error: InstallerError) -> None:
    """What holds for every failure that a person sees."""
    assert error.what.endswith(".")
    assert error.todo.endswith("Or try it without hardware: --lab.")


@asynccontextmanager
async def server(talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]) -> AsyncIterator[str]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk(reader, writer)
        while await reader.read(1000):
            pass
        writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"hci:tcp-client:127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()


async def failure(spec: str | None) -> InstallerError:
    with pytest.raises(InstallerError) as caught:
        await check_adapter(spec)
    good(caught.value)
    return caught.value


async def test_a_raw_adapter_scans() -> None:
    async with Bench() as bench:
        words = await check_adapter(bench.adapter)
        assert words == f"Bluetooth adapter {bench.adapter} scans (HciScanner)"


async def test_nobody_listens_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but not listening
        error = await failure(f"hci:tcp-client:127.0.0.1:{taken.getsockname()[1]}")
    assert error.code is ErrorCode.ADAPTER_FAILED
    assert "cannot be reached" in error.what


@pytest.mark.parametrize(
    "spec",
    [
        "hci:",
        "hci:usb",
        "hci:usb:",
        "hci:nonsense:1",
        "hci:tcp-client:nowhere",
        "hci:tcp-client:127.0.0.1:x",
        "hci:tcp-client:127.0.0.1:99999999",
        "hci:ws-client:x",
        "hci:hci-socket:x",
        "hci:serial:/dev/no-such-port,115200",
        "hci:unix:/no/such/socket",
        "nonsense",
    ],
)
async def test_a_name_of_no_adapter(spec: str) -> None:
    error = await failure(spec)
    assert error.code is ErrorCode.ADAPTER_FAILED
    assert error.data["adapter"] == spec


async def test_what_is_there_is_no_controller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host.HciHost.open.__func__, "__defaults__", (0.3,))  # type: ignore[attr-defined]
    async with server(lambda reader, writer: None) as silent:
        error = await failure(silent)
        assert error.code is ErrorCode.ADAPTER_FAILED
        assert "nothing there answers" in error.what
    async with server(lambda reader, writer: writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as chatty:
        assert (await failure(chatty)).code is ErrorCode.ADAPTER_FAILED
    async with server(lambda reader, writer: writer.close()) as closing:
        assert (await failure(closing)).code is ErrorCode.ADAPTER_FAILED


@pytest.mark.skipif(sys.platform != "linux", reason="D-Bus is how Linux reaches Bluetooth")
async def test_a_computer_without_d_bus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    for spec in (None, "system", "hci0"):
        error = await failure(spec)
        assert error.code is ErrorCode.BLUETOOTH_MISSING
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead"))
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/dead")
        assert (await failure(None)).code is ErrorCode.BLUETOOTH_MISSING


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BleakBluetoothNotAvailableError("x", Reason.POWERED_OFF), ErrorCode.BLUETOOTH_OFF),
        (BleakBluetoothNotAvailableError("x", Reason.NO_BLUETOOTH), ErrorCode.BLUETOOTH_MISSING),
        (BleakBluetoothNotAvailableError("x", Reason.NO_BLE_CENTRAL_ROLE), ErrorCode.BLUETOOTH_MISSING),
        (BleakBluetoothNotAvailableError("x", Reason.DENIED_BY_USER), ErrorCode.BLUETOOTH_DENIED),
        (BleakBluetoothNotAvailableError("x", Reason.DENIED_BY_SYSTEM), ErrorCode.BLUETOOTH_DENIED),
        (BleakBluetoothNotAvailableError("x", Reason.DENIED_BY_UNKNOWN), ErrorCode.BLUETOOTH_DENIED),
        (BleakBluetoothNotAvailableError("x", Reason.UNKNOWN), ErrorCode.ADAPTER_FAILED),
        (BleakDBusError("org.bluez.Error.NotReady", ["x"]), ErrorCode.BLUETOOTH_OFF),
        (BleakDBusError("org.freedesktop.DBus.Error.AccessDenied", ["x"]), ErrorCode.BLUETOOTH_DENIED),
        (BleakDBusError("org.freedesktop.DBus.Error.UnknownObject", ["x"]), ErrorCode.BLUETOOTH_MISSING),
        (BleakDBusError("org.freedesktop.DBus.Error.ServiceUnknown", ["x"]), ErrorCode.BLUETOOTH_MISSING),
        (BleakDBusError("org.bluez.Error.Failed", ["x"]), ErrorCode.ADAPTER_FAILED),
        (BleakError("Bluetooth device is not turned on"), ErrorCode.BLUETOOTH_OFF),
        (PermissionError(), ErrorCode.BLUETOOTH_DENIED),
        (FileNotFoundError(), ErrorCode.BLUETOOTH_MISSING),
        (OSError("WinError"), ErrorCode.ADAPTER_FAILED),
        (TimeoutError(), ErrorCode.ADAPTER_FAILED),
        (EOFError(), ErrorCode.ADAPTER_FAILED),
    ],
)
@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_each_failure_of_the_system_has_its_code(error: BaseException, code: ErrorCode, platform: str) -> None:
    told = adapter_error(error, "hci0", platform)
    assert told.code is code
    assert "TimeoutError" not in told.what
    good(told)


async def test_a_scan_tells_when_its_controller_goes_away() -> None:
    async with (
        Bench() as bench,
        await open_adapter(bench.adapter) as adapter,
        Scan(adapter, registry.detector(catalogue_file.load()), settle=0) as scan,
    ):
        waiting = asyncio.ensure_future(scan.wait_until(lambda _: None, 20))
        await asyncio.sleep(0)
        bench.unplug()
        with pytest.raises(InstallerError) as caught:
            await asyncio.wait_for(waiting, 5)
        assert caught.value.code is ErrorCode.ADAPTER_FAILED
        assert scan.failure is caught.value
        with pytest.raises(InstallerError):
            async with Scan(adapter, registry.detector(catalogue_file.load()), settle=0):
                pass


@pytest.mark.skipif(sys.platform != "linux", reason="the others have one adapter")
async def test_the_system_adapter_is_named() -> None:
    for spec, name in ((None, "system"), ("system", "system"), ("hci1", "hci1")):
        adapter = await open_adapter(spec)
        assert isinstance(adapter, SystemAdapter)
        assert adapter.name == name


async def test_the_libraries_write_no_debug_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with Bench() as bench:
        await check_adapter(bench.adapter)
    assert not [record for record in caplog.records if record.name.startswith(("bumble", "bleak", "dbus_fast"))]


class ClientOfAnotherSystem:
    def __init__(self, device: BLEDevice, *_: object, **named: object) -> None:
        self.device, self.named = device, named


def test_a_device_of_macos_has_no_path_and_its_link_is_not_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_adapter, "BleakClient", ClientOfAnotherSystem)
    device = BLEDevice("5A4B8F1C-0000-4000-8000-00000000003C", "Body+", ("peripheral", "manager"))
    client = SystemAdapter(links=OwnLinks(ProcessMarks(tmp_path))).client(device, None, 5.0)
    assert isinstance(client, ClientOfAnotherSystem)
    assert client.device is device
    assert list(tmp_path.iterdir()) == []


def test_bumble_is_loaded_only_for_a_raw_adapter() -> None:
    code = (
        "import asyncio, sys; from installer.bluetooth.open_adapter import open_adapter;"
        "import installer.bluetooth.scan, installer.bluetooth.connection, installer.provisioning.registry;"
        "asyncio.run(open_adapter(None)); assert not [m for m in sys.modules if m.startswith('bumble')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
