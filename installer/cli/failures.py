"""Failures of a command that goes on with the rest: the first one decides the exit status, and all are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from installer import output
from installer.errors import InstallerError


class Failures:
    """The failures of one command, in order."""

    def __init__(self) -> None:
        self._first: InstallerError | None = None

    def add(self, error: InstallerError | None) -> None:
        """Note a failure; None is none. The first one is told at the end, all others now."""
        if self._first is None:
            self._first = error
        elif error is not None:
            output.print_message(str(error))

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Note the failure of this block, and go on after it."""
        try:
            yield
        except InstallerError as error:
            self.add(error)

    def raise_first(self) -> None:
        """Raise the first failure, if there was one."""
        if self._first is not None:
            raise self._first
