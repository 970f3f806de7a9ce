"""Tables, sparklines and device names; selection of devices and kinds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from installer.errors import ErrorCode, InstallerError
from installer.measurements import charts, selection
from installer.measurements.store import Device
from installer.measurements.stored_value import Row, row

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ID = "9f2c" * 10
DEVICES = {ID: Device(ID, "Body+", "body-plus", "00:24:E4:20:00:3C", "default")}


def made(value: str = "72.35", kind: str = "weight", unit: str = "kg", **more: Any) -> Row:
    given = {"source": "cloud", "device": ID, "taken": NOON, "account": "default", "user": "7", **more}
    return row(kind=kind, measured=Decimal(value), unit=unit, **given)


@pytest.mark.parametrize(
    ("value", "unit", "kind", "expected"),
    [
        ("72.350", "kg", "weight", "72.35 kg"),
        ("72.801575385", "kg", "weight", "72.802 kg"),
        ("4200", "steps", "steps", "4200"),
        ("27000", "s", "time asleep", "7 h 30 min"),
        ("3600", "s", "time asleep", "1 h 00 min"),
        ("1500", "s", "snoring", "25 min"),
        ("12", "s", "snoring", "12 s"),
        ("81", "", "sleep score", "81"),
        ("-1.50", "", "type 9", "-1.5"),
        ("123456789012345", "", "type 9", "123456789012345"),
    ],
)
def test_a_value_for_a_person(value: str, unit: str, kind: str, expected: str) -> None:
    assert charts.value_text(made(value, kind, unit)) == expected


def test_a_picture_goes_from_the_lowest_to_the_highest() -> None:
    assert charts.sparkline(Decimal(n) for n in range(8)) == charts.BLOCKS
    assert charts.sparkline([Decimal(5), Decimal(5), Decimal(5)]) == "▄▄▄"
    assert charts.sparkline([Decimal(1), Decimal(2)], charts.ASCII_BLOCKS) == "_@"
    assert charts.sparkline([Decimal(1)]) == charts.sparkline([]) == ""


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**6), max_value=10**6)))
def test_any_values_have_a_picture(values: list[Decimal]) -> None:
    assert len(charts.sparkline(values)) == (len(values) if len(values) > 1 else 0)


def test_a_table_of_each_device_with_the_main_kinds_first() -> None:
    rows = [made("20", "fat ratio", "%"), made("71"), made("70", taken=NOON - timedelta(days=1))]
    rows += [made("1.76", "height", "m", device="", origin="person", taken=NOON - timedelta(days=9))]
    lines = charts.table_lines(charts.sections(rows, DEVICES), 80)
    assert lines[0] == "Body+  (00:24:E4:20:00:3C, account default, user 7)"
    assert [line.split()[0] for line in lines if line.startswith("  ")] == ["KIND", "weight", "fat", "KIND", "height"]
    assert lines[2].endswith("▁█")
    assert lines[5] == "typed by hand  (account default, user 7)"


def test_everything_fits_into_eighty_columns_and_steers_no_terminal() -> None:
    long = made("123456789.123456789", "segmental fat-free mass, position 12 \x1b[31m", "mL/min/kg")
    rows = [made(str(n), long.kind, "mL/min/kg", taken=NOON + timedelta(minutes=n)) for n in range(16)] + [long]
    devices = {ID: Device(ID, "体重計体重計体重計体重計体重計体重計\x1b]0;x\x07", "", "", "")}
    lines = charts.table_lines(charts.sections(rows, devices), 80)
    assert max(cell_len(line) for line in lines) <= 80
    assert "\x1b" not in "".join(lines)
    assert "\x07" not in "".join(lines)


def test_a_device_is_named_in_many_ways() -> None:
    rows = [made(model="body-plus"), made(device="00:24:E4:20:00:3C", source="bluetooth"), made(device="other")]
    for text in (ID, ID[:6], "body+", "BODY-PLUS", "00:24:e4:20:00:3c"):
        assert selection.matching_device_ids(text, rows, DEVICES) == {ID, "00:24:E4:20:00:3C"}
    assert selection.matching_device_ids("other", rows, DEVICES) == {"other"}
    for text in ("9f2", "nothing", ""):
        with pytest.raises(InstallerError) as caught:
            selection.matching_device_ids(text, rows, DEVICES)
        assert caught.value.code is ErrorCode.DATA_UNKNOWN
        assert "Body+" in caught.value.todo


def test_a_kind_that_is_not_there_is_told_with_those_that_are() -> None:
    selection.check_kind("weight", [made()])
    with pytest.raises(InstallerError) as caught:
        selection.check_kind("wieght", [made()])
    assert (caught.value.exit_status, caught.value.todo) == (79, "Kinds in the store: weight.")


def test_a_device_that_is_known_by_its_address_has_the_name_of_its_other_half_or_of_its_model() -> None:
    bluetooth = [
        made(device="00:24:E4:20:00:3C", source="bluetooth", model="body-plus"),
        made(device="F0:00:00:00:00:01", source="bluetooth", model="move"),
        made(device="F0:00:00:00:00:02", source="bluetooth"),
    ]
    mine = {ID: Device(ID, "Scale of the bath", "body-plus", "00:24:E4:20:00:3C")}
    found = selection.with_names([made(), *bluetooth], mine, {"body-plus": "Body+", "move": "Move"})
    assert [charts.device_name(row, found) for row in bluetooth] == ["Scale of the bath", "Move", "F0:00:00:00:00:02"]
    assert found[ID] == mine[ID]
