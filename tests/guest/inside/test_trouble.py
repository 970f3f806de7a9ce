"""What a person reads when Bluetooth cannot be used: the right words and exit status for each reason."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flow.support import LabWorld
from tests.guest.inside import system_bus
from tests.guest.inside.bluetooth_daemon import BluetoothDaemon
from tests.guest.inside.bluez import BlueZ
from tests.guest.inside.program import Program
from tests.guest.inside.waiting import until

MISSING, OFF, DENIED = 10, 11, 12


def scan(program: Program, **variables: str) -> tuple[int, str]:
    done = program.run("scan", "--adapter", "system", **variables)
    assert "Traceback" not in done.errors, done
    return done.status, done.errors


def test_no_adapter(daemon: BluetoothDaemon, program: Program) -> None:
    assert scan(program)[0] == MISSING


def test_no_bluetooth_service(program: Program) -> None:
    assert scan(program)[0] == MISSING


def test_no_bus(program: Program) -> None:
    assert scan(program, DBUS_SYSTEM_BUS_ADDRESS="unix:path=/nonexistent")[0] == MISSING


def test_switched_off(bluez: BlueZ, program: Program) -> None:
    bluez.daemon.power(False)
    assert scan(program)[0] == OFF


def test_blocked_by_rfkill(bluez: BlueZ, program: Program) -> None:
    subprocess.run(["rfkill", "block", "bluetooth"], check=True)
    until(lambda: system_bus.adapter_property("hci0", "Powered") is False, "hci0 blocked")
    assert scan(program)[0] == OFF


@pytest.fixture
def closed_to_others() -> Iterator[None]:
    """Bluetooth is closed to the user `person`, as an administrator can do it. Debian 13 lets everybody in."""
    policy = Path("/etc/dbus-1/system.d/closed.conf")
    policy.write_text(
        '<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" '
        '"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">\n'
        '<busconfig><policy user="person"><deny send_destination="org.bluez"/></policy></busconfig>\n',
        "utf-8",
    )
    system_bus.reload_policies()
    yield
    policy.unlink()
    system_bus.reload_policies()


def test_a_user_who_may_not(closed_to_others: None, bluez: BlueZ, world: LabWorld, program: Program) -> None:
    for path in (program.home, *program.home.rglob("*")):
        os.chown(path, 1000, 1000)
    for folder in program.home.parents:
        if folder.stat().st_uid == 0 and str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    program.user = "person"
    program.variables["HOME"] = str(program.home)
    assert scan(program)[0] == DENIED
