"""Prints what was fetched: lines for a person, or JSON for a script."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from installer import output
from installer.catalogue.catalogue import DataService
from installer.errors import InstallerError
from installer.measurements import charts
from installer.measurements import json_lines as messages
from installer.measurements.fetch import Fetched
from installer.measurements.row import Row
from installer.measurements.store import Added, Store
from installer.text import printable

# So many new values a person is shown at once.
SHOWN = 20
WORDS = {DataService.MEASURES: "measurements", DataService.ACTIVITY: "activity", DataService.SLEEP: "sleep"}


class Printer:
    """Hears of a fetch, or of the rounds of a watch. `total`: how many values were new."""

    def __init__(self, store: Store, *, json: bool) -> None:
        self._store = store
        self._json = json
        self._shown = 0
        self._hidden = 0
        self._told_left_out: set[str] = set()
        self.total = 0

    def got(self, added: Added) -> None:
        """Some values were stored."""
        self.total += len(added.new)
        self._values(added.new, "new")
        self._values(added.changed, "changed")

    def _values(self, rows: Iterable[Row], change: Literal["new", "changed"]) -> None:
        devices = self._store.devices()
        for row in sorted(rows, key=lambda r: r.taken):
            if self._json:
                output.result(messages.value(row, change, charts.name(row, devices)).model_dump_json())
            elif self._shown < SHOWN:
                self._shown += 1
                output.result(charts.line(row, devices))
            else:
                self._hidden += 1

    def round_ended(self, ended: list[Fetched], *, always: bool = False) -> None:
        """All accounts were looked at. `always`: say it also where nothing was new."""
        if self._hidden:
            output.words(f"… and {self._hidden} more; `device-installer data show` has the last of each kind.")
        self._shown = self._hidden = 0
        for one in ended:
            left_out = bool(one.left_out) and one.account not in self._told_left_out
            if always or one.misfits or left_out or (self._json and (one.new or one.changed)):
                self._account(one)

    def _account(self, one: Fetched) -> None:
        self._told_left_out.add(one.account)
        if self._json:
            output.result(messages.fetched(one).model_dump_json())
            return
        words = [f"{one.new} new", f"{one.changed} changed" if one.changed else ""]
        words += [f"{one.misfits} not understood" if one.misfits else ""]
        if one.left_out:
            words.append(f"not granted when signing in: {', '.join(WORDS[service] for service in one.left_out)}")
        if one.error is not None:
            words.append(one.error.what)
        output.words(f"{printable(one.account)}: {', '.join(w for w in words if w)}")

    def trouble(self, account: str | None, error: InstallerError | None) -> None:
        """Something fails and is tried again, or works again."""
        if self._json:
            output.result(messages.Trouble(account=account, error=messages.failure(error)).model_dump_json())
            return
        who = f"{printable(account)}: " if account is not None else ""
        if error is None:
            output.words(f"{who}it works again.")
        else:
            output.words(f"{who}{error.what} It is tried again. {error.todo}".strip())
