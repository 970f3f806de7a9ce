"""The options that choose records: words, outcome, model, site, operator, batch, time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from installer.cli.options import Since, Until

if TYPE_CHECKING:
    from installer.ledger.query_types import Filter


@dataclass(frozen=True)
class FilterOptions:
    """Which records a command is about."""

    words: Annotated[
        list[str] | None, typer.Argument(metavar="WORDS", help="Only records that contain all of these words.")
    ] = None
    outcome: Annotated[
        list[str] | None,
        typer.Option(
            "--outcome", metavar="O", help="installed, to_be_linked, failed, cancelled, interrupted, running."
        ),
    ] = None
    model: Annotated[list[str] | None, typer.Option("--model", metavar="NAME", help="Of this model (repeatable).")] = (
        None
    )
    site: Annotated[list[str] | None, typer.Option("--site", metavar="S", help="At this site (repeatable).")] = None
    operator: Annotated[
        list[str] | None, typer.Option("--operator", metavar="O", help="By this operator (repeatable).")
    ] = None
    batch: Annotated[list[str] | None, typer.Option("--batch", metavar="NAME", help="Of this batch (repeatable).")] = (
        None
    )
    since: Since = None
    until: Until = None

    def filter(self) -> Filter:
        """The same for the ledger. Raises USAGE."""
        from installer.ledger.filter_options import filter_from_options

        return filter_from_options(
            outcome=self.outcome or (),
            model=self.model or (),
            site=self.site or (),
            operator=self.operator or (),
            batch=self.batch or (),
            since=self.since,
            until=self.until,
            text=" ".join(self.words or ()) or None,
        )
