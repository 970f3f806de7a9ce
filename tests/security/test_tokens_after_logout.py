"""After a sign-out no tokens of the account are on this computer, or the program says where some may be."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import keyring.core
import pytest

from installer.cli.main import _main
from installer.cloud.account_file import Application
from installer.cloud.token_store import TokenStore
from installer.errors import ErrorCode, InstallerError
from installer.storage.stale_files import STALE_SECONDS, sweep_folders
from tests.installer.cloud.conftest import _own_home
from tests.installer.cloud.test_token_store import Good, Locked
from tests.installer.cloud.world import ACCESS, everything_in, tokens

__all__ = ["_own_home"]

REAL = Application("https://wbsapi.withings.net", "real-client")
Switch = Callable[[bool], None]


@pytest.fixture
def switch(monkeypatch: pytest.MonkeyPatch) -> Switch:
    """`switch(on)`: use the system's keyring, or not."""

    def turn(on: bool) -> None:
        monkeypatch.delenv("DEVICE_INSTALLER_KEYRING", raising=False)
        if not on:
            monkeypatch.setenv("DEVICE_INSTALLER_KEYRING", "off")

    return turn


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch, switch: Switch) -> Locked:
    made = Locked()
    monkeypatch.setattr(keyring.core, "_keyring_backend", made)
    switch(True)
    return made


def account_file(folder: Path) -> Path:
    (path,) = folder.glob("*.json")
    return path


async def earlier_sign_in(folder: Path, backend: Good) -> None:
    """The tokens of an earlier sign-in are in the keyring."""
    await TokenStore(folder).save(REAL, "erika", tokens())
    assert len(backend.entries) == 1


async def a_later_one_with_the_keyring_off(folder: Path, backend: Locked, switch: Switch) -> None:
    switch(False)
    await TokenStore(folder).save(REAL, "erika", tokens("later"))
    switch(True)


async def a_later_one_that_the_keyring_refused(folder: Path, backend: Locked, switch: Switch) -> None:
    backend.error = OSError("dbus")
    await TokenStore(folder).save(REAL, "erika", tokens("later"))
    backend.error = None


async def a_later_one_into_the_file(folder: Path, backend: Locked, switch: Switch) -> None:
    await TokenStore(folder, "file").save(REAL, "erika", tokens("later"))


async def an_emptied_file(folder: Path, backend: Locked, switch: Switch) -> None:
    account_file(folder).write_bytes(b"")


async def a_deleted_file(folder: Path, backend: Locked, switch: Switch) -> None:
    account_file(folder).unlink()


async def a_file_of_an_older_version(folder: Path, backend: Locked, switch: Switch) -> None:
    await a_later_one_with_the_keyring_off(folder, backend, switch)
    path = account_file(folder)
    path.write_text(path.read_text().replace('"left_in_keyring"', '"unknown_then"'))


BETWEEN = [
    a_later_one_with_the_keyring_off,
    a_later_one_that_the_keyring_refused,
    a_later_one_into_the_file,
    an_emptied_file,
    a_deleted_file,
    a_file_of_an_older_version,
]


@pytest.mark.parametrize("between", BETWEEN)
async def test_a_sign_out_deletes_the_entry_whatever_the_file_says(
    tmp_path: Path, backend: Locked, switch: Switch, between: Callable[..., object]
) -> None:
    await earlier_sign_in(tmp_path, backend)
    await between(tmp_path, backend, switch)  # type: ignore[misc]
    deletion = await TokenStore(tmp_path).delete(REAL, "erika")
    assert (deletion.found, deletion.may_remain, backend.entries) == (True, "", {})
    assert list(tmp_path.glob("*.json")) == []
    assert not (await TokenStore(tmp_path).delete(REAL, "erika")).found


async def test_tokens_in_the_file_end_those_in_the_keyring(tmp_path: Path, backend: Locked) -> None:
    await earlier_sign_in(tmp_path, backend)
    await TokenStore(tmp_path, "file").save(REAL, "erika", tokens("later"))
    assert backend.entries == {}


@pytest.mark.parametrize("off", [True, False])
async def test_what_is_known_to_remain_is_a_failure_until_it_is_gone(
    tmp_path: Path, backend: Locked, switch: Switch, off: bool
) -> None:
    await earlier_sign_in(tmp_path, backend)
    await a_later_one_with_the_keyring_off(tmp_path, backend, switch)
    switch(not off)
    backend.error = None if off else OSError("dbus")
    for _ in range(2):
        with pytest.raises(InstallerError, match="still in the keyring") as caught:
            await TokenStore(tmp_path).delete(REAL, "erika")
        assert caught.value.code is ErrorCode.SECRET_UNAVAILABLE
        assert f"account:{account_file(tmp_path).stem}" in caught.value.todo
    assert "later" not in everything_in(tmp_path)  # what can be removed is removed
    switch(True)
    backend.error = None
    assert (await TokenStore(tmp_path).delete(REAL, "erika")).found
    assert backend.entries == {}
    assert list(tmp_path.glob("*.json")) == []


def test_the_person_is_told_what_may_remain(
    backend: Locked, switch: Switch, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import asyncio

    from installer import settings

    monkeypatch.setenv("DEVICE_INSTALLER_CLIENT_ID", "real-client")
    folder = settings.data_dir() / "accounts"
    application = Application.of(settings.load().cloud)
    asyncio.run(TokenStore(folder).save(application, "erika", tokens()))
    path = account_file(folder)
    path.write_bytes(b"")
    switch(False)
    assert _main(["account", "logout", "erika"]) == 0
    assert f"account:{path.stem}" in capsys.readouterr().err
    switch(True)
    assert _main(["account", "logout", "erika"]) == 0
    assert backend.entries == {}
    assert path.stem not in capsys.readouterr().err


async def test_a_computer_without_a_keyring_is_told_nothing_about_one(tmp_path: Path, switch: Switch) -> None:
    switch(False)
    store = TokenStore(tmp_path)
    await store.save(REAL, "erika", tokens())
    await store.save(REAL, "erika", tokens("renewed"))
    assert (await store.delete(REAL, "erika")).may_remain == ""


def left_by_a_kill(path: Path) -> Path:
    """What a kill before the renaming leaves of this file."""
    left = path.with_name(f".{path.name}.0a1b2c3d.tmp")
    left.write_bytes(path.read_bytes())
    return left


@pytest.mark.parametrize("again", ["save", "delete"])
async def test_what_a_killed_sign_in_left_goes_with_the_next_one_and_with_the_sign_out(
    tmp_path: Path, switch: Switch, again: str
) -> None:
    switch(False)
    store = TokenStore(tmp_path)
    for name in ("erika", "other"):
        await store.save(REAL, name, tokens())
    erika, other = sorted(tmp_path.glob("*.json"))
    left, of_another = left_by_a_kill(erika), left_by_a_kill(other)
    if again == "save":
        await store.save(REAL, "erika", tokens("again"))
    else:
        assert (await store.delete(REAL, "erika")).found
    assert not left.exists()
    assert of_another.exists()  # another run may be writing it


def test_a_sweep_takes_old_temporary_files_of_this_program_only(tmp_path: Path) -> None:
    folder = tmp_path / "accounts"
    folder.mkdir()
    old = [folder / ".erika.json.0a1b2c3d.tmp", tmp_path / ".gateway.json.00000000.tmp"]
    kept = [folder / name for name in (".erika.json.tmp", "erika.json", "a.0a1b2c3d.tmp", ".erika.json.0a1b2c3d")]
    young = folder / ".ben.json.0a1b2c3d.tmp"
    outside = tmp_path / "outside.json"
    for path in (*old, *kept, young, outside):
        path.write_text(ACCESS)
        if path != young:
            os.utime(path, (1, path.stat().st_mtime - STALE_SECONDS - 1))
    link = folder / ".link.json.0a1b2c3d.tmp"
    link.symlink_to(outside)
    assert sweep_folders([tmp_path]) == len(old)
    assert all(path.exists() for path in (*kept, young, outside, link))
    assert not any(path.exists() for path in old)


async def test_no_lock_keeps_the_name_of_a_person(tmp_path: Path, switch: Switch) -> None:
    switch(False)
    store = TokenStore(tmp_path)
    async with store.lock(REAL, "erika"):
        await store.save(REAL, "erika", tokens())
        account_file(tmp_path).with_suffix(".lock").touch()  # as an older version left it
        await store.delete(REAL, "erika")
    assert [path.name for path in tmp_path.iterdir() if "erika" in path.name] == []
