"""Records: whole after every change, and the memory of what was provisioned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from installer.errors import ErrorCode, InstallerError
from installer.ledger.records import Records


def test_each_step_is_in_the_file_at_once(tmp_path: Path) -> None:
    records = Records(tmp_path / "records")
    record = records.begin("abc", "1.0")
    assert records.all() == []
    record.step_done("find", 1.0, {"address": "A"})
    assert [s["step"] for s in json.loads((tmp_path / "records" / "abc.json").read_text())["steps"]] == ["find"]
    record.step_done("find", 2.0, {"address": "B"})
    record.failed("provision", "join_failed", "no")
    record.end("failed")
    (only,) = records.all()
    assert [s["result"] for s in only["steps"]] == [{"address": "B"}]
    assert only["failures"][0]["code"] == "join_failed"
    assert only["outcome"] == "failed"


def test_the_network_that_a_device_got_is_remembered(tmp_path: Path) -> None:
    records = Records(tmp_path)
    assert records.provisioned("A") is None
    record = records.begin("1", "1.0")
    record.step_done("find", 1.0, {"address": "A"})
    assert records.provisioned("A") is None
    record.sending("A", "Home")
    assert records.provisioned("A") == "Home"
    assert records.provisioned("B") is None


def test_a_file_that_is_no_record_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    (tmp_path / "y.json").write_text("[]")
    records = Records(tmp_path)
    records.begin("1", "1.0").end("installed")
    assert [r["id"] for r in records.all()] == ["1"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(InstallerError) as caught:
        Records(file / "records").begin("1", "1.0").end("installed")
    assert caught.value.code is ErrorCode.FILE_UNWRITABLE
    assert str(file / "records") in caught.value.what
