"""What a person means by a day, an age and an outcome."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from installer.errors import ErrorCode, InstallerError
from installer.ledger.filter_options import age, asked, moment

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "end", "meant"),
    [
        ("2026-11-25", False, "2026-11-24T23:00:00+00:00"),
        ("2026-11-25", True, "2026-11-25T23:00:00+00:00"),
        # The night in which the clocks change: the day has 25 hours.
        ("2026-10-25", False, "2026-10-24T22:00:00+00:00"),
        ("2026-10-25", True, "2026-10-25T23:00:00+00:00"),
        ("2026-11-25T08:00", False, "2026-11-25T07:00:00+00:00"),
        ("2026-11-25T08:00+00:00", True, "2026-11-25T08:00:00+00:00"),
        ("2026-12-31", True, "2026-12-31T23:00:00+00:00"),
        (" 12h ", False, "2026-11-25T00:00:00+00:00"),
        ("7D", True, "2026-11-18T12:00:00+00:00"),
    ],
)
def test_moments(text: str, end: bool, meant: str) -> None:
    assert moment(text, "--since", NOW, end=end) == datetime.fromisoformat(meant)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-02-30", "90", "-7d", "7 d d", "9999-12-31"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(InstallerError) as raised:
        moment(text, "--until", NOW, end=True)
    assert raised.value.code is ErrorCode.USAGE
    assert "--until" in raised.value.what


def test_ages() -> None:
    assert age("8w", "--older-than") == timedelta(weeks=8)
    with pytest.raises(InstallerError):
        age("2026-11-25", "--older-than")


def test_outcomes_as_people_write_them() -> None:
    assert asked(outcome=["To-Be-Linked", "to be linked", "FAILED"]).outcome == (
        "to_be_linked",
        "to_be_linked",
        "failed",
    )
    assert asked() == asked(text=None)
