"""The cloud's answers: status numbers, and invalid envelopes."""

from __future__ import annotations

import html
import json
import re
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.cloud.response import DEFAULT_BUSY_SECONDS, Answer, Family, answer_error, family, parse_answer
from installer.errors import ErrorCode, InstallerError

# The row “an error occurred” of the table. The program uses it for every number that is in no other row.
ERRORS = (
    "215 219 222 224 226 231-233 237 253 255-259 268-270 273-274 278-282 289 291-292 296 298 305-320 322 370-375 383 "
    "391 402 516-521 525-531 533 602 700 1051-1054 2551-2552 2556-2559 3000-3016 3020-3024 5000-5006 6000 6010-6011 "
    "9000 10000"
)


def numbers(text: str) -> list[int]:
    found = []
    for part in text.split():
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("0", Family.OK),
        ("100-102 200 401", Family.AUTHENTICATION),
        ("201 213 218 286 293 294 304 321 323 353 382 400 501 503 511 523 532 3017 3019", Family.INVALID),
        ("214 277 2553 2555", Family.UNAUTHORIZED),
        ("522", Family.TIMEOUT),
        ("524", Family.BAD_STATE),
        ("601", Family.BUSY),
        ("2554", Family.NOT_IMPLEMENTED),
        (ERRORS, Family.ERROR),
        ("-1 1 99 403 404 500 999999", Family.ERROR),
    ],
)
def test_the_family_of_a_number(rows: str, expected: Family) -> None:
    wanted = [int(rows.split()[0]), *numbers(" ".join(rows.split()[1:]))] if rows.startswith("-") else numbers(rows)
    assert {family(n) for n in wanted} == {expected}


@pytest.mark.parametrize("body", ["[]", "{}", "null", '"x"', "7"])
def test_an_empty_or_odd_body_is_an_empty_one(body: str) -> None:
    assert parse_answer(f'{{"status":401,"body":{body},"error":"no"}}'.encode()) == Answer(401, {}, "no")


def test_a_missing_body_is_an_empty_one() -> None:
    assert parse_answer(b'{"status":0}') == Answer(0, {}, "")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>secret-token</html>",
        b"[]",
        b'{"body":{}}',
        b'{"status":"0"}',
        b'{"status":true}',
        b'{"status":0.0}',
        b'{"status":0',
        b"[" * 200_000,
        b"\xff\xfe\x00",
        b'{"status":0,"body":{"a":"' + b"x" * 5_000_000 + b'"}}',
    ],
)
def test_garbage_is_said_to_be_garbage_and_never_quoted(content: bytes) -> None:
    with pytest.raises(InstallerError) as caught:
        parse_answer(content)
    assert caught.value.code is ErrorCode.CLOUD_FAILED
    assert "secret-token" not in str(caught.value)


def meaning(content: bytes) -> ErrorCode | Answer:
    try:
        return parse_answer(content)
    except InstallerError as error:
        return error.code


@given(st.binary(max_size=200))
def test_bytes_are_an_answer_or_garbage(content: bytes) -> None:
    found = meaning(content)
    assert isinstance(found, Answer) or found is ErrorCode.CLOUD_FAILED


KEYS = st.sampled_from(["status", "body", "error", "wait_seconds"])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=10))
def test_any_json_is_an_answer_with_a_meaning_or_garbage(value: object) -> None:
    found = meaning(json.dumps(value).encode())
    if isinstance(found, Answer):
        assert answer_error(found, "testing").data["status"] == found.status
        assert found.wait_seconds >= 0
    else:
        assert found is ErrorCode.CLOUD_FAILED


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, ErrorCode.TOKEN_REJECTED),
        (503, ErrorCode.CLOUD_FAILED),
        (2555, ErrorCode.CLOUD_FAILED),
        (601, ErrorCode.CLOUD_BUSY),
        (4711, ErrorCode.CLOUD_FAILED),
    ],
)
def test_a_family_becomes_an_error_that_a_script_can_act_on(status: int, code: ErrorCode) -> None:
    error = answer_error(Answer(status, {}, "because"), "reading devices")
    assert error.code is code
    assert error.data["status"] == status
    assert str(status) in error.what
    assert "because" in error.what
    assert error.todo


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"wait_seconds": 188}, 188),
        ({"wait_seconds": 0}, 0),
        ({}, DEFAULT_BUSY_SECONDS),
        ({"wait_seconds": -1}, DEFAULT_BUSY_SECONDS),
        ({"wait_seconds": "9"}, DEFAULT_BUSY_SECONDS),
        ({"wait_seconds": True}, DEFAULT_BUSY_SECONDS),
        ({"wait_seconds": float("nan")}, DEFAULT_BUSY_SECONDS),
        ({"wait_seconds": 10**400}, 86_400),
    ],
)
def test_how_long_the_cloud_wants_to_be_left_alone(body: dict[str, object], seconds: float) -> None:
    assert answer_error(Answer(601, body), "testing").data["wait_seconds"] == seconds


def test_the_clouds_words_are_made_safe_and_lose_what_was_sent() -> None:
    error = answer_error(Answer(503, {}, "bad\x1b[2J token abc123" + "x" * 500), "testing", ("abc123", ""))
    assert "abc123" not in str(error)
    assert "\x1b" not in str(error)
    assert len(error.what) < 300


SENT = "ab/cd+Ef gh&é"
ADDRESS = "https://hook.example/abcdefghij/k2k3k4k5k6?key=q1w2e3r4t5"


@pytest.mark.parametrize(
    ("sent", "spelled"),
    [
        (SENT, SENT),
        (SENT, SENT.upper()),
        (SENT, quote(SENT)),
        (SENT, quote(SENT, safe="").lower()),
        (SENT, quote_plus(SENT)),
        (SENT, quote(quote(SENT, safe=""), safe="")),
        (SENT, html.escape(SENT)),
        (SENT, "".join(f"&#x{ord(c):x};" for c in SENT)),
        (SENT, json.dumps(SENT)[1:-1].replace("/", "\\/")),
        (SENT, "".join(f"%{byte:02X}" for byte in SENT.encode())),
        ("s3cret-of-us", "S3CRET-OF-US"),
        (ADDRESS, "/abcdefghij/k2k3k4k5k6?key=q1w2e3r4t5"),
        (ADDRESS, "abcdefghij/k2k3k4k5k6"),
        (ADDRESS, "k2k3k4k5k6"),
        (ADDRESS, "q1w2e3r4t5"),
        (ADDRESS, quote("abcdefghij/k2k3k4k5k6", safe="")),
    ],
)
def test_the_clouds_words_lose_what_was_sent_in_any_spelling(sent: str, spelled: str) -> None:
    error = answer_error(Answer(503, {}, f"bad: {spelled} !"), "testing", (sent,))
    assert re.sub("/|%2F|…+", "*", error.data["said"]).replace("*", "") == "bad:  !", error.data


def test_words_that_are_made_to_be_slow_are_not() -> None:
    # Without a bound on its repetitions the search would not end within the test's time.
    words = "\\" * 2_000_000 + "%25" * 500_000 + "&amp;" * 200_000
    assert answer_error(Answer(503, {}, words), "testing", ("a/b c&d" * 5,)).data["said"]


def test_an_answer_does_not_show_its_body() -> None:
    assert "secret" not in repr(Answer(0, {"access_token": "secret"}, "secret"))
