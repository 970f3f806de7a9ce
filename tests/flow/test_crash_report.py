"""A crash report names the place of a defect, and no value. Whole runs: `tests/security/test_secret_matrix.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer.cli.crash_report import report_defect
from tests.flow.support import PASSPHRASE


def test_a_crash_report_holds_no_message_and_no_value(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def defect(passphrase: str) -> None:
        raise RuntimeError(f"cannot send {passphrase}")

    with pytest.raises(RuntimeError) as caught:
        defect(PASSPHRASE)
    assert report_defect(caught.value) == 1
    (report,) = (home / "state" / "crashes").iterdir()
    text = report.read_text("utf-8")
    said = capsys.readouterr().err
    assert "RuntimeError" in text
    assert "in defect" in text
    assert str(report) in said
    assert PASSPHRASE not in text + said
    assert "Traceback" not in said
