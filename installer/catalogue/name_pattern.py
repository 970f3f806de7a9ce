"""Patterns for the names that devices advertise: regular expressions of a kind that can never be slow.

A catalogue file may come from somebody else, and a name from any device within range. Python's engine tries the ways in
which a pattern can fit one after another, and some patterns have more ways than anybody can wait for: `(a+)+b` doubles
them with each letter of a name. So a pattern has only these parts, and `check` counts its ways before it is used:

- letters, `.`, classes (`[0-9A-F]`, `\\d`, `\\w`, `\\s`), `\\b`, `^`, `$`, and any other sign after a backslash;
- groups `(…)`, `(?:…)` with `|`, and looking ahead, `(?=…)` and `(?!…)`;
- `*`, `+`, `{m,n}` after one letter or class, and `?` after anything.
"""

from __future__ import annotations

import re
import warnings

MAX_PATTERN_CHARACTERS = 120
# The longest name in Bluetooth (Core Specification, Vol 3, Part C, 12.1). A longer one fits no pattern.
MAX_NAME_CHARACTERS = 248
# How many ways a pattern may have to fit a name. Two `.*` have 62,001; that takes a millisecond.
MAX_WAYS = 100_000
_REPEAT = re.compile(r"\{(?!\})(\d*)(,(\d*))?\}")


def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern, without regard to capital letters. Raises ValueError, as `check`."""
    check(pattern)
    return re.compile(pattern, re.IGNORECASE)


def fits(pattern: re.Pattern[str], name: str) -> bool:
    """Whether a name begins as the pattern says."""
    return len(name) <= MAX_NAME_CHARACTERS and pattern.match(name) is not None


def check(pattern: str) -> None:
    """Raise ValueError, which says what to do, for a pattern with other parts or with too many ways to fit a name."""
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise ValueError(f"a pattern has at most {MAX_PATTERN_CHARACTERS} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's hints about a pattern do not help a person
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"not a regular expression: {error}") from None
    if _Ways(pattern).count() > MAX_WAYS:
        raise ValueError("there are too many ways in which this pattern can fit a name: use fewer of *, +, ? and {}")


class _Ways:
    """Counts the ways in which a valid pattern can fit a name of the longest kind: an upper bound."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._position = 0

    def count(self) -> int:
        """The ways of the whole pattern."""
        return self._alternatives()

    def _alternatives(self) -> int:
        ways = self._sequence()
        while self._next("|"):
            ways += self._sequence()
        return ways

    def _sequence(self) -> int:
        ways = 1
        while self._position < len(self._pattern) and self._pattern[self._position] not in "|)":
            ways = min(ways * self._repeated(), MAX_WAYS + 1)
        return ways

    def _repeated(self) -> int:
        inner, is_group = self._part()
        least, most = self._quantifier()
        if (least, most) == (1, 1):
            return inner
        if self._quantifier() != (1, 1) or self._pattern[self._position : self._position + 1] in ("*", "+"):
            raise ValueError("a pattern repeats a part only once: leave out the sign after *, +, ? or {}")
        if most == 1:
            return inner + 1
        if is_group:
            raise ValueError("a pattern repeats letters and classes only: leave out the *, + or {} after a )")
        return most - least + 1

    def _part(self) -> tuple[int, bool]:
        """One letter, class or group: its ways, and whether it is a group."""
        sign = self._pattern[self._position]
        self._position += 1
        if sign == "(":
            return self._group(), True
        if sign == "[":
            self._class()
        elif sign == "\\":
            self._escape()
        return 1, False

    def _group(self) -> int:
        if self._next("?") and not any(self._next(kind) for kind in (":", "=", "!")):
            raise ValueError("a pattern has only the groups (…), (?:…), (?=…) and (?!…)")
        ways = self._alternatives()
        self._next(")")
        return ways

    def _class(self) -> None:
        self._next("^")
        self._next("]")  # a bracket at the start stands for itself
        while not self._next("]"):
            self._position += 2 if self._pattern[self._position] == "\\" else 1

    def _escape(self) -> None:
        sign = self._pattern[self._position]
        if sign.isalnum() and sign not in "bBdDwWsS":
            raise ValueError(f"a pattern has no \\{sign}")
        self._position += 1

    def _quantifier(self) -> tuple[int, int]:
        """How often the part before may come, at least and at most; (1, 1) without a sign for that."""
        for sign, least, most in (("*", 0, MAX_NAME_CHARACTERS), ("+", 1, MAX_NAME_CHARACTERS), ("?", 0, 1)):
            if self._next(sign):
                return least, most
        found = _REPEAT.match(self._pattern, self._position)
        if found is None:
            return 1, 1
        self._position = found.end()
        least = min(int(found[1] or 0), MAX_NAME_CHARACTERS)
        longest = found[1] if found[2] is None else found[3]
        return least, min(int(longest or MAX_NAME_CHARACTERS), MAX_NAME_CHARACTERS)

    def _next(self, sign: str) -> bool:
        """Go on behind this sign, if it is here; whether it was."""
        if not self._pattern.startswith(sign, self._position):
            return False
        self._position += 1
        return True
