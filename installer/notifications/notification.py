"""Parser of notifications (`withings-cloud.md` §3.2, §3.3). Pure. A notification is untrusted: anybody may send one.

It names a user, a category of data (`appli`), and usually the time of the measurement. Only the first two are required.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from urllib.parse import parse_qsl

MAX_BODY_BYTES = 8 * 1024
MAX_FIELDS = 32
MAX_USERID = 32
MAX_APPLI = 9_999
DAY_SECONDS = 86_400
# A longer window is ignored. The fetch reads all changes anyway.
MAX_WINDOW_SECONDS = 31 * DAY_SECONDS
LATEST_TIME = 4_102_444_800  # the year 2100
ACTIONS = ("delete", "unlink", "update")


@dataclass(frozen=True)
class Notification:
    """One notification. `start`, `end`: unix seconds, both or none. `action`: an action on the user's account (46)."""

    userid: str
    appli: int
    start: int | None = None
    end: int | None = None
    action: str = ""


def parse_notification(body: bytes) -> Notification | None:
    """The notification in this form body; None if it is not valid."""
    fields = _fields(body)
    if fields is None:
        return None
    userid, appli = fields.get("userid", ""), _number(fields.get("appli", ""), MAX_APPLI)
    if not (0 < len(userid) <= MAX_USERID and userid.isascii() and userid.isdigit()) or not appli:
        return None
    start, end = _window(fields)
    action = fields.get("action", "")
    return Notification(userid, appli, start, end, action if action in ACTIONS else "")


def is_test(body: bytes) -> bool:
    """Whether this form body names no user and no category: somebody tests the address, and nothing is lost."""
    fields = _fields(body)
    return fields is not None and not {"userid", "appli"} & fields.keys()


def merge_windows(
    one: tuple[int | None, int | None], other: tuple[int | None, int | None]
) -> tuple[int | None, int | None]:
    """The window that contains both; none if one of them is none, or if the result is too long."""
    if None in (*one, *other):
        return None, None
    start, end = min(one[0] or 0, other[0] or 0), max(one[1] or 0, other[1] or 0)
    return (start, end) if end - start <= MAX_WINDOW_SECONDS else (None, None)


def _fields(body: bytes) -> dict[str, str] | None:
    try:
        return dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:  # not UTF-8, or too many fields
        return None


def _window(fields: dict[str, str]) -> tuple[int | None, int | None]:
    start, end = _number(fields.get("startdate", "")), _number(fields.get("enddate", ""))
    if start is None:
        start = _day(fields.get("date", ""))
        end = None if start is None else start + DAY_SECONDS - 1
    if start is None:
        return None, None
    end = start if end is None else end
    return (start, end) if 0 <= end - start <= MAX_WINDOW_SECONDS else (None, None)


def _day(text: str) -> int | None:
    """`YYYY-MM-DD` or unix seconds."""
    seconds = _number(text)
    if seconds is not None:
        return seconds
    try:
        day = date.fromisoformat(text)
        return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) if day.year >= 1970 else None
    except ValueError:
        return None


def _number(text: str, limit: int = LATEST_TIME) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        return None
    number = int(text)
    return number if number <= limit else None
