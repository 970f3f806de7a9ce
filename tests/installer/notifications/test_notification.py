"""The parser of notifications: valid and invalid ones, and any bytes."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.notifications.notification import (
    MAX_WINDOW_SECONDS,
    Notification,
    is_test,
    merge_windows,
    parse_notification,
)


@pytest.mark.parametrize(
    ("form", "notification"),
    [
        (
            "userid=7&appli=1&startdate=1730000000&enddate=1730000001",
            Notification("7", 1, 1_730_000_000, 1_730_000_001),
        ),
        ("userid=7&appli=16&date=2024-10-27", Notification("7", 16, 1_729_987_200, 1_730_073_599)),
        ("userid=7&appli=50&date=1730000000&deviceid=abc", Notification("7", 50, 1_730_000_000, 1_730_086_399)),
        ("userid=7&appli=46&action=delete", Notification("7", 46, action="delete")),
        ("userid=7&appli=46&action=%1b[2J", Notification("7", 46)),
        ("foo=bar&userid=7&appli=44", Notification("7", 44)),
        # An invalid window is dropped; the fetch reads all changes.
        ("userid=7&appli=1&startdate=5&enddate=4", Notification("7", 1)),
        ("userid=7&appli=1&startdate=0&enddate=4000000000", Notification("7", 1)),
        ("userid=7&appli=1&startdate=-1&enddate=x", Notification("7", 1)),
        ("userid=7&appli=16&date=0001-01-01", Notification("7", 16)),
        ("userid=7&appli=1&startdate=1730000000", Notification("7", 1, 1_730_000_000, 1_730_000_000)),
    ],
)
def test_what_the_cloud_sends(form: str, notification: Notification) -> None:
    assert parse_notification(form.encode()) == notification


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"userid=7",
        b"appli=1",
        b"userid=&appli=1",
        b"userid=7&appli=0",
        b"userid=7&appli=99999",
        b"userid=../../etc&appli=1",
        b"userid=" + b"1" * 33 + b"&appli=1",
        "userid=٧&appli=1".encode(),
        b"\xff\xfe",
        b"&".join(b"a%d=1" % n for n in range(100)),
    ],
)
def test_what_is_no_notification(body: bytes) -> None:
    assert parse_notification(body) is None


@pytest.mark.parametrize("body", [b"", b"{}", b"hello", b"a=1&b=2", b"USERID=7"])
def test_what_names_no_user_and_no_category_is_a_test(body: bytes) -> None:
    assert is_test(body)


@pytest.mark.parametrize("body", [b"userid=7", b"appli=", b"userid=7&appli=1", b"\xff\xfe"])
def test_what_may_be_a_damaged_notification_is_no_test(body: bytes) -> None:
    assert not is_test(body)


@given(
    st.binary(max_size=400)
    | st.dictionaries(st.text(max_size=9), st.text(max_size=30)).map(lambda d: urlencode(d, errors="replace").encode())
)
def test_anything_may_come(body: bytes) -> None:
    notification = parse_notification(body)
    if notification is not None and notification.start is not None and notification.end is not None:
        assert 0 <= notification.end - notification.start <= MAX_WINDOW_SECONDS


def test_two_windows_become_one_that_holds_both() -> None:
    assert merge_windows((10, 20), (15, 30)) == (10, 30)
    assert merge_windows((10, 20), (None, None)) == (None, None)
    assert merge_windows((10, 20), (10 + MAX_WINDOW_SECONDS, 20 + MAX_WINDOW_SECONDS)) == (None, None)
