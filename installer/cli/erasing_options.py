"""The options of the commands that erase something, and their question: nothing is erased without a yes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated

import typer

from installer import output
from installer.errors import ErrorCode, InstallerError

SERVER_COPIES = (
    "The tables were written anew. PostgreSQL's write-ahead log, its archives, backups and replicas keep the old rows "
    "until the server's administrator lets them expire."
)


@dataclass(frozen=True)
class ErasingOptions:
    """How a command erases."""

    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be erased.")] = False
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. A script needs this.")] = False
    json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False

    def confirm(self, question: str) -> None:
        """Ask, unless `--yes` was given. Raises ANSWER_MISSING if nobody can be asked, INTERRUPTED after a no."""
        if self.yes:
            return
        if not sys.stdin.isatty():
            raise InstallerError(
                ErrorCode.ANSWER_MISSING,
                "Nothing was erased: there is nobody to ask.",
                "--dry-run shows what would be erased; --yes erases it without a question.",
            )
        try:
            answer = output.ask_line(f"{question} [y/N] ").strip().lower()
        except EOFError:
            answer = ""
        if answer not in ("y", "yes"):
            raise InstallerError(ErrorCode.INTERRUPTED, "Nothing was erased.", "")
