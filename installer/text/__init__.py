"""Text from devices and servers, made safe for a terminal (`printable`), and small changes of text for the screen."""

from __future__ import annotations

import re
import unicodedata

# Unicode categories of characters that draw nothing, or that control the terminal or the direction of the text.
_CONTROL_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
# Letters, marks and signs that draw nothing, although their category does not say so: with them two names look alike.
# Source: Unicode's property Default_Ignorable_Code_Point; U+2800 and U+16FE4 are blanks beside it.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U00016fe4\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# Emoji need the zero-width joiner and the variation selector, which are harmless there and only there.
_EMOJI_JOINERS = {"\u200d", "\ufe0f"}
_EMOJI_CATEGORIES = {"So", "Sk"}
_QUOTES = {ord(c): "'" for c in '“”„‟"'}
_CODE = re.compile(r"\W{0,8}(?:WIFI:.*:|\{\s*\"|https?:.*[?&]data=|otpauth)", re.IGNORECASE | re.DOTALL)


def printable(text: str, limit: int = 80) -> str:
    """`text` cut at `limit` characters, with a replacement character for each that controls or that nobody sees."""
    safe = "".join(
        c if not _is_hidden(c) or (c in _EMOJI_JOINERS and _follows_emoji(text, place)) else "\ufffd"
        for place, c in enumerate(text)
    )
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"


def quoted(name: str, limit: int = 40) -> str:
    """A name that somebody else chose, in “quotes”; empty if there is none.

    Blanks in a row become one, and its own quotes others: so it cannot look like a column or the words beside it.
    """
    text = without_quotes(" ".join(printable(name, limit).split()))
    return f"“{text}”" if text else ""


def in_quotes(name: str, limit: int = 80) -> str:
    """A name whose every character counts, as an SSID, in “quotes”: a blank at its end can be seen. Never empty."""
    return f"“{without_quotes(printable(name, limit))}”"


def without_quotes(text: str) -> str:
    """`text` with other quotation marks than our sentences have: it cannot end itself and go on as one of them."""
    return text.translate(_QUOTES)


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in _CONTROL_CATEGORIES or _INVISIBLE.match(character) is not None


def _follows_emoji(text: str, place: int) -> bool:
    """Whether the character before this place is an emoji, or the variation selector of one."""
    before = text[place - 1 : place] if place else ""
    if before == "\ufe0f":
        before = text[place - 2 : place - 1] if place > 1 and text[place] == "\u200d" else ""
    return bool(before) and not before.isascii() and unicodedata.category(before) in _EMOJI_CATEGORIES


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
