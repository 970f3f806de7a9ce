"""Saved networks: the file, which never contains a passphrase."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer.answers import NetworkAnswer
from installer.errors import ErrorCode, InstallerError
from installer.storage.secret_references import SecretRef
from installer.wifi import saved_networks
from installer.wifi.networks import Security
from installer.wifi.saved_networks import SavedNetwork, check_name, find, load, save


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEVICE_INSTALLER_CONFIG_DIR", str(tmp_path / "config"))
    return tmp_path / "config"


NETWORKS = {
    "clinic": SavedNetwork(ssid="Clinic", security=Security.WPA2, passphrase=SecretRef(keyring="clinic")),
    "Zoë's 🏠 [1]": SavedNetwork(ssid='a"b\\c = {', hidden=True, passphrase=SecretRef(env="HOME_PASSPHRASE")),
    "guests": SavedNetwork(ssid="Guests", security=Security.OPEN),
}


def test_without_a_file_there_are_none() -> None:
    assert load() == {}


def test_what_is_saved_is_loaded_in_the_same_order(folder: Path) -> None:
    save(NETWORKS)
    assert list(load().items()) == list(NETWORKS.items())
    assert [p.name for p in folder.iterdir()] == ["networks.toml"]
    assert saved_networks.path().stat().st_mode & 0o077 == 0


def test_a_saved_network_is_an_answer_of_the_network_step() -> None:
    save(NETWORKS)
    answer = NetworkAnswer.from_saved(find("clinic"))
    assert (answer.ssid, answer.security, answer.hidden) == ("Clinic", Security.WPA2, False)
    assert answer.passphrase == SecretRef(keyring="clinic")
    # Without a value in the file, the device's scan decides.
    assert NetworkAnswer.from_saved(find("Zoë's 🏠 [1]")).security is None


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InstallerError, match="networks add"):
        find("home")
    save(NETWORKS)
    with pytest.raises(InstallerError, match=r"home.*clinic, Zoë's 🏠.*guests") as caught:
        find("home")
    assert caught.value.code is ErrorCode.ANSWERS_INVALID


def write(text: str) -> None:
    saved_networks.path().parent.mkdir(parents=True, exist_ok=True)
    saved_networks.path().write_text(text, "utf-8")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            '[networks.a]\nssid = "A"\npassphrase = "correct horse"',
            "contains a passphrase in plain text (networks.a.passphrase)",
        ),
        ('[networks.a]\nssid = "A"\nsecret = "correct horse"', "there is no such key"),
        ('[networks.a]\nsecurity = "wpa2"', "networks.a.ssid: is missing"),
        ('[networks.a]\nssid = ""', "empty"),
        (f'[networks.a]\nssid = "{"x" * 33}"', "33 bytes"),
        ('[networks.a]\nssid = "A"\nsecurity = "wpa4"', "networks.a.security"),
        ("networks = 7", "networks"),
        ("version = 2", "version"),
    ],
)
def test_a_wrong_file_says_what_is_wrong_and_repeats_no_passphrase(text: str, says: str) -> None:
    write(text)
    with pytest.raises(InstallerError) as caught:
        load()
    assert caught.value.code is ErrorCode.SETTINGS_INVALID
    assert says in caught.value.what
    assert "correct horse" not in str(caught.value)


def test_a_network_that_no_device_can_join_is_refused_before_it_is_used() -> None:
    write('[networks.corp]\nssid = "Corp"\nsecurity = "enterprise"')
    with pytest.raises(InstallerError, match="company network") as caught:
        find("corp")
    assert caught.value.code is ErrorCode.NETWORK_UNSUPPORTED


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.joinpath("file").touch()
    monkeypatch.setenv("DEVICE_INSTALLER_CONFIG_DIR", str(tmp_path / "file" / "config"))
    with pytest.raises(InstallerError, match="cannot be written") as caught:
        save(NETWORKS)
    assert caught.value.code is ErrorCode.FILE_UNWRITABLE


def test_a_failed_write_leaves_the_old_file_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(NETWORKS)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InstallerError, match="No space left"):
        save({})
    assert load() == NETWORKS
    assert [p.name for p in folder.iterdir()] == ["networks.toml"]


@pytest.mark.parametrize("name", ["clinic", "Zoë's 🏠", "a b", "x" * 64])
def test_a_possible_name(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", " ", "a ", "x" * 65, "a\nb", "\x1b[31m"])
def test_an_impossible_name(name: str) -> None:
    with pytest.raises(InstallerError, match="cannot be the name"):
        check_name(name)
