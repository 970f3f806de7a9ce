"""The one place that writes to standard output (results) and standard error (words)."""

from __future__ import annotations

import sys


def result(text: str) -> None:
    """One line of result for whoever reads standard output; flushed, so that a pipe sees it at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def words(text: str) -> None:
    """One line for the person at the terminal."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def ask(prompt: str) -> str:
    """Ask the person for one line; the prompt goes to standard error. Raises EOFError at the end of input."""
    sys.stderr.write(prompt)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\r\n")
