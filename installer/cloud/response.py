"""The cloud's answers: the JSON envelope, the status numbers, and their errors (`withings-cloud.md` §5). Pure.

An answer is HTTP 200 with `{"status": int, "body": {...}, "error"?: str}`; only status 0 is success. The vendor
documents families of status numbers, not exact causes. A family becomes an `InstallerError` with `data["status"]`.
"""

from __future__ import annotations

import enum
import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

from installer.errors import ErrorCode, InstallerError
from installer.text import printable

MAX_BYTES = 4 * 1024 * 1024
DEFAULT_BUSY_SECONDS = 60.0
# This may be a token or a code.
_TOKEN_LIKE = re.compile(r"[A-Za-z0-9._~+/=-]{20,}")
MAX_WAIT_SECONDS = 86_400.0
LOOKED_AT = 4000  # characters of the cloud's words; far fewer are shown
MIN_PIECE = 8  # characters of a piece of an address that may be its secret
_NAMED_IN_HTML = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}


class Family(enum.Enum):
    """The families of status numbers."""

    OK = "success"
    AUTHENTICATION = "authentication failed"
    INVALID = "invalid parameters"
    UNAUTHORIZED = "not allowed"
    TIMEOUT = "timeout"
    BAD_STATE = "bad state"
    BUSY = "too many requests"
    NOT_IMPLEMENTED = "not implemented"
    ERROR = "an error occurred"


# The ranges of the table in §5. Any other number means “an error occurred”.
_STATUS_RANGES: dict[Family, str] = {
    Family.OK: "0",
    Family.AUTHENTICATION: "100-102 200 401",
    Family.INVALID: (
        "201-213 216-218 220-221 223 225 227-230 234-236 238 240-252 254 260-267 271-272 275-276 283-288 290 "
        "293-295 297 300-304 321 323-353 380-382 400 501-511 523 532 3017-3019"
    ),
    Family.UNAUTHORIZED: "214 277 2553 2555",
    Family.TIMEOUT: "522",
    Family.BAD_STATE: "524",
    Family.BUSY: "601",
    Family.NOT_IMPLEMENTED: "2554",
    # 503 lies within 501-511: it is “invalid parameters”, not HTTP's 503.
}


def _parse_range(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


_FAMILY_BY_STATUS = {
    number: family for family, text in _STATUS_RANGES.items() for part in text.split() for number in _parse_range(part)
}


def family(status: int) -> Family:
    """The family of a status number."""
    return _FAMILY_BY_STATUS.get(status, Family.ERROR)


@dataclass(frozen=True)
class Answer:
    """A parsed answer. `repr` omits the body: it may hold tokens."""

    status: int
    body: dict[str, Any] = field(repr=False)
    error: str = field(default="", repr=False)

    @property
    def family(self) -> Family:
        """The family of its status."""
        return family(self.status)

    @property
    def wait_seconds(self) -> float:
        """How long to wait after a status 601; 60 s if the cloud does not say."""
        value = self.body.get("wait_seconds")
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
            return DEFAULT_BUSY_SECONDS
        return float(min(value, MAX_WAIT_SECONDS))


def parse_answer(content: bytes) -> Answer:
    """The answer in these bytes. Raises CLOUD_FAILED if they are not an envelope."""
    if len(content) > MAX_BYTES:
        raise invalid_answer(f"its answer is longer than {MAX_BYTES} bytes")
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        # The text of the error would quote the answer.
        raise invalid_answer("its answer is not JSON") from None
    if not isinstance(data, dict):
        raise invalid_answer("its answer is not an object")
    status = data.get("status")
    if isinstance(status, bool) or not isinstance(status, int):
        raise invalid_answer("its answer has no status number")
    body = data.get("body")
    error = data.get("error")
    # An empty body may be `{}`, `[]`, null or missing.
    return Answer(status, body if isinstance(body, dict) else {}, error if isinstance(error, str) else "")


def invalid_answer(why: str) -> InstallerError:
    """CLOUD_FAILED for an answer that cannot be parsed."""
    return InstallerError(
        ErrorCode.CLOUD_FAILED,
        f"The cloud gave an invalid answer: {why}.",
        "Check the cloud's address in the settings. If it is right, try again later.",
    )


def answer_error(answer: Answer, doing: str, secrets: tuple[str, ...] = ()) -> InstallerError:
    """The error for an answer that is not a success. `doing`: what was tried; it completes “while …”.

    `secrets`: what was sent; it is removed from the cloud's error text, which may quote it.
    """
    status, kind = answer.status, answer.family
    said = _safe_text(answer.error, secrets)
    detail = f" (status {status}{': ' + said if said else ''})"
    data: dict[str, Any] = {"status": status, "family": kind.value, "said": said}
    match kind:
        case Family.AUTHENTICATION:
            code, what, todo = (
                ErrorCode.TOKEN_REJECTED,
                f"The cloud no longer accepts the sign-in, while {doing}{detail}.",
                "Sign in again.",
            )
        case Family.BUSY:
            data["wait_seconds"] = answer.wait_seconds
            code, what, todo = (
                ErrorCode.CLOUD_BUSY,
                f"The cloud reports too many requests, while {doing}{detail}.",
                f"Try again in {math.ceil(answer.wait_seconds)} s.",
            )
        case Family.UNAUTHORIZED:
            code, what, todo = (
                ErrorCode.CLOUD_FAILED,
                f"This application is not allowed to do this: {doing}{detail}.",
                "Check the scopes that were granted at the sign-in, and the plan of the application.",
            )
        case Family.INVALID:
            code, what, todo = (
                ErrorCode.CLOUD_FAILED,
                f"The cloud does not accept the request, while {doing}{detail}.",
                "Check the settings; trying again does not help.",
            )
        case Family.NOT_IMPLEMENTED:
            code, what, todo = (
                ErrorCode.CLOUD_FAILED,
                f"The cloud does not know this request, while {doing}{detail}.",
                "Check the cloud's address in the settings.",
            )
        case _:
            code, what, todo = (
                ErrorCode.CLOUD_FAILED,
                f"The cloud answered with an error, while {doing}{detail}.",
                "Try again later.",
            )
    return InstallerError(code, what, todo, **data)


def _safe_text(text: str, secrets: tuple[str, ...]) -> str:
    text = text[:LOOKED_AT]
    parts = {part for secret in secrets for part in _parts(secret)}
    for part in sorted(parts, key=len, reverse=True):
        text = _in_any_spelling(part).sub("…", text)
    return printable(_TOKEN_LIKE.sub("…", text), 120)


def _parts(sent: str) -> set[str]:
    """What was sent and, of an address, the parts that are secret on their own: its path, its query, their pieces."""
    found = {sent} - {""}
    _, sign, rest = sent.partition("://")
    if sign:
        path = rest.partition("/")[2]
        pieces = {path, *re.split(r"[/?#&=]", path)}
        found |= {piece for piece in pieces if len(piece) >= MIN_PIECE}
    return found


def _in_any_spelling(part: str) -> re.Pattern[str]:
    """Finds it also in other capitals, and with any of its signs encoded as in an address, a form, HTML or JSON."""
    return re.compile("".join(_spellings(sign) for sign in part), re.IGNORECASE)


def _spellings(sign: str) -> str:
    """A pattern for one sign: itself, `%2F` (or again, `%252F`), `&#47;`, `&#x2F;`, `&amp;`, `\\u002f`, `\\/`."""
    code = ord(sign)
    # No repetition is without end: the text may be long, and made to be slow.
    ways = [r"\\{0,4}" + re.escape(sign)]
    ways.append("".join(f"%(?:25){{0,3}}{byte:02x}" for byte in sign.encode("utf-8", "surrogatepass")))
    ways += [f"&(?:amp;){{0,3}}#0{{0,4}}{code};", f"&(?:amp;){{0,3}}#x0{{0,4}}{code:x};", rf"\\{{1,4}}u{code:04x}"]
    if sign == " ":
        ways.append(r"\+")
    if sign in _NAMED_IN_HTML:
        ways.append(f"&(?:amp;){{0,3}}{_NAMED_IN_HTML[sign]};")
    return f"(?:{'|'.join(ways)})"
