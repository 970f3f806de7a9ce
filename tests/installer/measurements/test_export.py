"""CSV and JSON files: exact, streamed, without formulas, written whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.errors import ErrorCode, InstallerError
from installer.measurements import export
from installer.measurements.stored_value import Row, row

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def made(value: str = "72.35", **more: Any) -> Row:
    given = {"source": "cloud", "device": "d1", "kind": "weight", "unit": "kg", "taken": NOON, **more}
    return row(measured=Decimal(value), **given)


def as_csv(*rows: Row, names: dict[str, str] | None = None) -> list[dict[str, str]]:
    return list(csv.DictReader("\n".join(export.document_lines(rows, names or {}, "csv")).splitlines()))


def test_csv_has_titles_names_and_exact_numbers() -> None:
    [line] = as_csv(made("123456789.123456789", unit="lb", modified=5), names={"d1": "My scale, “big”"})
    assert line == {
        "taken": "2026-11-24T12:00:00+00:00",
        "ended": "",
        "device_name": "My scale, “big”",
        "model": "",
        "device": "d1",
        "kind": "weight",
        "value": "55999057.571098988",
        "unit": "kg",
        "measured": "123456789.123456789",
        "measured_unit": "lb",
        "origin": "device",
        "source": "cloud",
        "account": "",
        "user": "",
        "group": "",
        "period": "",
        "modified": "5",
        "day": "",
        "taken_local": "",
        "ended_local": "",
        "zone": "",
        "zone_known": "no",
    }


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://x")'])
def test_no_text_becomes_a_formula(text: str) -> None:
    raw = "\n".join(export.document_lines([made("-5.2", account=text, kind=text)], {"d1": text}, "csv"))
    [line] = list(csv.DictReader(io.StringIO(raw, newline="")))
    assert line["account"] == line["kind"] == line["device_name"] == f"'{text}"
    # A number stays a number.
    assert line["value"] == "-5.2"


def test_json_is_one_array() -> None:
    assert json.loads("\n".join(export.document_lines([], {}, "json"))) == []
    found = json.loads("\n".join(export.document_lines([made(), made("71", ended=NOON)], {"d1": "Scale"}, "json")))
    assert [(f["value"], f["device_name"], f["ended"]) for f in found] == [
        ("72.35", "Scale", None),
        ("71", "Scale", "2026-11-24T12:00:00+00:00"),
    ]


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_text_comes_back_from_json(account: str, kind: str) -> None:
    [found] = json.loads("\n".join(export.document_lines([made(account=account, kind=kind)], {}, "json")))
    assert (found["account"], found["kind"]) == (account, kind)


def test_rows_are_not_held_in_memory() -> None:
    taken = 0

    def many() -> Iterator[Row]:
        nonlocal taken
        for n in range(10_000):
            taken += 1
            yield made(str(n))

    for form in ("csv", "json"):
        taken = 0
        written = export.chunks(export.document_lines(many(), {}, form))  # type: ignore[arg-type]
        next(written)
        assert taken <= export.CHUNK_LINES + 1
        assert sum(chunk.count("\n") + 1 for chunk in written) > 10_000 - export.CHUNK_LINES


def test_a_file_is_written_whole_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old", "utf-8")
    export.write_file(path, export.document_lines([made()], {}, "csv"))
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text("utf-8").count("\n") == 2

    def failing() -> Iterator[str]:
        yield "half"
        raise InstallerError(ErrorCode.DATABASE_FAILED, "gone", "")

    with pytest.raises(InstallerError):
        export.write_file(path, failing())
    assert path.read_text("utf-8").count("\n") == 2
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere" / "out.csv"):
        with pytest.raises(InstallerError) as caught:
            export.write_file(path, ["x"])
        assert caught.value.code is ErrorCode.FILE_UNWRITABLE


def test_a_device_file_is_not_replaced() -> None:
    export.write_file(Path(os.devnull), ["x"])
    assert not Path(os.devnull).is_file()
