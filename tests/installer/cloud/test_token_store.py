"""The token store: files, keyrings, their errors, and that clouds do not mix."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import keyring.core
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail, null
from keyring.errors import KeyringLocked, PasswordDeleteError

from installer.cloud.token_store import Application, StoredTokens, TokenStore
from installer.errors import ErrorCode, InstallerError
from tests.installer.cloud.world import ACCESS, REFRESH, everything_in, tokens

REAL = Application("https://wbsapi.withings.net", "real-client")
LAB = Application("http://127.0.0.1:4001", "lab-client")
Use = Callable[[KeyringBackend], None]
posix = pytest.mark.skipif(os.name != "posix", reason="modes and links as on POSIX")


class Good(KeyringBackend):
    """A keyring in memory."""

    priority = 5

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.entries.pop((service, username), None) is None:
            raise PasswordDeleteError


class Locked(Good):
    """A keyring that raises `error`."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.error = error

    def get_password(self, service: str, username: str) -> str | None:
        if self.error:
            raise self.error
        return super().get_password(service, username)

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.error:
            raise self.error
        super().set_password(service, username, password)


class Stuck(Good):
    """A keyring that waits for its user."""

    def __init__(self) -> None:
        super().__init__()
        self.release = threading.Event()

    def set_password(self, service: str, username: str, password: str) -> None:
        self.release.wait(30)


class Plain(Good):
    """A keyring with a low priority, which protects nothing."""

    priority = 0.5


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    monkeypatch.delenv("DEVICE_INSTALLER_KEYRING")

    def choose(backend: KeyringBackend) -> None:
        monkeypatch.setattr(keyring.core, "_keyring_backend", backend)

    return choose


def access(found: StoredTokens | None) -> str:
    assert found is not None
    return found.tokens.access_token.get_secret_value()


def only_file(folder: Path) -> Path:
    (path,) = folder.glob("*.json")
    return path


@posix
async def test_a_file_that_only_its_owner_can_read(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        stored = await TokenStore(tmp_path / "a" / "accounts").save(REAL, "default", tokens())
    finally:
        os.umask(old)
    path = only_file(tmp_path / "a" / "accounts")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.name.startswith("default.")
    assert str(path) in stored.stored_in
    found = await TokenStore(path.parent).load(REAL, "default")
    assert found == stored
    assert access(found) == ACCESS
    assert found is not None
    assert found.tokens.refresh_token.get_secret_value() == REFRESH


@posix
async def test_an_open_folder_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    await TokenStore(tmp_path).save(REAL, "default", tokens())
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


@posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o777])
async def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    store = TokenStore(tmp_path)
    await store.save(REAL, "default", tokens())
    path = only_file(tmp_path)
    path.chmod(mode)
    with pytest.raises(InstallerError) as caught:
        await store.load(REAL, "default")
    assert caught.value.code is ErrorCode.SECRET_UNAVAILABLE
    assert f"chmod 600 '{path}'" in caught.value.todo
    (listed,) = await store.list(REAL)
    assert "refused" in listed.stored_in
    assert listed.record.tokens is None
    assert await store.delete(REAL, "default")
    assert not path.exists()


@posix
async def test_a_link_in_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    store = TokenStore(tmp_path / "accounts")
    await store.save(REAL, "default", tokens())
    path = only_file(store.folder)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InstallerError):
        await store.load(REAL, "default")
    assert await store.list(REAL) == []


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b'{"version":2}', b"x" * 100_000, b'{"tokens":'])
async def test_a_damaged_file_means_signing_in_again(tmp_path: Path, content: bytes) -> None:
    store = TokenStore(tmp_path)
    await store.save(REAL, "default", tokens())
    path = only_file(tmp_path)
    path.write_bytes(content)
    with pytest.raises(InstallerError) as caught:
        await store.load(REAL, "default")
    assert caught.value.code is ErrorCode.ACCOUNT_UNKNOWN
    assert await store.list(REAL) == []
    await store.save(REAL, "default", tokens("again"))
    assert access(await store.load(REAL, "default")) == "again"


async def test_no_account(tmp_path: Path) -> None:
    store = TokenStore(tmp_path / "none")
    assert await store.load(REAL, "default") is None
    assert await store.list(REAL) == []
    assert await store.delete(REAL, "default") is False


async def test_accounts_of_different_clouds_and_applications_do_not_mix(tmp_path: Path) -> None:
    store = TokenStore(tmp_path)
    others = [Application("https://other.example", "real-client"), Application(REAL.cloud, "other-client"), LAB]
    await store.save(REAL, "default", tokens("real"))
    for n, other in enumerate(others):
        assert await store.load(other, "default") is None
        assert await store.list(other) == []
        assert await store.delete(other, "default") is False
        await store.save(other, "default", tokens(f"other-{n}"))
    assert access(await store.load(REAL, "default")) == "real"
    assert access(await store.load(others[1], "default")) == "other-1"
    assert await store.delete(others[1], "default")
    assert access(await store.load(REAL, "default")) == "real"


async def test_the_tokens_of_another_lab_are_not_used_but_replaced(tmp_path: Path) -> None:
    store = TokenStore(tmp_path)
    later = Application("http://127.0.0.1:4002", LAB.client_id)
    await store.save(LAB, "default", tokens("old"))
    assert await store.load(later, "default") is None
    assert await store.list(later) == []
    await store.save(later, "default", tokens("new"))
    assert len(list(tmp_path.glob("*.json"))) == 1
    assert await store.load(LAB, "default") is None


async def test_a_file_that_was_renamed_to_another_account_is_not_that_account(tmp_path: Path) -> None:
    store = TokenStore(tmp_path)
    await store.save(REAL, "one", tokens("one"))
    source = only_file(tmp_path)
    await store.save(REAL, "two", tokens("two"))
    target = next(p for p in tmp_path.glob("*.json") if p != source)
    source.replace(target)
    assert await store.load(REAL, "two") is None


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", ".", "..", "a/b", "a\\b", "CON", "Größe", "😀" * 64, "%2e", "a b", "x" * 64]
)
async def test_any_name_has_its_own_file_in_the_folder(tmp_path: Path, name: str) -> None:
    store = TokenStore(tmp_path / "accounts")
    await store.save(REAL, name, tokens())
    await store.save(REAL, "other", tokens("other"))
    assert access(await store.load(REAL, name)) == ACCESS
    assert {listed.record.name for listed in await store.list(REAL)} == {name, "other"}
    assert {p.parent for p in tmp_path.rglob("*.json")} == {tmp_path / "accounts"}


async def test_names_that_differ_only_in_capitals_have_files_that_differ_in_more(tmp_path: Path) -> None:
    store = TokenStore(tmp_path)
    await store.save(REAL, "Alex", tokens("upper"))
    await store.save(REAL, "alex", tokens("lower"))
    assert len({p.name.lower() for p in tmp_path.glob("*.json")}) == 2
    assert access(await store.load(REAL, "Alex")) == "upper"


@posix
async def test_a_save_that_fails_leaves_the_old_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = TokenStore(tmp_path)
    await store.save(REAL, "default", tokens("old"))

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InstallerError) as caught:
        await store.save(REAL, "default", tokens("new"))
    monkeypatch.undo()
    assert caught.value.code is ErrorCode.FILE_UNWRITABLE
    assert "No space left" in caught.value.what
    assert access(await store.load(REAL, "default")) == "old"
    assert [p.suffix for p in tmp_path.iterdir()] == [".json"]


async def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = TokenStore(tmp_path / "file" / "accounts")
    for attempt in (store.save(REAL, "default", tokens()), _locked(store)):
        with pytest.raises(InstallerError) as caught:
            await attempt
        assert caught.value.code is ErrorCode.FILE_UNWRITABLE


async def _locked(store: TokenStore) -> None:
    async with store.lock(REAL, "default"):
        pass


async def test_the_keyring_holds_the_tokens_and_the_file_only_says_so(tmp_path: Path, use: Use) -> None:
    backend = Good()
    use(backend)
    store = TokenStore(tmp_path)
    stored = await store.save(REAL, "default", tokens())
    assert "keyring" in stored.stored_in
    assert str(tmp_path) not in stored.stored_in
    assert ACCESS not in everything_in(tmp_path)
    assert REFRESH not in everything_in(tmp_path)
    assert access(await TokenStore(tmp_path).load(REAL, "default")) == ACCESS
    (listed,) = await TokenStore(tmp_path).list(REAL)
    assert (listed.record.name, listed.record.userid) == ("default", "7")
    assert "keyring" in listed.stored_in
    assert await TokenStore(tmp_path).delete(REAL, "default")
    assert backend.entries == {}
    assert list(tmp_path.glob("*.json")) == []


async def test_a_keyring_entry_that_is_gone_is_no_account(tmp_path: Path, use: Use) -> None:
    backend = Good()
    use(backend)
    await TokenStore(tmp_path).save(REAL, "default", tokens())
    backend.entries.clear()
    assert await TokenStore(tmp_path).load(REAL, "default") is None


@pytest.mark.parametrize("error", [KeyringLocked("no"), OSError("dbus"), ZeroDivisionError()])
async def test_a_keyring_that_refuses_gives_way_to_the_file(tmp_path: Path, use: Use, error: Exception) -> None:
    use(Locked(error))
    stored = await TokenStore(tmp_path).save(REAL, "default", tokens())
    assert "file" in stored.stored_in
    assert access(await TokenStore(tmp_path).load(REAL, "default")) == ACCESS


async def test_a_keyring_that_waits_for_ever_is_not_waited_for(tmp_path: Path, use: Use) -> None:
    backend = Stuck()
    use(backend)
    stored = await TokenStore(tmp_path, keyring_seconds=0.05).save(REAL, "default", tokens())
    backend.release.set()
    assert "file" in stored.stored_in


async def test_a_keyring_that_was_locked_meanwhile_is_an_error_that_says_what_to_do(tmp_path: Path, use: Use) -> None:
    backend = Locked()
    use(backend)
    await TokenStore(tmp_path).save(REAL, "default", tokens())
    backend.error = KeyringLocked(ACCESS)
    for attempt in (TokenStore(tmp_path).load(REAL, "default"), TokenStore(tmp_path).delete(REAL, "default")):
        with pytest.raises(InstallerError) as caught:
            await attempt
        assert caught.value.code is ErrorCode.SECRET_UNAVAILABLE
        assert "Unlock" in caught.value.todo
        assert ACCESS not in str(caught.value)
    # New tokens are saved all the same.
    await TokenStore(tmp_path).save(REAL, "default", tokens("renewed"))
    assert access(await TokenStore(tmp_path).load(REAL, "default")) == "renewed"


@pytest.mark.parametrize("backend", [fail.Keyring(), null.Keyring(), Plain()])
async def test_a_keyring_that_protects_nothing_is_none(tmp_path: Path, use: Use, backend: KeyringBackend) -> None:
    use(backend)
    assert "file" in (await TokenStore(tmp_path).save(REAL, "default", tokens())).stored_in
    with pytest.raises(InstallerError) as caught:
        await TokenStore(tmp_path, "keyring").save(REAL, "default", tokens("other"))
    assert caught.value.code is ErrorCode.SECRET_UNAVAILABLE
    assert access(await TokenStore(tmp_path).load(REAL, "default")) == ACCESS


async def test_the_keyring_can_be_switched_off(tmp_path: Path, use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Good()
    use(backend)
    monkeypatch.setenv("DEVICE_INSTALLER_KEYRING", "off")
    await TokenStore(tmp_path).save(REAL, "default", tokens())
    monkeypatch.delenv("DEVICE_INSTALLER_KEYRING")
    await TokenStore(tmp_path, "file").save(REAL, "other", tokens())
    assert backend.entries == {}


async def test_tokens_in_a_keyring_that_is_switched_off(
    tmp_path: Path, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(Good())
    await TokenStore(tmp_path).save(REAL, "default", tokens())
    monkeypatch.setenv("DEVICE_INSTALLER_KEYRING", "off")
    with pytest.raises(InstallerError) as caught:
        await TokenStore(tmp_path).load(REAL, "default")
    assert caught.value.code is ErrorCode.SECRET_UNAVAILABLE


def test_tokens_do_not_show_themselves() -> None:
    made = tokens()
    shown = f"{made} {made!r} {made.model_dump()} {made.model_dump_json()}"
    assert ACCESS not in shown
    assert REFRESH not in shown
