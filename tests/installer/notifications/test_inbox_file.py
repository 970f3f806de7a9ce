"""The inbox's file is moved, deleted, restored or overwritten under it: what was acknowledged is in the new one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from installer.errors import ErrorCode, InstallerError
from installer.notifications.inbox import Inbox
from installer.notifications.notification import Notification
from tests.installer.storage.file_changes import (
    CASES,
    CHANGES,
    MOVED,
    RESTORED,
    Moment,
    Saboteur,
    back_up,
    change_file,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "inbox.sqlite"


def of(user: int) -> Notification:
    return Notification(str(user), 1, 100, 101)


def users(path: Path) -> set[str]:
    """What the next start finds in the file at the path."""
    inbox = Inbox(path)
    found = {entry.userid for entry in inbox.due(1e9)}
    inbox.close()
    return found


def open_inbox(path: Path) -> tuple[Inbox, list[InstallerError]]:
    told: list[InstallerError] = []
    inbox = Inbox(path)
    inbox.on_replaced = told.append
    return inbox, told


@pytest.mark.parametrize(("kind", "moment"), CASES)
def test_what_is_acknowledged_is_in_the_file_at_the_path(
    path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, moment: Moment
) -> None:
    saboteur = Saboteur(monkeypatch, "entries")
    inbox, told = open_inbox(path)
    inbox.put(of(1), 1.0)
    backup = back_up(path)
    inbox.put(of(2), 2.0)
    saboteur.arm(moment, lambda: change_file(kind, path, backup))
    assert inbox.put(of(3), 3.0)
    # Overwritten after the look, nobody can see it before the answer: the memory of this process has all.
    assert users(path) >= ({"1", "2", "3"} if moment is not Moment.AFTER_LOOK else set())
    assert not inbox.put(of(3), 4.0)
    assert users(path) == {"1", "2", "3"}
    assert len(inbox) == 3
    assert saboteur.hits == 1
    assert len(told) == 1
    assert str(path) in told[0].what
    inbox.close()


@pytest.mark.parametrize("kind", CHANGES)
def test_a_repeated_notification_is_acknowledged_only_if_its_entry_is_in_the_file(path: Path, kind: str) -> None:
    inbox, _ = open_inbox(path)
    backup = back_up(path)
    inbox.put(of(1), 1.0)
    change_file(kind, path, backup)
    assert not inbox.put(of(1), 2.0)  # nothing new
    assert users(path) == {"1"}
    inbox.close()


def test_the_end_of_a_fetch_is_written_into_the_file_at_the_path(path: Path) -> None:
    inbox, _ = open_inbox(path)
    inbox.put(of(1), 1.0)
    inbox.put(of(2), 1.0)
    change_file(MOVED, path, path)
    inbox.done(inbox.claim(inbox.due(2.0)[0]), not_before=3.0)
    assert users(path) == {entry.userid for entry in inbox.due(9.0)} == {"2"}
    inbox.close()


def test_what_only_the_restored_file_has_is_fetched_once_more(path: Path) -> None:
    inbox, _ = open_inbox(path)
    inbox.put(of(1), 1.0)
    backup = back_up(path)
    inbox.done(inbox.claim(inbox.due(2.0)[0]), not_before=3.0)
    change_file(RESTORED, path, backup)
    inbox.put(of(2), 4.0)
    assert {entry.userid for entry in inbox.due(9.0)} == {"1", "2"}
    inbox.close()


def foreign(path: Path) -> None:
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE things (name TEXT)")
    made.close()


@pytest.mark.parametrize(
    "put_there", [lambda path: path.write_bytes(b"no database, " * 500), foreign], ids=["no database", "another's"]
)
def test_a_file_that_cannot_be_an_inbox_is_left_alone_and_nothing_is_acknowledged(
    path: Path, put_there: Callable[[Path], None]
) -> None:
    inbox, _ = open_inbox(path)
    inbox.put(of(1), 1.0)
    path.rename(path.with_name("moved-away"))
    put_there(path)
    content = path.read_bytes()
    for again in (of(1), of(2)):
        with pytest.raises(InstallerError) as caught:
            inbox.put(again, 2.0)
        assert caught.value.code is ErrorCode.DATABASE_FAILED
        assert str(path) in str(caught.value)
    assert path.read_bytes() == content
    path.unlink()
    assert inbox.put(of(2), 3.0)
    assert users(path) == {"1", "2"}
    inbox.close()


def test_an_emptied_file_gets_all_entries_again(path: Path) -> None:
    inbox, told = open_inbox(path)
    inbox.put(of(1), 1.0)
    os.truncate(path, 0)
    inbox.put(of(2), 2.0)
    assert users(path) == {"1", "2"}
    assert "was overwritten" in told[0].what
    inbox.close()


def test_the_same_file_written_by_nobody_else_is_not_opened_again(path: Path) -> None:
    inbox, told = open_inbox(path)
    for number in range(50):
        inbox.put(of(number), 1.0)
        inbox.done(inbox.claim(inbox.due(1.0)[0]), not_before=0.0)
    assert told == []
    inbox.close()
