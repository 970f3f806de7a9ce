"""Splits the body of a `WIFI:` text into its parts (`T`, `S`, `P`, …), in each way that its maker may have meant. Pure.

The standard way splits at each `;` without a backslash and undoes the backslashes. Several makers escape nothing: there
the text is split only where a known key stands after a `;`, and values are taken as they stand. The second way is tried
only if something in the text is a sign of such a maker.

Sources: ZXing's `WifiResultParser` and Android's reader (keys T S P H E PH2 A I R), the WPA3 specification, section 7
(T R S H I P K), NetworkManager's `nmcli device wifi show-password` (quotes only around hexadecimal digits).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice, product

# Key by key, what its value can be. A key with another value is taken as text: as a part of the value before it.
_VALUES = {
    "T": r"[\w/+ -]{0,24}",
    "S": r".*",
    "P": r".*",
    "H": r"\s*(true|false|0|1|yes|no|)\s*",
    "R": r"[0-9a-f]{0,8}",
    "I": r".*",
    "K": r"[a-z0-9+/=%-]*",
    "E": r"[\w-]*",
    "PH2": r"[\w-]*",
    "A": r".*",
    "AI": r".*",
}
_PATTERNS = {key: re.compile(pattern, re.DOTALL | re.IGNORECASE) for key, pattern in _VALUES.items()}
_KEY = re.compile(r"(?:^|(?<=;))(PH2|AI|[TSPHRIKEA]):")
_PLAIN_AFTER_BACKSLASH = re.compile(r"(?<!\\)(?:\\\\)*\\(?:[^\\;,:\"]|$)", re.DOTALL)
_BACKSLASH_BEFORE_KEY_OR_END = re.compile(r"(?<!\\)(?:\\\\)*\\;(?:(?:PH2|AI|[TSPHRIKEA]):|;?$)")
MAX_WAYS = 16  # of one text, for a maker that escapes nothing

Parts = dict[str, str]


def standard(body: str) -> Parts:
    """The raw values by key, split at each `;` without a backslash; of a repeated key, the first value.

    Lower-case keys count if the text has no S in upper case.
    """
    return dict(reversed(_keys_and_values(_pieces(body))))


def unescaped(value: str) -> str:
    """The value without its backslashes: each stands for the character after it."""
    return re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)


def looks_unescaped(body: str) -> bool:
    """Whether something in the text is the sign of a maker that escapes nothing.

    The signs: a piece without a known key, a repeated key, a `;` too many, a backslash before a plain letter, before a
    key or at the end, a bare colon or quote beside a backslash.
    """
    if _PLAIN_AFTER_BACKSLASH.search(body) or _BACKSLASH_BEFORE_KEY_OR_END.search(body):
        return True
    pieces = _pieces(body)
    trailing = 0
    while pieces and not pieces[-1]:
        pieces.pop()
        trailing += 1
    if trailing > 2 or "" in pieces:  # a text ends with two, and some makers write one
        return True
    found = _keys_and_values(pieces)
    keys = [key for key, _ in found]
    if len(set(keys)) < len(keys) or not all(_is_part(key, unescaped(value)) for key, value in found):
        return True
    # Makers that escape anything escape the colon and the quote; some leave the comma.
    return "\\" in body and any(re.search('[:"]', re.sub(r"\\.", "", value, flags=re.DOTALL)) for _, value in found)


def literal(body: str) -> Iterator[Parts]:
    """Each way to split the text of a maker that escapes nothing; at most `MAX_WAYS`. Values stand as written."""
    body = body.removesuffix(";").removesuffix(";")
    places: dict[str, list[re.Match[str]]] = {}
    for match in _KEY.finditer(body):
        places.setdefault(match[1], []).append(match)
    for chosen in islice(product(*places.values()), MAX_WAYS):
        parts = _between(body, sorted(chosen, key=lambda match: match.start()))
        if "S" in parts:
            yield parts


def _between(body: str, keys: list[re.Match[str]]) -> Parts:
    """The values between these keys. A key whose value cannot be is a part of the value before it."""
    while keys:
        ends = [*(match.start() - 1 for match in keys[1:]), len(body)]
        values = [body[match.end() : end] for match, end in zip(keys, ends, strict=True)]
        wrong = next((i for i, m in enumerate(keys) if not _is_part(m[1], values[i])), None)
        if wrong is None:
            return {match[1]: value for match, value in zip(keys, values, strict=True)}
        keys = [*keys[:wrong], *keys[wrong + 1 :]]
    return {}


def _pieces(body: str) -> list[str]:
    pieces, piece, escaped = [], "", False
    for character in body:
        if character == ";" and not escaped:
            pieces.append(piece)
            piece = ""
            continue
        piece += character
        escaped = character == "\\" and not escaped
    return [*pieces, piece]


def _keys_and_values(pieces: Iterable[str]) -> list[tuple[str, str]]:
    """Key and value of each piece that is not empty; the key is empty where there is none."""
    found = []
    for piece in filter(None, pieces):
        key, colon, value = piece.partition(":")
        found.append((key.strip(), value) if colon else ("", piece))
    upper_case = any(key == "S" for key, _ in found)
    return found if upper_case else [(key.upper(), value) for key, value in found]


def _is_part(key: str, value: str) -> bool:
    pattern = _PATTERNS.get(key)
    return pattern is not None and pattern.fullmatch(value) is not None
