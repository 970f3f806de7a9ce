"""The store's file is moved, deleted, restored or overwritten under it: what was called stored is in the new one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from installer.errors import ErrorCode, InstallerError
from installer.measurements.store import CursorStart, Device, Store
from installer.measurements.stored_value import Row
from installer.storage import database
from tests.installer.measurements.store_behaviours import NOON, weight
from tests.installer.storage.file_changes import (
    CASES,
    CHANGES,
    DELETED,
    MOVED,
    OVERWRITTEN,
    RESTORED,
    Moment,
    Saboteur,
    back_up,
    change_file,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "measurements.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.open(database.sqlite_url(path)) as opened:
        yield opened


def at(number: int) -> Row:
    return weight(taken=NOON + timedelta(minutes=number))


def numbers(path: Path) -> list[int]:
    """What another program finds in the file at the path, in order."""
    with Store.open(database.sqlite_url(path)) as reader:
        return [int((row.taken - NOON) / timedelta(minutes=1)) for row in reader.rows()]


@pytest.mark.parametrize(("kind", "moment"), [case for case in CASES if case != (OVERWRITTEN, Moment.AFTER_COMMIT)])
def test_what_is_said_to_be_stored_is_in_the_file_at_the_path(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str, moment: Moment
) -> None:
    saboteur = Saboteur(monkeypatch, "measurements")
    with Store.open(database.sqlite_url(path)) as store:
        store.put([at(0)])
        backup = back_up(path)
        store.put([at(1)])
        saboteur.arm(moment, lambda: change_file(kind, path, backup))
        assert store.put([at(2), at(3)]) == 2
        if moment is not Moment.AFTER_LOOK:
            # It is there when the person is told.
            assert numbers(path)[-2:] == [2, 3]
        assert store.put([at(4)]) == 1
        assert numbers(path)[-3:] == [2, 3, 4]
        assert store.count() == len(numbers(path))
    assert saboteur.hits == 1
    told = capsys.readouterr().err
    assert f"The file of the store of measurements, {path}, was" in told
    assert "goes on in the file that is there now" in told


@pytest.mark.parametrize("kind", CHANGES)
def test_what_was_stored_just_before_the_end_is_in_the_file_at_the_end(path: Path, kind: str) -> None:
    with Store.open(database.sqlite_url(path)) as store:
        backup = back_up(path)
        store.put([at(1), at(2)])
        change_file(kind, path, backup)
    assert numbers(path) == [1, 2]


@pytest.mark.parametrize("kind", [MOVED, DELETED, RESTORED])
@pytest.mark.parametrize(
    "read",
    [
        lambda store: len(list(store.rows())),
        lambda store: len(store.latest(10)),
        lambda store: store.count(),
    ],
    ids=["rows", "latest", "count"],
)
def test_a_reader_reads_the_file_that_is_at_the_path(
    store: Store, path: Path, kind: str, read: Callable[[Store], int]
) -> None:
    with Store.open(database.sqlite_url(path)) as writer:
        writer.put([at(1)])
        backup = back_up(path)
        writer.put([at(2), at(3)])
    assert store.count() == 3
    change_file(kind, path, backup)
    assert read(store) == (1 if kind == RESTORED else 0)


@pytest.mark.parametrize("kind", CHANGES)
def test_a_cursor_does_not_jump_over_what_the_new_file_lacks(store: Store, path: Path, kind: str) -> None:
    store.add([at(1)], [("clinic", "getmeas", 100)])
    backup = back_up(path)
    store.add([at(2)], [("clinic", "getmeas", 200)])
    start = store.cursor_start("clinic", "getmeas")
    assert start.value == 200
    change_file(kind, path, backup)
    # The fetch goes on with what changed since 200, and stores it.
    store.add([at(3)], [("clinic", "getmeas", 300)], start)
    assert 3 in numbers(path)
    assert store.cursor("clinic", "getmeas") == (100 if kind in (RESTORED, OVERWRITTEN) else None)
    # The next one begins where the file at the path is.
    again = store.cursor_start("clinic", "getmeas")
    store.add([at(2), at(3)], [("clinic", "getmeas", 300)], again)
    assert store.cursor("clinic", "getmeas") == 300


def test_the_cursor_of_a_fetch_moves_if_another_fetch_moved_it_meanwhile(store: Store) -> None:
    start = CursorStart(None, store.opened)
    store.add([at(1)], [("clinic", "getmeas", 200)])
    store.add([at(2)], [("clinic", "getmeas", 300)], start)
    assert store.cursor("clinic", "getmeas") == 300


@pytest.mark.parametrize("kind", [MOVED, RESTORED])
def test_names_are_written_into_the_file_at_the_path(store: Store, path: Path, kind: str) -> None:
    backup = back_up(path)
    change_file(kind, path, backup)
    store.name_devices([Device("d", "Scale")])
    with Store.open(database.sqlite_url(path)) as reader:
        assert reader.devices()["d"].name == "Scale"


def test_several_threads_go_on_in_the_same_new_file(store: Store, path: Path) -> None:
    change = threading.Event()

    def put(thread: int) -> None:
        for number in range(20):
            store.put([at(100 * thread + number)])
            if number == 5:
                change.set()

    threads = [threading.Thread(target=put, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    assert change.wait(30)
    change_file(MOVED, path, path)
    for thread in threads:
        thread.join(30)
    moved = path.rename(path.with_name("at-the-end"))
    old = path.with_name("moved-away")
    assert {*numbers(moved), *numbers(old)} == {100 * thread + number for thread in range(4) for number in range(20)}
    assert len(numbers(moved)) >= 4


def other_version(path: Path) -> None:
    with Store.open(database.sqlite_url(path)) as made, made._database.engine().begin() as connection:
        connection.execute(text("UPDATE store_version SET version = 99"))


@pytest.mark.parametrize(
    ("put_there", "code"),
    [
        (lambda path: path.write_bytes(b"no database, " * 500), ErrorCode.DATABASE_FAILED),
        (other_version, ErrorCode.STORE_VERSION),
    ],
    ids=["no database", "a newer version"],
)
def test_a_file_that_cannot_be_a_store_is_told_and_left_alone(
    store: Store, path: Path, put_there: Callable[[Path], None], code: ErrorCode
) -> None:
    store.put([at(1)])
    path.rename(path.with_name("moved-away"))
    put_there(path)
    content = path.read_bytes()
    with pytest.raises(InstallerError) as caught:
        store.put([at(2)])
    assert caught.value.code is code
    assert path.read_bytes() == content
    path.with_name("moved-away").replace(path)
    assert store.put([at(2)]) == 1
    assert numbers(path) == [1, 2]
