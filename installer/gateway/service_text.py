"""What no file of a service may hold: a character that begins a line of its own, or that hides what a line says.

Each kind of file checks every text that goes into it, whoever made it: a unit for systemd, a property list for launchd,
a task for Windows.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from installer.errors import ErrorCode, InstallerError

_LINES_AND_CONTROLS = frozenset({"Cc", "Zl", "Zp"})
# Marks that turn the direction of the text: what is shown is not what is there. And two that no XML may hold.
_HIDING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufffe\uffff")


def check_text(text: str, what: str) -> None:
    """Raise USAGE for a text that no service file can hold; the text is not repeated. `what`: its name, in words."""
    if text.isascii() and text.isprintable():
        return
    if any("\ud800" <= character <= "\udfff" for character in text):
        problem = "is not UTF-8 text"
    elif any(c in _HIDING or unicodedata.category(c) in _LINES_AND_CONTROLS for c in text):
        problem = "contains a line break or another control character"
    else:
        return
    raise InstallerError(
        ErrorCode.USAGE,
        f"{what} {problem}. The file of a service cannot hold that.",
        "Correct it, or use a path without such characters; then try again.",
    )


def check_command(command: Iterable[str]) -> None:
    """Raise USAGE for an argument that no service file can hold. It is named by the option before it."""
    before = ""
    for text in command:
        check_text(text, f"What is given with {before}" if before.startswith("--") else "An argument")
        before = text


def check_variables(environment: Mapping[str, str]) -> None:
    """Raise USAGE for a variable that no service file can hold."""
    for name, value in environment.items():
        check_text(name, "The name of a variable")
        check_text(value, f"The variable {name}")
