"""Secret references: files, standard input, variables, the keyring."""

from __future__ import annotations

import asyncio
import io
import os
import threading
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend

from installer.errors import ErrorCode, InstallerError
from installer.storage.secret_references import SecretRef, on_command_line


class MemoryKeyring(KeyringBackend):
    """A real keyring backend that keeps its entries in memory."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.entries[service, username]


def test_standard_input_gives_its_first_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"correct horse\nrest")))
    assert on_command_line(file="-").fetch().get_secret_value() == "correct horse"


def test_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIFI", "correct horse")
    assert on_command_line(env="WIFI").fetch().get_secret_value() == "correct horse"


def test_the_keyring() -> None:
    before = keyring.get_keyring()
    memory = MemoryKeyring()
    memory.set_password("device-installer", "network:clinic", "correct horse")
    keyring.set_keyring(memory)
    try:
        assert on_command_line(keyring="clinic").fetch().get_secret_value() == "correct horse"
        with pytest.raises(InstallerError, match="no entry “other”"):
            on_command_line(keyring="other").fetch()
    finally:
        keyring.set_keyring(before)


@pytest.mark.parametrize(
    "ref", [on_command_line(env="DEVICE_INSTALLER_NOT_SET"), on_command_line(file="/nowhere/secret")]
)
def test_a_secret_that_is_not_there_says_where_it_was_looked_for(ref: SecretRef) -> None:
    with pytest.raises(InstallerError) as caught:
        ref.fetch()
    assert caught.value.code is ErrorCode.SECRET_UNAVAILABLE
    assert str(ref.env or ref.file) in caught.value.what


def test_an_endless_file_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "p"
    path.write_text("x" * 100_000)
    with pytest.raises(InstallerError, match="longer than 4096 bytes"):
        on_command_line(file=str(path)).fetch()


async def test_a_source_that_is_silent_is_told_in_time(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InstallerError, match=r"pipe did not give it within 0\.05 s") as caught:
        await on_command_line(file=str(tmp_path / "pipe")).fetch_within(0.05, "address for notifications")
    assert caught.value.code is ErrorCode.SECRET_UNAVAILABLE


async def test_a_person_who_types_has_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = os.openpty()
    with os.fdopen(slave, "r+b", buffering=0) as terminal, os.fdopen(master, "r+b", buffering=0) as person:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(terminal))
        asked = threading.Event()

        def answer(_question: str) -> str:
            asked.set()
            return terminal.readline().decode()

        monkeypatch.setattr("installer.storage.hidden_prompt.ask_hidden", answer)
        fetching = asyncio.ensure_future(on_command_line(file="-").fetch_within(0.0, "address"))
        assert await asyncio.to_thread(asked.wait, 10)
        person.write(b"https://clinic.example\n")
        assert (await fetching).get_secret_value() == "https://clinic.example"
