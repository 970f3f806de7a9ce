"""Fixtures of the guest. Each test gets its own bluetoothd without memories, and leaves nothing running.

`bluez`     bluetoothd with hci0 in the lab's radio; `bluez.plug(lab)` adds hci1, `bluez.unplug("hci0")` pulls one
`lab`       the lab's process, its world as the scenario has it; its devices are heard by hci0
`world`     the same as the one that `--lab` finds: its devices and switches
`peripherals`  Bumble peripherals of every kind of pairing, instead of the lab: `peripherals["passkey"].advertise()`
`program`   runs `device-installer`; `--lab` finds the lab
`evidence`  a folder; what is in it is brought out of the guest if the test fails
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from installer.flow import lab_process
from tests.flow.support import PASSPHRASE, PROOF, LabWorld, use
from tests.forked import preload
from tests.guest.inside.access_point import AccessPoint
from tests.guest.inside.background import Background
from tests.guest.inside.bluetooth_daemon import BluetoothDaemon
from tests.guest.inside.bluez import BlueZ, adapters
from tests.guest.inside.peripheral_control import READY as PERIPHERALS_READY
from tests.guest.inside.peripheral_control import Peripherals
from tests.guest.inside.program import Program
from tests.guest.inside.waiting import until
from tests.installer.lab import lab_process as lab_processes
from tests.installer.lab.lab_process import LabProcess
from tests.proof.forking import PRELOADED

# What an installation over BlueZ uses.
preload(
    (
        *PRELOADED,
        *("bleak.backends.bluezdbus.client", "bleak.backends.bluezdbus.scanner", "dbus_fast.aio", "pytest"),
        *("_pytest.main", "installer.bluetooth.system_adapter", "installer.bluetooth.bluez.watch"),
        *("installer.bluetooth.bluez.pair", "installer.bluetooth.bluez.agent", "installer.bluetooth.noted_client"),
        *("installer.cli.main", "installer.cli.scripted_front_end", "installer.batch.runner"),
        "installer.flow.bluetooth_keys",
    )
)
lab_processes.START_SECONDS = 120.0  # emulated, and the first start compiles what it imports
LOGS = Path("/out/logs")
SO_TIMESTAMP = 29  # asm-generic/socket.h; the module socket has no name for it
KERNEL_FAULT = re.compile(r"BUG:|Oops|general protection|kernel NULL pointer|WARNING: CPU|soft lockup|refcount_t")
_failed = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if report.failed:
        item.stash[_failed] = True
        with (LOGS.parent / "failures").open("a", encoding="utf-8") as told:
            told.write(f"{report.nodeid} ({report.when}, {report.duration:.0f} s)\n{report.longreprtext}\n\n\n")
    return report


@pytest.fixture(autouse=True)
def evidence(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """The test's folder for logs; the kernel's own lines are added, and a fault of the kernel fails the test."""
    folder = tmp_path / "evidence"
    folder.mkdir()
    subprocess.run(["dmesg", "--clear"], check=True)
    yield folder
    kernel = subprocess.run(["dmesg"], check=True, capture_output=True, text=True).stdout
    (folder / "kernel.log").write_text(kernel, "utf-8")
    fault = KERNEL_FAULT.search(kernel)
    if fault or request.node.stash.get(_failed, False):
        shutil.copytree(
            folder, LOGS / re.sub(r"[^\w.-]+", "-", request.node.nodeid.rpartition("/")[2]), dirs_exist_ok=True
        )
    assert not fault, f"the kernel reports a fault of its own, so later results are in doubt:\n{kernel}"


@pytest.fixture(scope="session", autouse=True)
def _time_stamps() -> Iterator[None]:
    """btmon wants time stamps on packets. Linux patches its own code when the first socket wants them and when the last
    one is closed, which under QEMU's emulation of two processors has ended in a fault of the kernel (`Oops: int3`).
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMP, 1)
        yield


# Beside the default world: units of the other protocols, a scale that wants to be paired and hangs up when it has told
# what it knows, and a retail unit with a person and the vendor's app.
HANGS_UP = "00:24:E4:10:00:98"
MORE = f"""
[[device]]
model = "shelly"
address = "A8:03:2A:BE:54:DC"

[[device]]
model = "nordic"
address = "F4:CE:36:00:00:01"

[[device]]
model = "generic"
address = "7C:DF:A1:00:00:C0"
name = "PROV_0000C0"
espressif = {{ security = 0 }}

[[device]]
model = "body"
address = "{HANGS_UP}"
name = "Body 98"
bonding = "just-works"
timing = {{ measure_after = "never" }}
reading = {{ hangs_up = 0.5, clock = "settable" }}

[[device]]
model = "body"
address = "00:24:E4:10:00:99"
name = "Body 99"
improv = false
vendor_app_after = 0.5
vendor_app_network = "Home"

"""


def lab_scenario() -> str:
    """The default world without bystanders, and MORE. Advertising often would take the guest's processor for itself."""
    text = resources.files("assets").joinpath("default-scenario.toml").read_text("utf-8")
    for usual, ours in (
        ("bystanders = 6", "bystanders = 0"),
        ("advertising_interval = 0.1 ", "advertising_interval = 0.4 "),
    ):
        assert usual in text, usual
        text = text.replace(usual, ours)
    return text.replace("# Networks.", MORE + "# Networks.", 1)


@pytest.fixture(scope="session")
def _guests_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    with LabProcess(tmp_path_factory.mktemp("lab"), lab_scenario()) as lab:
        yield lab


@pytest.fixture
def lab(_guests_lab: LabProcess) -> LabProcess:
    """The default world, reset; the same process for all tests."""
    _guests_lab.call_now("POST", "/lab/reset")
    return _guests_lab


@pytest.fixture
def daemon(evidence: Path) -> Iterator[BluetoothDaemon]:
    """bluetoothd without any memory, running; no adapter yet."""
    made = BluetoothDaemon(evidence)
    made.forget_everything()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def bare_bluez(daemon: BluetoothDaemon, evidence: Path) -> Iterator[BlueZ]:
    """bluetoothd and no adapter: the test plugs its own."""
    with BlueZ(daemon, evidence) as made:
        yield made


@pytest.fixture
def bluez(bare_bluez: BlueZ, lab: LabProcess) -> BlueZ:
    """bluetoothd with hci0, powered, in the radio of `lab`."""
    bare_bluez.plug(lab)
    return bare_bluez


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the program keeps everything; the passphrase and the proof are in variables."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(folder))
    monkeypatch.setenv("TEST_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("TEST_PROOF", PROOF)
    return folder


@pytest.fixture
def world(home: Path, lab: LabProcess) -> LabWorld:
    """The same lab, as the one that `--lab` finds; its devices and switches."""
    state = lab_process.read_state(lab.state_file)
    assert state is not None
    found = LabWorld(state)
    use(found, lab.state_file)
    return found


@pytest.fixture
def program(home: Path, evidence: Path) -> Iterator[Program]:
    """The program, with a home of the test's own."""
    made = Program(home, evidence)
    yield made
    made.end()


class _PeripheralProgram:
    """The program with the peripherals. It takes long to start, so the tests of a module share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: Background | None = None
        self.in_doubt = False

    def fresh(self) -> Background:
        """Running, with peripherals as they are when it starts. A test may have ended it by pulling its adapter, and
        after a failed one it is started anew: what is left of that must not fail the next.
        """
        if self.in_doubt:
            self.end()
            self.in_doubt = False
        if self._running is not None and self._running.running:
            Peripherals().reset()
        else:
            before = adapters()
            command = [sys.executable, "-m", "tests.guest.inside.pairing_peripherals"]
            self._running = Background("peripherals", command, self._folder)
            self._running.wait_text(PERIPHERALS_READY)
            until(lambda: adapters() - before, "an adapter of the kernel")
        return self._running

    def end(self) -> None:
        if self._running is not None:
            self._running.stop()
            until(lambda: not adapters(), "the end of the adapter")


@pytest.fixture(scope="module")
def _peripheral_program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_PeripheralProgram]:
    made = _PeripheralProgram(tmp_path_factory.mktemp("peripherals"))
    yield made
    made.end()


@pytest.fixture
def peripherals(
    request: pytest.FixtureRequest, _peripheral_program: _PeripheralProgram, bare_bluez: BlueZ, evidence: Path
) -> Iterator[Peripherals]:
    """Peripherals that pair, heard by hci0; `DEVICES` of pairing_peripherals.py names them. None advertises yet."""
    program = _peripheral_program.fresh()
    bare_bluez.share("hci0", program)
    yield Peripherals()
    (evidence / "peripherals.log").write_text(program.text, "utf-8")
    _peripheral_program.in_doubt = request.node.stash.get(_failed, False)


@pytest.fixture
def access_point(evidence: Path) -> Iterator[AccessPoint]:
    """A real access point (hostapd) on wlan0 of a simulated air; wlan1 is for a device, wlan2 for a computer."""
    with AccessPoint(evidence) as made:
        yield made
