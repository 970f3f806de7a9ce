"""Near names: SSIDs that a person may have meant who typed another one.

An SSID is compared byte by byte, and people do not see every byte: a blank at the end, a capital letter, a backslash
of a code, a typographic apostrophe, an accent that is stored in another way. Two names are near if nothing but that
sets them apart. Whether one is meant, only a person can say.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

# Of these Unicode categories a name may have more or fewer: blanks, dashes, connectors, quotation marks, accents that
# stand alone, and what draws nothing.
_LOOSE_CATEGORIES = {"Zs", "Zl", "Zp", "Pd", "Pc", "Pi", "Pf", "Mn", "Cf", "Cc"}
_LOOSE = set("\\'\"`\u00b4")
_SENTENCE_ENDS = ".,;:"


def near_names(name: str, heard: Iterable[str]) -> list[str]:
    """The names in `heard` that are near to `name`, in their order; empty if `name` itself is among them."""
    names = list(dict.fromkeys(heard))
    key = _key(name)
    if name in names or not key:
        return []
    return [one for one in names if _key(one) == key]


def difference(name: str, other: str) -> str:
    """What sets two near names apart, for a person who cannot see it. Completes “they differ in …”."""
    if unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", other):
        return "how an accent is stored"
    found = [words for words, one, two in _views(name, other) if one != two]
    return " and ".join(found) or "a character that looks alike"


def _views(name: str, other: str) -> Iterable[tuple[str, str, str]]:
    """For each kind of difference its words, and of both names what counts for it."""
    yield "a blank at the start", _start(name), _start(other)
    yield "a blank at the end", _end(name), _end(other)
    for words, characters in (("a backslash", "\\"), ("a no-break space", "\u00a0\u202f")):
        yield words, _only(name, characters), _only(other, characters)
    inner, other_inner = name.strip().replace("\\", ""), other.strip().replace("\\", "")
    if inner.lower() == other_inner.lower():
        yield "capital letters", inner, other_inner


def _start(name: str) -> str:
    return name[: len(name) - len(name.lstrip())]


def _end(name: str) -> str:
    return name[len(name.rstrip()) :]


def _only(name: str, characters: str) -> str:
    return "".join(c for c in name.strip() if c in characters)


def _key(name: str) -> str:
    """What is left of a name when all is taken away that people do not see or do not type."""
    # Compatibility forms: full-width letters become plain ones, an accent stands alone.
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    kept = "".join(c for c in plain if c not in _LOOSE and unicodedata.category(c) not in _LOOSE_CATEGORIES)
    return kept.rstrip(_SENTENCE_ENDS) or kept
