"""The guest's bluetoothd: started for a test with no memory of earlier ones, stopped, killed, started again."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

from tests.guest.inside import system_bus
from tests.guest.inside.background import Background
from tests.guest.inside.waiting import until

PROGRAM = "/usr/libexec/bluetooth/bluetoothd"
STATE = Path("/var/lib/bluetooth")


class BluetoothDaemon:
    """bluetoothd with all its debug lines in the test's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: Background | None = None

    @property
    def log(self) -> str:
        """What the running one has written."""
        return self._process.text if self._process else ""

    def start(self) -> None:
        """Start it and wait until it is on the bus. Its bonds and devices of before, if any, are still there."""
        self._process = Background("bluetoothd", [PROGRAM, "-n", "-d"], self._folder)
        until(lambda: system_bus.name_has_owner(system_bus.BLUEZ), "bluetoothd on the bus")

    def stop(self) -> None:
        """End it as a restart of the service does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash does."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """What an update of the package does, until the adapters are powered again."""
        had = [path.rpartition("/")[2] for path, it in system_bus.bluez_objects().items() if "org.bluez.Adapter1" in it]
        self.stop()
        self.start()
        for adapter in had:
            self.wait_powered(adapter)

    def forget_everything(self) -> None:
        """Empty the memory of a stopped one."""
        shutil.rmtree(STATE, ignore_errors=True)
        STATE.mkdir(mode=0o700)

    def power(self, on: bool, adapter: str = "hci0") -> None:
        """Switch an adapter on or off, and wait until it is."""
        system_bus.set_adapter_property(adapter, "Powered", "b", on)
        until(lambda: system_bus.adapter_property(adapter, "Powered") is on, f"{adapter} powered {on}")

    def wait_powered(self, adapter: str = "hci0") -> None:
        """Wait for an adapter that bluetoothd powers by itself."""
        until(lambda: system_bus.adapter_property(adapter, "Powered"), f"{adapter} powered")

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.stop(number)
        self._process = None
        until(lambda: not system_bus.name_has_owner(system_bus.BLUEZ), "bluetoothd off the bus")
