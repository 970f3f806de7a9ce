"""The outbox's file is moved, deleted, restored or overwritten under it: nothing is lost, and nothing waits twice."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from installer.catalogue.model import Profile
from installer.errors import ErrorCode, InstallerError
from installer.gateway.devices import GatewayDevice
from installer.gateway.heartbeat import Heartbeat
from installer.gateway.outbox import Outbox
from installer.gateway.outbox_writer import OutboxWriter
from installer.gateway.visit_history import Visit, VisitHistory
from installer.health_profiles.reader import CollectedMeasurement
from installer.measurement import Measurement
from tests.installer.gateway.support import ONE, OTHER, weighed
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

SINKS = ("store", "webhook")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway.sqlite"


def grams(box: Outbox, sink: str, device: str = ONE) -> list[int]:
    return [int.from_bytes(item.raw, "little") for item in box.next_items(sink, device, 100)]


def listen(box: Outbox) -> list[InstallerError]:
    told: list[InstallerError] = []
    box.on_replaced(told.append)
    return told


@pytest.mark.parametrize(("kind", "moment"), CASES)
def test_what_is_confirmed_is_in_the_file_at_the_path(
    path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, moment: Moment
) -> None:
    saboteur = Saboteur(monkeypatch, "items")
    with Outbox.open(path) as box:
        told = listen(box)
        box.append(weighed(1), SINKS)
        backup = back_up(path)
        box.append(weighed(2), SINKS)
        box.mark_delivered("store", [weighed(1).key], 1.0)
        saboteur.arm(moment, lambda: change_file(kind, path, backup))
        assert box.append(weighed(3), SINKS)
        # Now the device forgets it.
        with Outbox.open(path) as reader:
            assert grams(reader, "webhook") == [1, 2, 3]
            assert set(grams(reader, "store")) - {1} == {2, 3}
            assert reader.rows("PRAGMA integrity_check")[0][0] == "ok"
        box.append(weighed(4), SINKS)
        assert grams(box, "webhook") == [1, 2, 3, 4]
    assert saboteur.hits == 1
    (error,) = told
    assert error.code is ErrorCode.DATABASE_FAILED
    assert str(path) in error.what
    assert "goes on in the file that is there now" in error.todo


@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize(
    "next_call",
    [
        lambda box: box.counts(),
        lambda box: Heartbeat(box).record_alive(2.0),
        lambda box: box.append(weighed(9, OTHER), ["store"]),
        lambda box: box.close(),
    ],
    ids=["a delivery that looks", "a heartbeat", "a measurement", "the end"],
)
def test_a_file_that_is_replaced_after_the_last_look_gets_all_at_the_next_call(
    path: Path, kind: str, next_call: Callable[[Outbox], object]
) -> None:
    with Outbox.open(path) as box:
        listen(box)
        box.append(weighed(1), SINKS)
        backup = back_up(path)
        box.append(weighed(2), SINKS)
        change_file(kind, path, backup)  # the device has forgotten both
        next_call(box)
        with Outbox.open(path) as reader:
            assert grams(reader, "webhook") == grams(reader, "store") == [1, 2]


@pytest.mark.parametrize("kind", [MOVED, DELETED, RESTORED])
def test_what_earlier_runs_left_what_sinks_have_and_what_is_known_of_devices_comes_along(path: Path, kind: str) -> None:
    with Outbox.open(path) as box:
        VisitHistory(box).add_device(GatewayDevice(ONE, (), "body", "Scale"))
        for number in range(1, 5):
            box.append(weighed(number), SINKS)
        backup = back_up(path)
    with Outbox.open(path) as box:
        listen(box)
        visits = VisitHistory(box)
        visit = visits.begin_visit(ONE, 50.0)
        box.mark_delivered("store", [weighed(1).key, weighed(2).key], 60.0)
        box.mark_refused("webhook", weighed(3).key, "HTTP 422")
        Heartbeat(box).record_start(40.0, SINKS)
        change_file(kind, path, backup)
        assert grams(box, "store") == [3, 4]
        # The backup has it as waiting, not as refused: it is offered once more.
        assert grams(box, "webhook") == ([1, 2, 3, 4] if kind == RESTORED else [1, 2, 4])
        assert Heartbeat(box).read().started == 40.0
        (device,) = visits.devices()
        assert (device.name, device.collected, device.seen) == ("Scale", 4, 50.0)
        assert visits.begin_visit(ONE, 51.0).number > visit.number
        assert not box.append(weighed(2), SINKS)  # known, although all was delivered


def test_numbers_of_visits_do_not_come_again_after_a_restore(path: Path) -> None:
    """They are part of some keys: a sink would take a new measurement for a known one."""
    with Outbox.open(path) as box:
        VisitHistory(box).add_device(GatewayDevice(ONE, (), "body", "Scale"))
        backup = back_up(path)
        box.append(weighed(1), SINKS)
        before = [VisitHistory(box).begin_visit(ONE, 1000.0 + n).number for n in range(3)]
        change_file(OVERWRITTEN, path, backup)
        assert VisitHistory(box).begin_visit(ONE, 1010.0).number not in before
    change_file(RESTORED, path, backup)  # while nothing runs
    with Outbox.open(path) as box:
        assert VisitHistory(box).begin_visit(ONE, 1020.0).number not in before


def test_a_file_that_is_emptied_gets_its_tables_and_what_waits(path: Path) -> None:
    with Outbox.open(path) as box:
        told = listen(box)
        box.append(weighed(1), SINKS)
        os.truncate(path, 0)
        assert grams(box, "store") == [1]
        assert "was overwritten by another program" in told[0].what


def newer(path: Path) -> None:
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE items (key TEXT)")
        made.execute("PRAGMA application_id = 0x64694757")
        made.execute("PRAGMA user_version = 99")
    made.close()


@pytest.mark.parametrize(
    "put_there",
    [lambda path: path.write_bytes(b"no database, " * 500), newer, lambda path: path.mkdir()],
    ids=["no database", "a newer outbox", "a folder"],
)
def test_a_file_that_cannot_be_an_outbox_is_left_alone_until_it_is_gone(
    path: Path, put_there: Callable[[Path], None]
) -> None:
    with Outbox.open(path) as box:
        listen(box)
        box.append(weighed(1), SINKS)
        path.rename(path.with_name("moved-away"))
        put_there(path)
        content = path.read_bytes() if path.is_file() else None
        with pytest.raises(InstallerError) as caught:
            box.append(weighed(2), SINKS)
        assert caught.value.code in (ErrorCode.OUTBOX_INVALID, ErrorCode.DATABASE_FAILED)
        assert str(path) in caught.value.what
        assert content is None or path.read_bytes() == content
        # The person moves it away again; the device sends again what was not confirmed.
        path.rename(path.with_name("wrong"))
        assert box.append(weighed(2), SINKS)
        assert grams(box, "store") == [1, 2]


def test_the_folder_may_be_moved_away(tmp_path: Path) -> None:
    path = tmp_path / "data" / "gateway.sqlite"
    with Outbox.open(path) as box:
        listen(box)
        box.append(weighed(1), SINKS)
        path.parent.rename(tmp_path / "elsewhere")
        assert box.append(weighed(2), SINKS)
    with Outbox.open(path) as box:
        assert grams(box, "store") == [1, 2]


def test_an_outbox_of_an_older_version_with_a_write_ahead_log_is_taken_over(path: Path) -> None:
    with Outbox.open(path) as box:
        box.append(weighed(1), SINKS)
    old = sqlite3.connect(path, isolation_level=None)
    assert old.execute("PRAGMA journal_mode = WAL").fetchone()[0] == "wal"
    old.execute("UPDATE items SET model = 'written in the log'")
    with Outbox.open(path) as box:  # beside a program that still has the log open
        assert grams(box, "store") == [1]
    old.close()
    with Outbox.open(path) as box:
        assert box.rows("PRAGMA journal_mode")[0][0] == "delete"
        assert box.next_items("store", ONE)[0].model == "written in the log"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_repeated_message_is_confirmed_only_if_the_file_can_be_used(path: Path) -> None:
    """Nothing is written for it, so it needs a look of its own."""
    with Outbox.open(path) as box:
        listen(box)
        box.append(weighed(1), SINKS)
        raw = weighed(1).raw
        found = CollectedMeasurement(Profile.WEIGHT, Measurement(readings=()), raw)
        path.rename(path.with_name("moved-away"))
        path.write_bytes(b"no database, " * 500)
        device = GatewayDevice(ONE, (), "body", "Scale")
        writer = OutboxWriter(box, device, Visit(2, {"weight": raw}), SINKS)
        with pytest.raises(InstallerError):
            writer.write_measurement(found)
        assert writer.failure is not None
        path.unlink()
        OutboxWriter(box, device, Visit(2, {"weight": raw}), SINKS).write_measurement(found)
        with Outbox.open(path) as reader:
            assert grams(reader, "store") == [1]
