"""`networks remove` leaves no passphrase in the keyring, and no kill leaves one that no command knows of."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer.cli import networks
from installer.cli.main import _main
from installer.errors import ErrorCode
from installer.storage.keyring import KeyringSilent, SystemKeyring
from installer.wifi import saved_networks
from tests.flow.support import PASSPHRASE
from tests.flow.test_networks import memory, save
from tests.installer.storage.test_secret_references import MemoryKeyring

__all__ = ["memory"]

ENTRY = ("device-installer", "network:clinic")
UNAVAILABLE = ErrorCode.SECRET_UNAVAILABLE.exit_status


class Killed(BaseException):
    """Stands for a kill: nothing that follows is done."""


@pytest.fixture
def clinic(home: Path, memory: MemoryKeyring, monkeypatch: pytest.MonkeyPatch) -> MemoryKeyring:
    monkeypatch.delenv("DEVICE_INSTALLER_KEYRING", raising=False)
    assert save(monkeypatch, "clinic", "--security", "wpa2") == 0
    assert memory.entries == {ENTRY: PASSPHRASE}
    return memory


@pytest.mark.parametrize(
    "command",
    [
        ["remove", "clinic"],
        ["add", "clinic", "--replace", "--passphrase-env", "CLINIC"],
        ["add", "clinic", "--replace", "--security", "open"],
    ],
)
def test_with_the_keyring_off_the_network_stays_as_long_as_its_passphrase(
    clinic: MemoryKeyring, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    monkeypatch.setenv("DEVICE_INSTALLER_KEYRING", "off")
    for _ in range(2):
        assert _main(["networks", *command]) == UNAVAILABLE
        assert "“network:clinic”" in capsys.readouterr().err
    monkeypatch.delenv("DEVICE_INSTALLER_KEYRING")
    assert _main(["networks", *command]) == 0
    assert clinic.entries == {}


def test_a_passphrase_that_no_file_names_is_removed_by_its_name(
    clinic: MemoryKeyring, capsys: pytest.CaptureFixture[str]
) -> None:
    saved_networks.path().unlink()
    assert _main(["networks", "remove", "clinic"]) == 0
    assert clinic.entries == {}
    assert _main(["networks", "remove", "clinic"]) == ErrorCode.ANSWERS_INVALID.exit_status


@pytest.mark.parametrize("before", ["new", "saved"])
def test_what_a_silent_keyring_may_still_store_is_named_in_the_file(
    home: Path,
    memory: MemoryKeyring,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    before: str,
) -> None:
    monkeypatch.delenv("DEVICE_INSTALLER_KEYRING", raising=False)
    if before == "saved":
        assert save(monkeypatch, "clinic", "--security", "wpa2") == 0

    async def silent(_keyring: SystemKeyring, entry: str, secret: str) -> None:
        memory.set_password("device-installer", entry, secret)  # it does it after the deadline
        raise KeyringSilent("no answer within 20 s; it may be locked")

    monkeypatch.setattr(SystemKeyring, "set", silent)
    assert save(monkeypatch, "clinic", "--replace") == UNAVAILABLE
    error = capsys.readouterr().err
    assert "may have been saved" in error
    assert "networks remove clinic" in error
    assert "clinic" in saved_networks.load()
    assert _main(["networks", "remove", "clinic"]) == 0
    assert memory.entries == {}


def test_a_silent_keyring_may_still_remove_a_passphrase(
    clinic: MemoryKeyring, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def silent(_keyring: SystemKeyring, _entry: str) -> bool:
        raise KeyringSilent("no answer within 20 s; it may be locked")

    monkeypatch.setattr(SystemKeyring, "delete", silent)
    assert _main(["networks", "remove", "clinic"]) == UNAVAILABLE
    error = capsys.readouterr().err
    assert "may be removed later" in error
    assert "Nothing was changed" not in error
    assert "clinic" in saved_networks.load()


def run(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if command == "remove":
        _main(["networks", "remove", "clinic"])
    elif command == "replace without":
        _main(["networks", "add", "clinic", "--replace", "--security", "open"])
    else:
        save(monkeypatch, "clinic", "--replace", "--ssid", "New")


@pytest.mark.parametrize("step", ["keyring", "file"])
@pytest.mark.parametrize("command", ["add", "replace", "replace without", "remove"])
def test_a_kill_at_any_step_leaves_no_passphrase_that_the_file_does_not_name(
    home: Path, memory: MemoryKeyring, monkeypatch: pytest.MonkeyPatch, command: str, step: str
) -> None:
    monkeypatch.delenv("DEVICE_INSTALLER_KEYRING", raising=False)
    if command != "add":
        assert save(monkeypatch, "clinic", "--security", "wpa2") == 0

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as at:
        if step == "file":
            at.setattr(networks, "_save", killed)
        else:
            at.setattr(SystemKeyring, "set", killed)
            at.setattr(SystemKeyring, "delete", killed)
        with pytest.raises(Killed):
            run(command, monkeypatch)
    if ENTRY in memory.entries:
        assert "clinic" in saved_networks.load()
    # The next command ends it in any case.
    _main(["networks", "remove", "clinic"])
    assert memory.entries == {}
    assert saved_networks.load() == {}
