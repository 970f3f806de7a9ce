"""Text from devices and servers, made safe for a terminal (`printable`), and small changes of text for the screen."""

from __future__ import annotations

import re
import unicodedata

# Unicode categories of characters that draw nothing, or that control the terminal or the direction of the text.
_CONTROL_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
# Emoji need the zero-width joiner and the variation selector. Both are harmless.
_HARMLESS = {"\u200d", "\ufe0f"}
_CODE = re.compile(r"\W{0,8}(?:WIFI:.*:|\{\s*\"|https?:.*[?&]data=|otpauth)", re.IGNORECASE | re.DOTALL)


def printable(text: str, limit: int = 80) -> str:
    """`text` cut at `limit` characters, with a replacement character in place of each control character."""
    safe = "".join(
        c if c in _HARMLESS or unicodedata.category(c) not in _CONTROL_CATEGORIES else "\ufffd" for c in text
    )
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"


def looks_like_code(text: str) -> bool:
    """Whether this is the text of a set-up code, with its secret, where a name was asked for."""
    return _CODE.match(text) is not None


def printable_name(text: str, limit: int = 80) -> str:
    """A name that a person gave, for an error: `printable`, but never the text of a code, which holds a secret."""
    return "(the text of a code)" if looks_like_code(text) else printable(text, limit)


def without_score(reason: str) -> str:
    """The reason why a model was recognised, without its score “(+40, …)”. Only JSON output shows scores."""
    return re.sub(r"\s*\([+-]\d[^)]*\)", "", reason)


def capitalized(text: str) -> str:
    """`text` with a capital first letter."""
    return text[:1].upper() + text[1:]


def decode(data: bytes) -> str:
    """UTF-8 text from an untrusted sender. Bytes that are not UTF-8 become replacement characters."""
    return data.decode("utf-8", "replace")
