"""SQLite files: all data in one file, and locks that this program does not end by itself."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from installer.storage.sqlite_files import create_sqlite_file, set_up_connection, was_moved

WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
try:
    connection.execute("BEGIN IMMEDIATE")
    print("has the lock")
except sqlite3.OperationalError as error:
    print(error)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "one.sqlite"


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    create_sqlite_file(path)
    made = sqlite3.connect(path, isolation_level=None)
    set_up_connection(made)
    made.execute("CREATE TABLE things (name TEXT)")
    yield made
    made.close()


def test_a_new_file_is_its_owners_alone(path: Path, connection: sqlite3.Connection) -> None:
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_second_opening_does_not_end_the_lock_of_the_first(path: Path, connection: sqlite3.Connection) -> None:
    """POSIX ends all locks of a process on a file when it closes any descriptor of it."""
    connection.execute("BEGIN IMMEDIATE")
    create_sqlite_file(path)
    other = subprocess.run([sys.executable, "-c", WRITER, str(path)], capture_output=True, text=True, check=True)
    assert other.stdout == "database is locked\n"


def test_a_copy_of_the_file_is_a_whole_backup_while_it_is_open(path: Path, connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO things VALUES ('one')")
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    copied = sqlite3.connect(shutil.copy(path, path.with_name("copy.sqlite")))
    assert copied.execute("SELECT name FROM things").fetchall() == [("one",)]
    copied.close()


def test_sqlite_refuses_to_write_into_a_file_that_was_moved_away(path: Path, connection: sqlite3.Connection) -> None:
    path.rename(path.with_name("moved-away"))
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("INSERT INTO things VALUES ('one')")
    assert was_moved(caught.value)
