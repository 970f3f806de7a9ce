"""The ledger's file is moved, deleted or restored under an installation: its record and its device come along."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from installer.errors import ErrorCode, InstallerError
from installer.ledger.query_types import Filter
from installer.ledger.records import Records
from tests.installer.ledger.record_behaviour import found, installed
from tests.installer.storage.file_changes import (
    CASES,
    DELETED,
    MOVED,
    OVERWRITTEN,
    RESTORED,
    Moment,
    Saboteur,
    back_up,
    change_file,
)

Make = Callable[[], Records]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def make(path: Path) -> Iterator[Make]:
    """Each call opens the ledger as another process."""
    made: list[Records] = []

    def another() -> Records:
        made.append(Records(path))
        return made[-1]

    yield another
    for records in made:
        records.close()


@pytest.mark.parametrize(("kind", "moment"), [case for case in CASES if case[0] != OVERWRITTEN])
async def test_a_step_that_is_recorded_is_in_the_file_at_the_path(
    make: Make, path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, moment: Moment
) -> None:
    saboteur = Saboteur(monkeypatch, "steps")
    records = make()
    await installed(make(), "before", "B", "wifi")
    backup = back_up(path)
    record = await found(records, "now")
    await record.step_done("find", 1.0, {"address": "A"})
    saboteur.arm(moment, lambda: change_file(kind, path, backup))
    await record.step_done("sync", 0.1, {"method": "wifi"})
    if moment is Moment.AFTER_LOOK:
        await record.heartbeat()
    one = make().get("now")
    assert one is not None
    assert [step["step"] for step in one["steps"]] == ["find", "sync"]
    assert (one["outcome"], one["method"], one["reasons"]) == ("running", "wifi", ["it says so"])
    with pytest.raises(InstallerError) as caught:
        make().lease("A", "south", 60.0)
    assert caught.value.code is ErrorCode.DEVICE_TAKEN
    record.failed("network", "join_failed", "no")
    await record.sending("A", "Home")
    await record.end("failed")
    assert make().last_provisioned_ssid("A") == "Home"
    (ended,) = make().find(Filter(outcome=("failed",))).records
    assert ended["id"] == "now"
    assert (make().get("before") is not None) == (kind == RESTORED)
    assert saboteur.hits == 1


@pytest.mark.parametrize("kind", [MOVED, DELETED, RESTORED])
async def test_the_end_of_an_installation_is_not_lost(make: Make, path: Path, kind: str) -> None:
    records = make()
    backup = back_up(_made(records, path))
    record = await found(records, "now")
    change_file(kind, path, backup)
    await record.end("installed")
    change_file(kind, path, backup)  # the person was told that it is installed
    records.all()
    one = make().get("now")
    assert one is not None
    assert one["outcome"] == "installed"


async def test_another_station_that_was_faster_in_the_new_file_keeps_the_device(make: Make, path: Path) -> None:
    records, other = make(), make()
    record = await found(records, "ours")
    lease = records.lease("C", "north", 60.0)
    path.rename(path.with_name("moved-away"))
    await found(other, "theirs")
    other.lease("C", "south", 60.0)
    # Nothing is sent to a device that another station has.
    with pytest.raises(InstallerError) as caught:
        await record.sending("A", "Home")
    assert caught.value.code is ErrorCode.DEVICE_TAKEN
    with pytest.raises(InstallerError) as caught:
        lease.renew()
    assert caught.value.code is ErrorCode.DEVICE_TAKEN
    assert {r["id"] for r in records.all()} == {"ours", "theirs"}


async def test_a_ledger_that_is_written_over_ends_the_installation_and_blames_no_station(
    make: Make, path: Path
) -> None:
    records = make()
    backup = back_up(_made(records, path))
    record = await found(records, "now")
    change_file(OVERWRITTEN, path, backup)
    for write in (record.sending("A", "Home"), record.heartbeat(), record.step_done("find", 1.0, {})):
        with pytest.raises(InstallerError) as caught:
            await write
        assert caught.value.code is ErrorCode.DATABASE_FAILED
        assert "lost the record of installation now" in caught.value.what
        assert "station" not in caught.value.what
    assert make().last_provisioned_ssid("A") is None


@pytest.mark.parametrize("kind", [MOVED, RESTORED])
async def test_a_reader_reads_the_file_that_is_at_the_path(make: Make, path: Path, kind: str) -> None:
    records, reader = make(), make()
    await installed(records, "one", "A", "wifi")
    backup = back_up(path)
    await installed(records, "two", "B", "wifi")
    assert [r["id"] for r in reader.find(Filter()).records] == ["two", "one"]
    change_file(kind, path, backup)
    assert [r["id"] for r in reader.find(Filter()).records] == (["one"] if kind == RESTORED else [])


@pytest.mark.parametrize("older", [False, True], ids=["no database", "an older ledger"])
async def test_a_file_that_cannot_be_this_ledger_is_told_and_left_alone(make: Make, path: Path, older: bool) -> None:
    records = make()
    record = await found(records, "now")
    path.rename(path.with_name("moved-away"))
    if older:
        await installed(make(), "old", "B", "wifi")
        with make().store.engine().begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '0003'"))
    else:
        path.write_bytes(b"no database, " * 500)
    content = path.read_bytes()
    with pytest.raises(InstallerError) as caught:
        await record.sending("A", "Home")
    assert caught.value.code is (ErrorCode.DATABASE_OUTDATED if older else ErrorCode.DATABASE_FAILED)
    assert path.read_bytes() == content
    path.with_name("moved-away").replace(path)
    await record.sending("A", "Home")
    assert make().last_provisioned_ssid("A") == "Home"


async def test_the_sign_of_life_of_a_process_is_made_again_after_a_tidy_up(make: Make, path: Path) -> None:
    records, other = make(), make()
    await found(records, "now")
    folder = path.with_name(path.name + ".stations")
    for file in folder.iterdir():
        file.unlink()
    holder = records.holder()
    assert [file.name for file in folder.iterdir()] == [f"{holder}.lock"]
    assert not other.is_dead(holder)


def _made(records: Records, path: Path) -> Path:
    records.store.engine()
    return path
