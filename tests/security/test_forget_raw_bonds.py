"""`bonds` and the keys of devices that were paired over a raw adapter: listed, and erased from the disk."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from installer import settings
from installer.bluetooth.hci.kept_keys import RawBond
from installer.bluetooth.hci.key_ring import KeyRing
from installer.cli.main import _main
from installer.errors import ErrorCode
from installer.flow.bluetooth_keys import BluetoothKeysFile

SCALE, CUFF, LAB_UNIT = "00:24:E4:00:00:01", "C0:24:E4:00:00:02", "00:24:E4:00:00:03"
RAW = ("--adapter", "hci:usb:0")


def keep(address: str, name: str, *, lab: bool = False) -> None:
    bond = RawBond((0, bytes.fromhex(address.replace(":", ""))[::-1]), name, bytes(range(16)))
    ring = KeyRing(BluetoothKeysFile.in_data_dir(lab=lab))
    asyncio.run(ring.add(bond, ring.identity()))


@pytest.fixture
def kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three bonds, on a computer without BlueZ; the file of two of them."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={home / 'none'}")
    keep(SCALE, "Scale")
    keep(CUFF, "Cuff\x1b[2J")
    keep(LAB_UNIT, "Body", lab=True)
    return settings.data_dir() / "bluetooth-keys.json"


def test_they_are_listed_also_where_the_system_cannot_be_asked(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(["bonds", "list", *RAW, "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["address"], one["adapter"], one["known"]) for one in told] == [
        (SCALE, "hci:", True),
        (CUFF, "hci:", True),
        (LAB_UNIT, "lab", True),
    ]
    assert _main(["bonds", "list"]) == ErrorCode.BLUETOOTH_MISSING.exit_status
    told_table, said = capsys.readouterr()
    assert SCALE in told_table
    assert "\x1b" not in told_table
    assert "Bluetooth" in said
    assert _main(["bonds", "list", "--adapter", "hci0"]) == ErrorCode.BLUETOOTH_MISSING.exit_status
    assert SCALE not in capsys.readouterr().out


def test_what_is_erased_is_gone_from_the_disk(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(["bonds", "forget", SCALE.lower(), "--dry-run"]) == 0
    assert SCALE in kept.read_text()
    assert _main(["bonds", "forget", SCALE.lower(), "--yes"]) == 0
    assert f"Erased: the keys of Scale {SCALE}" in capsys.readouterr().out
    assert SCALE not in kept.read_text()
    assert CUFF in kept.read_text()
    # The system's, which --all means too, cannot be asked.
    assert _main(["bonds", "forget", "--all", "--yes"]) == ErrorCode.BLUETOOTH_MISSING.exit_status
    left = [path for path in kept.parent.rglob("*") if path.is_file() and path.stat().st_size]
    assert not any(b"24:E4" in path.read_bytes() for path in left)
    assert not kept.exists()


def test_a_damaged_file_is_told_and_not_erased(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept.write_text("{")
    for command in (["list", *RAW], ["forget", SCALE, "--yes", *RAW]):
        assert _main(["bonds", *command]) == ErrorCode.SECRET_UNAVAILABLE.exit_status
        assert str(kept) in capsys.readouterr().err
    assert kept.read_text() == "{"
