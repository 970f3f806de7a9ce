"""The inbox: durable, one entry for many notifications, removed only after a later fetch."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from installer.errors import ErrorCode, InstallerError
from installer.notifications.inbox import Inbox
from installer.notifications.notification import Notification

WEIGHT = Notification("7", 1, 100, 101)


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    opened = Inbox(tmp_path / "inbox.sqlite")
    yield opened
    opened.close()


def test_the_same_again_is_one_entry(inbox: Inbox) -> None:
    assert inbox.put(WEIGHT, 1.0)
    assert not inbox.put(WEIGHT, 2.0)
    assert inbox.put(Notification("7", 1, 150, 151), 3.0)
    (entry,) = inbox.due(3.0)
    assert (entry.start, entry.end, entry.received) == (100, 151, 1.0)
    assert inbox.put(Notification("7", 44, 100, 101), 3.0)
    assert inbox.put(Notification("8", 1, 100, 101), 3.0)
    assert len(inbox) == 3


def test_a_flood_of_different_windows_is_one_entry(inbox: Inbox) -> None:
    for start in range(0, 10_000_000, 50_000):
        inbox.put(Notification("7", 1, start, start + 1), 1.0)
    (entry,) = inbox.due(1.0)
    assert (entry.start, entry.end) == (None, None)  # a window that is too long is dropped


def test_a_notification_during_a_fetch_needs_another_fetch(inbox: Inbox) -> None:
    inbox.put(WEIGHT, 1.0)
    entry = inbox.claim(inbox.due(1.0)[0])
    # The fetch may have read the data before this notification came, so another fetch is needed.
    assert inbox.put(WEIGHT, 2.0)
    inbox.done(entry, not_before=9.0)
    assert inbox.due(8.0) == []
    (again,) = inbox.due(9.0)
    inbox.done(inbox.claim(again), not_before=20.0)
    assert len(inbox) == 0


def test_after_a_fetch_there_is_a_cooldown(inbox: Inbox) -> None:
    inbox.put(WEIGHT, 1.0)
    inbox.done(inbox.claim(inbox.due(1.0)[0]), not_before=6.0)
    inbox.put(WEIGHT, 2.0)
    assert inbox.due(5.0) == []
    assert inbox.next_due(5.0) == 6.0
    assert len(inbox.due(6.0)) == 1


def test_a_failed_fetch_is_due_again(inbox: Inbox) -> None:
    inbox.put(WEIGHT, 1.0)
    inbox.failed(inbox.claim(inbox.due(1.0)[0]), not_before=30.0)
    assert inbox.due(29.0) == []
    assert [e.tries for e in inbox.due(30.0)] == [1]
    assert inbox.next_due(30.0, without_users={"7"}) is None


def test_what_was_put_is_there_after_a_kill(tmp_path: Path) -> None:
    program = (
        "import os, sys, signal\n"
        "from pathlib import Path\n"
        "from installer.notifications.inbox import Inbox\n"
        "from installer.notifications.notification import Notification\n"
        "inbox = Inbox(Path(sys.argv[1]))\n"
        "inbox.put(Notification('7', 1, 100, 101), 1.0)\n"
        "inbox.put(Notification('7', 44, 100, 101), 1.0)\n"
        "inbox.done(inbox.claim(inbox.due(1.0)[0]), 5.0)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = tmp_path / "inbox.sqlite"
    done = subprocess.run([sys.executable, "-c", program, str(path)], timeout=50, check=False)
    assert done.returncode == -9
    inbox = Inbox(path)
    assert [(e.userid, e.appli, e.start, e.end) for e in inbox.due(1.0)] == [("7", 44, 100, 101)]
    inbox.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_many_threads_at_once(inbox: Inbox) -> None:
    def put(user: int) -> None:
        for number in range(20):
            inbox.put(Notification(str(user), 1, number, number + 1), 1.0)

    threads = [threading.Thread(target=put, args=(user,)) for user in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted((e.userid, e.start, e.end) for e in inbox.due(1.0)) == [(str(u), 0, 20) for u in range(1, 9)]


def test_a_file_that_is_no_inbox_is_told_in_words(tmp_path: Path) -> None:
    path = tmp_path / "inbox.sqlite"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(InstallerError, match="could not open the inbox") as caught:
        Inbox(path)
    assert caught.value.code is ErrorCode.DATABASE_FAILED
    assert "move it away" in caught.value.todo


def test_the_inbox_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "inbox.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=9")
    connection.close()
    with pytest.raises(InstallerError) as caught:
        Inbox(path)
    assert caught.value.code is ErrorCode.STORE_VERSION


def test_a_full_disk_is_told_and_what_was_there_stays(inbox: Inbox) -> None:
    inbox.put(WEIGHT, 1.0)
    inbox._connection.execute("PRAGMA max_page_count=1")

    def fill() -> None:
        for user in range(10, 2000):
            inbox.put(Notification(str(user), 1, 1, 2), 1.0)

    with pytest.raises(InstallerError) as caught:
        fill()
    assert caught.value.code is ErrorCode.DATABASE_FAILED
    assert "full" in caught.value.what
    assert WEIGHT.userid in {e.userid for e in inbox.due(1.0)}


def test_a_fetch_whose_end_cannot_be_written_is_repeated_later(inbox: Inbox) -> None:
    inbox.put(WEIGHT, 1.0)
    entry = inbox.claim(inbox.due(1.0)[0])
    inbox._connection.execute("PRAGMA query_only=1")
    with pytest.raises(InstallerError):
        inbox.done(entry, not_before=6.0)
    with pytest.raises(InstallerError):
        inbox.failed(entry, not_before=30.0)
    assert inbox.due(29.0) == []
    inbox._connection.execute("PRAGMA query_only=0")
    inbox.done(inbox.claim(inbox.due(30.0)[0]), not_before=40.0)
    assert len(inbox) == 0


def test_a_clock_that_is_set_back_keeps_nothing_waiting(inbox: Inbox) -> None:
    inbox.put(WEIGHT, 1_000_000.0)
    inbox.failed(inbox.claim(inbox.due(1_000_000.0)[0]), not_before=1_000_900.0)
    assert inbox.due(1_000_000.0) == []
    assert len(inbox.due(500_000.0)) == 1
    assert inbox.next_due(500_000.0) == 500_000.0
    inbox.done(inbox.due(500_000.0)[0], not_before=1_000_905.0)
    inbox.put(WEIGHT, 500_000.0)
    assert len(inbox.due(500_000.0)) == 1


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(InstallerError) as caught:
        Inbox(tmp_path / "file" / "inbox.sqlite")
    assert caught.value.code is ErrorCode.FILE_UNWRITABLE


@pytest.mark.parametrize(("column", "value"), [("due", "soon"), ("count", b"\xff"), ('"start"', "then")])
def test_a_row_that_cannot_be_read_is_named_and_holds_up_no_other(tmp_path: Path, column: str, value: object) -> None:
    path = tmp_path / "inbox.sqlite"
    first = Inbox(path)
    first.put(WEIGHT, 1.0)
    first.put(Notification("8", 1, 100, 101), 1.0)
    first.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE entries SET {column} = ? WHERE userid = '7'", (value,))
    again = Inbox(path)
    assert [entry.userid for entry in again.due(2.0)] == ["8"]
    error = again.damaged.error()
    again.close()
    assert error is not None
    assert error.code is ErrorCode.DATABASE_FAILED
    assert "user 7, category 1" in error.what
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM entries").fetchone() == (2,)
