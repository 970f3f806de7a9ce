"""Records in an SQLite file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from installer.errors import ErrorCode, InstallerError
from installer.ledger.records import Records
from tests.installer.ledger import record_behaviour


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[], Records]]:
    """Each call opens the same file as another process."""
    made: list[Records] = []

    def another() -> Records:
        made.append(Records(tmp_path / "ledger.sqlite"))
        return made[-1]

    yield another
    for records in made:
        records.close()


@pytest.mark.parametrize("does", record_behaviour.ALL, ids=lambda f: f.__name__)
async def test_what_a_ledger_does(does: Any, make: Callable[[], Records]) -> None:
    await does(make)


async def test_nothing_is_written_before_the_first_change(tmp_path: Path) -> None:
    records = Records(tmp_path / "ledger.sqlite")
    records.begin("1", "1.0")
    records.close()
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(InstallerError) as caught:
        await Records(file / "ledger.sqlite").begin("1", "1.0").end("installed")
    assert caught.value.code is ErrorCode.FILE_UNWRITABLE
    assert str(file) in caught.value.what


async def test_what_was_posted_is_written_when_the_ledger_is_closed(tmp_path: Path) -> None:
    records = Records(tmp_path / "ledger.sqlite")
    records.begin("1", "1.0").failed("find", "device_not_found", "no")
    records.close()
    (one,) = Records(tmp_path / "ledger.sqlite").all()
    assert [f["code"] for f in one["failures"]] == ["device_not_found"]
