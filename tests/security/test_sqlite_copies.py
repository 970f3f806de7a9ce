"""SQLite makes no copy of health data outside the private folder: big sorts and VACUUM stay in memory."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from installer.errors import InstallerError
from installer.gateway.outbox import Outbox
from installer.ledger.records import Records
from installer.measurements.store import Store
from installer.notifications.inbox import Inbox
from installer.storage.erasing import rewrite_sqlite
from installer.storage.sqlite_files import set_up_connection

MEMORY = 2
OPEN_FILES = Path("/proc/self/fd")  # where the system has it: what this process has open


def other_files(folder: Path) -> set[str]:
    """The files that SQLite has open outside the folder."""
    found = set()
    for one in OPEN_FILES.iterdir() if OPEN_FILES.is_dir() else ():
        try:
            name = str(one.readlink())
        except OSError:
            continue
        if "etilqs" in name and not name.startswith(str(folder)):
            found.add(name)
    return found


@pytest.mark.parametrize("work", ["VACUUM", "SELECT count(*) FROM (SELECT value FROM one ORDER BY value LIMIT -1)"])
def test_what_needs_room_needs_no_file_elsewhere(tmp_path: Path, work: str) -> None:
    path = tmp_path / "store.sqlite"
    connection = sqlite3.connect(path, isolation_level=None)
    set_up_connection(connection)
    connection.execute("CREATE TABLE one (value BLOB)")
    connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000) "
        "INSERT INTO one SELECT randomblob(2000) FROM n"
    )
    seen: set[str] = set()
    looks = 0

    def look() -> int:
        nonlocal looks
        looks += 1
        seen.update(other_files(tmp_path))
        return 0

    connection.set_progress_handler(look, 200)
    connection.execute(work).fetchall()
    connection.close()
    assert looks
    assert seen == set()


def test_every_file_of_this_program_is_opened_so(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path / 'measurements.sqlite'}") as store:
        found = [store.look("look", lambda c: c.exec_driver_sql("PRAGMA temp_store").scalar())]
    records = Records(tmp_path / "ledger.sqlite")
    with records.store.engine().connect() as connection:
        found.append(connection.exec_driver_sql("PRAGMA temp_store").scalar())
    records.close()
    with Outbox.open(tmp_path / "gateway.sqlite") as outbox:
        found += [row[0] for row in outbox.rows("PRAGMA temp_store")]
    inbox = Inbox(tmp_path / "inbox.sqlite")
    try:
        found += [inbox._connection.execute("PRAGMA temp_store").fetchone()[0]]
    finally:
        inbox.close()
    assert found == [MEMORY] * 4


def test_a_file_that_is_longer_than_the_memory_is_told_as_not_rewritten() -> None:
    class Full:
        def execute(self, statement: str) -> sqlite3.Cursor:
            if statement == "VACUUM":
                raise MemoryError
            return sqlite3.connect(":memory:").execute("SELECT 'delete'")

    with pytest.raises(InstallerError, match="free memory"):
        rewrite_sqlite(Full(), "the store")
