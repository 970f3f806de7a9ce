"""The token store: files, keyrings, their errors, and that clouds do not mix."""

from __future__ import annotations

import os
import re
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import keyring.core
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail, null
from keyring.errors import KeyringLocked, PasswordDeleteError

from installer.cloud.account_file import Application
from installer.cloud.token_store import StoredTokens, TokenStore
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


def copied(path: Path) -> bytes:
    content = path.read_bytes()
    path.unlink()
    return content


def linked(path: Path, target: Path) -> None:
    path.rename(target)
    path.symlink_to(target)


def of_another_owner(path: Path) -> None:
    os.chown(path, 12345, -1)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda p: p.write_bytes(b""), "is empty"),
    "cut": (lambda p: p.write_bytes(p.read_bytes()[:40]), "is damaged"),
    "no object": (lambda p: p.write_bytes(b"[]"), "is damaged"),
    "no text": (lambda p: p.write_bytes(b"\xff\xfe\x00"), "is damaged"),
    "another version": (lambda p: p.write_bytes(b'{"version":2}'), "of another version"),
    "too long": (lambda p: p.write_bytes(b"x" * 100_000), "longer than 65536 bytes"),
    "without tokens": (lambda p: p.write_bytes(re.sub(rb',\s*"tokens": {.*?}', b"", p.read_bytes(), flags=re.S)),
                       "its tokens are missing"),
    "another account": (lambda p: p.write_bytes(p.read_bytes().replace(b'"name": "alex"', b'"name": "sam"')),
                        "holds the tokens of another account"),
    "folder": (lambda p: copied(p) and p.mkdir(), "is a folder"),
    "link": (lambda p: linked(p, p.with_name("elsewhere")), "is a link"),
    "broken link": (lambda p: copied(p) and p.symlink_to("nowhere"), "is a link"),
    "read by others": (lambda p: p.chmod(0o640), "can be read by others"),
    "written by others": (lambda p: p.chmod(0o602), "can be read by others"),
}  # fmt: skip
if hasattr(os, "mkfifo"):
    DAMAGES["pipe"] = (lambda p: copied(p) and os.mkfifo(p), "is no file")
if hasattr(os, "geteuid") and os.geteuid() == 0:
    DAMAGES["another owner"] = (of_another_owner, "belongs to another user")


@posix
@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_file_that_cannot_be_used_is_a_damaged_account_and_none_that_is_absent(
    tmp_path: Path, damage: str
) -> None:
    store = TokenStore(tmp_path)
    await store.save(REAL, "alex", tokens())
    path = only_file(tmp_path)
    await store.save(REAL, "healthy", tokens("healthy"))
    make, words = DAMAGES[damage]
    make(path)
    with pytest.raises(InstallerError) as caught:
        await store.load(REAL, "alex")
    error = caught.value
    assert (error.code, error.data["damaged"]) == (ErrorCode.SECRET_UNAVAILABLE, True)
    assert words in error.what
    assert str(path) in error.what
    assert ACCESS not in f"{error} {error.data}"
    listed = {one.name: one.damage for one in await store.list(REAL)}
    assert listed["healthy"] is None
    if damage == "another account":  # nobody stored this one under the name of its file
        assert "has a wrong name" in str(listed["sam"])
    else:
        assert str(listed["alex"]) == str(error)
    assert access(await store.load(REAL, "healthy")) == "healthy"
    assert await store.list(Application("https://other.example", "real-client")) == []
    if damage != "folder":
        # Signing in again is how a person replaces it.
        await store.save(REAL, "alex", tokens("again"))
        assert access(await store.load(REAL, "alex")) == "again"


@posix
async def test_damaged_files_can_be_removed_by_signing_out(tmp_path: Path) -> None:
    store = TokenStore(tmp_path)
    await store.save(REAL, "default", tokens())
    only_file(tmp_path).chmod(0o644)
    with pytest.raises(InstallerError, match="can be read by others") as caught:
        await store.load(REAL, "default")
    assert f"chmod 600 '{only_file(tmp_path)}'" in caught.value.todo
    assert (await store.delete(REAL, "default")).found
    assert list(tmp_path.glob("*.json")) == []


async def test_a_folder_that_cannot_be_listed_has_no_accounts_that_are_absent(tmp_path: Path) -> None:
    (tmp_path / "accounts").write_text("")
    with pytest.raises(InstallerError, match="folder of the accounts") as caught:
        await TokenStore(tmp_path / "accounts").list(REAL)
    assert caught.value.code is ErrorCode.SECRET_UNAVAILABLE


async def test_a_copy_beside_the_file_is_no_second_account_but_one_without_it_is_told(tmp_path: Path) -> None:
    store = TokenStore(tmp_path)
    await store.save(REAL, "alex", tokens())
    path = only_file(tmp_path)
    copy = path.with_name(f"{path.stem} (conflicted copy).json")
    copy.write_bytes(path.read_bytes())
    copy.chmod(0o600)
    assert [(one.name, one.damage) for one in await store.list(REAL)] == [("alex", None)]
    path.unlink()
    (listed,) = await store.list(REAL)
    assert listed.damage is not None
    assert str(copy) in listed.damage.what
    assert f"Rename it to {path.name}" in listed.damage.todo


async def test_no_account(tmp_path: Path) -> None:
    store = TokenStore(tmp_path / "none")
    assert await store.load(REAL, "default") is None
    assert await store.list(REAL) == []
    assert not (await store.delete(REAL, "default")).found


async def test_accounts_of_different_clouds_and_applications_do_not_mix(tmp_path: Path) -> None:
    store = TokenStore(tmp_path)
    others = [Application("https://other.example", "real-client"), Application(REAL.cloud, "other-client"), LAB]
    await store.save(REAL, "default", tokens("real"))
    for n, other in enumerate(others):
        assert await store.load(other, "default") is None
        assert await store.list(other) == []
        assert not (await store.delete(other, "default")).found
        await store.save(other, "default", tokens(f"other-{n}"))
    assert access(await store.load(REAL, "default")) == "real"
    assert access(await store.load(others[1], "default")) == "other-1"
    assert (await store.delete(others[1], "default")).found
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


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", ".", "..", "a/b", "a\\b", "CON", "Größe", "😀" * 64, "%2e", "a b", "x" * 64]
)
async def test_any_name_has_its_own_file_in_the_folder(tmp_path: Path, name: str) -> None:
    store = TokenStore(tmp_path / "accounts")
    await store.save(REAL, name, tokens())
    await store.save(REAL, "other", tokens("other"))
    assert access(await store.load(REAL, name)) == ACCESS
    assert {listed.name for listed in await store.list(REAL)} == {name, "other"}
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
    assert (listed.name, listed.userid) == ("default", "7")
    assert "keyring" in listed.stored_in
    assert (await TokenStore(tmp_path).delete(REAL, "default")).found
    assert backend.entries == {}
    assert list(tmp_path.glob("*.json")) == []


@pytest.mark.parametrize(("entry", "words"), [(None, "is missing"), ("{", "is damaged"), ("", "is damaged")])
async def test_a_keyring_entry_that_cannot_be_used_is_a_damaged_account(
    tmp_path: Path, use: Use, entry: str | None, words: str
) -> None:
    backend = Good()
    use(backend)
    await TokenStore(tmp_path).save(REAL, "default", tokens())
    (key,) = backend.entries
    if entry is None:
        del backend.entries[key]
    else:
        backend.entries[key] = entry
    store = TokenStore(tmp_path)
    with pytest.raises(InstallerError, match=words) as caught:
        await store.load(REAL, "default")
    assert (caught.value.code, caught.value.data["damaged"]) == (ErrorCode.SECRET_UNAVAILABLE, True)
    assert "the keyring" in caught.value.what
    (listed,) = await store.list(REAL)
    assert listed.damage is None  # the keyring may ask its user, so not every list looks into it
    (listed,) = await store.list(REAL, look_into_keyring=True)
    assert str(listed.damage) == str(caught.value)


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
