"""Wake requests for the gateway, and which devices it collects from."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.catalogue.catalogue_file import load
from installer.catalogue.model import Profile
from installer.errors import ErrorCode, InstallerError
from installer.gateway import devices, wake
from installer.gateway.files_and_lock import GatewayFiles
from installer.ledger.query_types import InstalledDevice

MAC, UUID = "00:24:E4:60:00:90", "12345678-90AB-CDEF-1234-567890ABCDEF"


@pytest.fixture
def files(tmp_path: Path) -> GatewayFiles:
    return GatewayFiles(tmp_path / "new")


def test_word_is_found_once_and_twice_is_once(files: GatewayFiles) -> None:
    assert wake.take_wake_requests(files.wake) == set()
    for address in (MAC, MAC.lower(), UUID, None):
        wake.wake(address, files=files)
    assert wake.take_wake_requests(files.wake) == {MAC, UUID, wake.ALL_DEVICES}
    assert wake.take_wake_requests(files.wake) == set()


@pytest.mark.parametrize("address", ["", "../../etc/passwd", "00:24:E4", f"{MAC}\n", "all", "00:24:E4:60:00:9G"])
def test_what_is_no_address_is_refused(files: GatewayFiles, address: str) -> None:
    with pytest.raises(InstallerError) as caught:
        wake.wake(address, files=files)
    assert caught.value.code is ErrorCode.USAGE
    assert not files.wake.exists()


def test_a_flood_of_addresses_does_not_fill_the_disk(files: GatewayFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wake, "MAX_WAKE_FILES", 10)
    for number in range(50):
        wake.wake(f"00:00:00:00:00:{number:02X}", files=files)
    found = wake.take_wake_requests(files.wake)
    assert len(found) == 11
    assert wake.ALL_DEVICES in found


@given(st.text(max_size=40))
def test_no_text_leaves_a_file_elsewhere(text: str) -> None:
    folder = Path("/nonexistent/gateway")
    with pytest.raises(InstallerError):
        wake.wake(text, files=GatewayFiles(folder))


def test_installed_devices_with_a_health_profile_are_collected_from() -> None:
    installed = [
        InstalledDevice("00:24:e4:60:00:90", "move", "Move", "alex", "1"),
        InstalledDevice("00:24:E4:00:00:01", "no-longer-in-the-catalogue", "", None, "2"),
        InstalledDevice("00:24:E4:00:00:02", "body", "", None, "3"),
    ]
    found = devices.installed_devices(installed, load())
    assert [(t.address, t.model, t.name, t.account) for t in found] == [
        (MAC, "move", "Move", "alex"),
        ("00:24:E4:00:00:02", "body", "Body", ""),
    ]
    assert found[0].profiles[0] is Profile.STEPS
    assert Profile.BODY_COMPOSITION in found[1].profiles
    # Sent live without end.
    assert all(Profile.HEART_RATE not in t.profiles for t in found)


def test_a_named_device_that_is_installed_needs_no_profile_and_another_one_does() -> None:
    known = devices.installed_devices([InstalledDevice(MAC, "move", "Move", "alex", "1")], load())
    assert devices.selected_devices([MAC.lower()], [], known) == known
    (other,) = devices.selected_devices(["f0:00:00:00:00:01", "F0:00:00:00:00:01"], ["Heart-Rate"], known)
    assert (other.address, other.profiles) == ("F0:00:00:00:00:01", (Profile.HEART_RATE,))
    with pytest.raises(InstallerError) as caught:
        devices.selected_devices(["F0:00:00:00:00:01"], [], known)
    assert "--profile" in caught.value.todo


def test_an_installed_device_whose_model_nobody_knows_is_told() -> None:
    from installer.catalogue import catalogue_file
    from installer.gateway.devices import left_out
    from installer.ledger.query_types import InstalledDevice

    installed = [
        InstalledDevice("F0:00:00:00:00:01", "body", "Body", None, "1"),
        InstalledDevice("F0:00:00:00:00:02", "kitchen-scale", "Scale", None, "2"),
    ]
    [error] = left_out(installed, catalogue_file.load())
    assert "Scale F0:00:00:00:00:02" in error.what
    assert "“kitchen-scale” is not in the catalogue" in error.what
    assert "--catalogue" in error.todo
