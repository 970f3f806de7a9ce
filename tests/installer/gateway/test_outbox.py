"""The outbox: nothing twice, nothing lost, the right order, and clear errors for an unusable file."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.errors import ErrorCode, InstallerError
from installer.gateway.outbox import Item, Outbox, SinkCounts, key_of

ONE, OTHER = "F0:00:00:00:00:01", "F0:00:00:00:00:02"


def item(number: int, device: str = ONE, *, understood: bool = True) -> Item:
    raw = number.to_bytes(4, "little")
    return Item(
        key=key_of(device, "weight", raw),
        device=device,
        profile="weight",
        raw=raw,
        received=1e9 - number,  # a clock that runs backwards
        measurement="{}" if understood else None,
        problem=None if understood else "nonsense",
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "gateway.sqlite"


def numbers(items: list[Item]) -> list[int]:
    return [int.from_bytes(i.raw, "little") for i in items]


def test_what_is_put_in_comes_out_in_order_once_for_each_sink(path: Path) -> None:
    with Outbox.open(path) as box:
        for number in range(5):
            assert box.append(item(number), ["store", "webhook"])
            assert box.append(item(number, OTHER), ["store"])
        assert not box.append(item(3), ["store", "webhook"])
    with Outbox.open(path) as box:
        assert box.devices_waiting("store") == [ONE, OTHER]
        assert numbers(box.next_items("webhook", ONE, 3)) == [0, 1, 2]
        assert numbers(box.next_items("store", OTHER, 10)) == [0, 1, 2, 3, 4]
        first = box.next_items("webhook", ONE, 2)
        box.mark_delivered("webhook", [i.key for i in first], 1.0)
        assert numbers(box.next_items("webhook", ONE, 10)) == [2, 3, 4]
        assert box.counts() == {"store": SinkCounts(10), "webhook": SinkCounts(3)}


def test_a_delivered_measurement_that_comes_again_is_known(path: Path) -> None:
    with Outbox.open(path) as box:
        box.append(item(1), ["store"])
        box.mark_delivered("store", [box.next_items("store", ONE)[0].key], 1.0)
        assert not box.append(item(1), ["store"])
        assert box.counts() == {}


def test_what_a_sink_refuses_stays_apart_and_can_be_offered_again(path: Path) -> None:
    with Outbox.open(path) as box:
        for number in range(3):
            box.append(item(number), ["webhook"])
        box.mark_refused("webhook", box.next_items("webhook", ONE)[0].key, "HTTP 422")
        assert numbers(box.next_items("webhook", ONE, 5)) == [1, 2]
        assert box.counts()["webhook"] == SinkCounts(2, 1)
        assert box.retry_refused("webhook") == 1
        assert numbers(box.next_items("webhook", ONE, 5)) == [0, 1, 2]


def test_what_nobody_understands_is_kept_and_offered_to_nobody(path: Path) -> None:
    with Outbox.open(path) as box:
        box.append(item(1, understood=False), ["store"])
        assert box.counts() == {}
        assert box.count_not_understood() == 1
        box.prune_delivered(ONE, keep=0)
        assert box.count() == 1


def test_old_deliveries_are_forgotten_and_what_waits_never(path: Path) -> None:
    with Outbox.open(path) as box:
        for number in range(20):
            box.append(item(number), ["store"])
        waiting = box.next_items("store", ONE, 20)
        box.mark_delivered("store", [i.key for i in waiting[1:]], 1.0)
        assert box.prune_delivered(ONE, keep=5) == 14
        assert numbers(box.next_items("store", ONE, 20)) == [0]


@given(st.lists(st.tuples(st.sampled_from([ONE, OTHER]), st.binary(max_size=8)), max_size=30))
def test_keys_are_of_device_and_bytes(messages: list[tuple[str, bytes]]) -> None:
    assert len({key_of(d, "weight", raw) for d, raw in messages}) == len(set(messages))


def test_the_file_is_its_owners_alone(path: Path) -> None:
    Outbox.open(path).close()
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [b"no database, " * 200, bytes(5000)])
def test_a_file_that_is_no_database_is_told_and_left_alone(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    for opening in (Outbox.open, Outbox.open_existing):
        with pytest.raises(InstallerError) as caught:
            opening(path)
        assert caught.value.code is ErrorCode.OUTBOX_INVALID
        assert "Move it away" in caught.value.todo
    assert path.read_bytes() == content


def test_a_database_of_another_program_is_told_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE items (things TEXT)")
    other.close()
    with pytest.raises(InstallerError) as caught:
        Outbox.open(path)
    assert caught.value.code is ErrorCode.OUTBOX_INVALID
    assert "not an outbox" in caught.value.what


def test_an_outbox_of_a_newer_version_is_told_and_left_alone(path: Path) -> None:
    Outbox.open(path).close()
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(InstallerError) as caught:
        Outbox.open(path)
    assert caught.value.code is ErrorCode.OUTBOX_INVALID
    assert "version 99" in caught.value.what


def test_a_damaged_outbox_is_told(path: Path) -> None:
    with Outbox.open(path) as box:
        for number in range(500):
            box.append(item(number), ["store"])
    content = bytearray(path.read_bytes())
    content[8192:40960] = b"\xa5" * (40960 - 8192)
    path.write_bytes(content)
    with pytest.raises(InstallerError) as caught:
        Outbox.open(path)
    assert caught.value.code is ErrorCode.OUTBOX_INVALID
    assert "damaged" in caught.value.what


def test_an_outbox_that_is_not_there_is_not_made_by_looking(path: Path) -> None:
    assert Outbox.open_existing(path) is None
    assert not path.parent.exists()


FILL = """
import pathlib, resource, sys
from installer.errors import InstallerError
from installer.gateway.outbox import Outbox
from tests.installer.gateway.test_outbox import item
path = pathlib.Path(sys.argv[1])
box = Outbox.open(path)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
kept = 0
for number in range(10_000):
    try:
        box.append(item(number), ["store"])
    except InstallerError as error:
        assert "Free some space" in error.todo, error
        break
    kept += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
box.append(item(99_999), ["store"])
print(kept)
"""


def test_a_full_disk_loses_nothing_and_when_there_is_space_it_goes_on(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FILL, str(path)], capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    kept = int(done.stdout)
    assert 0 < kept < 10_000
    with Outbox.open(path) as box:
        assert numbers(box.next_items("store", ONE, 20_000)) == [*range(kept), 99_999]
