"""Text that came from outside, made safe for a terminal."""

from __future__ import annotations

import re
import unicodedata

# Characters that draw nothing or steer the terminal or the direction of the text.
_STEERING = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
# Emoji are joined by the zero-width joiner and dressed by variation selectors; both are harmless.
_HARMLESS = {"\u200d", "\ufe0f"}


def printable(text: str, limit: int = 80) -> str:
    """`text` with control and direction characters shown as a replacement sign, cut at `limit`."""
    safe = "".join(c if c in _HARMLESS or unicodedata.category(c) not in _STEERING else "\ufffd" for c in text)
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"


def without_score(reason: str) -> str:
    """Why a model was recognised, without “(+40, …)”: the scores are for `scan --json` and for records as JSON."""
    return re.sub(r"\s*\([+-]\d[^)]*\)", "", reason)


def sentence(text: str) -> str:
    """`text` with a capital first letter: for the beginning of a line."""
    return text[:1].upper() + text[1:]


def decode(data: bytes) -> str:
    """UTF-8 of an untrusted sender; what is not UTF-8 becomes a replacement sign."""
    return data.decode("utf-8", "replace")
