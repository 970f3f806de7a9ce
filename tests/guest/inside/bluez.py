"""The guest's Bluetooth: bluetoothd, and adapters that are plugged in and pulled."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType

from tests.guest.inside import system_bus
from tests.guest.inside.background import Background
from tests.guest.inside.bluetooth_daemon import BluetoothDaemon
from tests.guest.inside.waiting import until
from tests.installer.lab.lab_process import LabProcess

BRIDGED = "bridged"  # what radio_bridge.py prints
ADAPTERS = Path("/sys/class/bluetooth")


class BlueZ:
    """bluetoothd (`daemon`) with the adapters that the test plugs; all that they say is in `hci.snoop` (btmon)."""

    def __init__(self, daemon: BluetoothDaemon, folder: Path) -> None:
        self.daemon = daemon
        self._folder = folder
        self._bridges: dict[str, Background] = {}
        self._shared: dict[str, Background] = {}
        self._monitor: Background | None = None

    def plug(self, lab: LabProcess) -> str:
        """Put an adapter into the radio of this lab; its name, when it is powered."""
        command = [sys.executable, "-m", "tests.guest.inside.radio_bridge", lab.transport]
        return self.plug_program(command, BRIDGED)

    def plug_program(self, command: list[str], ready: str) -> str:
        """The same with a program that opens /dev/vhci and prints `ready`. It ends when the adapter is pulled."""
        before = adapters()
        bridge = Background(f"radio-{len(self._bridges)}", command, self._folder)
        bridge.wait_text(ready)
        name = until(lambda: adapters() - before, "an adapter of the kernel").pop()
        self._bridges[name] = bridge
        self.daemon.wait_powered(name)
        return name

    def share(self, adapter: str, program: Background) -> None:
        """Use an adapter that is plugged for several tests. Its program ends when the adapter is pulled."""
        self._shared[adapter] = program
        self.daemon.wait_powered(adapter)

    def unplug(self, adapter: str = "hci0") -> None:
        """Pull an adapter, and wait until the kernel has noticed."""
        (self._bridges.pop(adapter, None) or self._shared.pop(adapter)).stop()
        until(lambda: adapter not in adapters(), f"the end of {adapter}")

    def address(self, adapter: str = "hci0") -> str:
        """The adapter's own Bluetooth address."""
        return str(system_bus.adapter_property(adapter, "Address"))

    def radio_log(self, adapter: str = "hci0") -> str:
        """What the program behind this adapter has written."""
        return self._bridges[adapter].text

    def __enter__(self) -> BlueZ:
        self._monitor = Background("btmon", ["btmon", "-w", str(self._folder / "hci.snoop")], self._folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for adapter in list(self._bridges):
            self.unplug(adapter)
        if self._monitor is not None:
            self._monitor.stop()
        subprocess.run(["rfkill", "unblock", "bluetooth"], check=True)


def adapters() -> set[str]:
    """The names of the adapters that the kernel has."""
    return {entry.name for entry in ADAPTERS.iterdir() if ":" not in entry.name} if ADAPTERS.exists() else set()
