"""Prints fetched measurements: lines for a user, or JSON for a script."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from installer import output
from installer.cloud.data_api import ENDPOINTS
from installer.errors import InstallerError
from installer.measurements import charts, json_lines
from installer.measurements.fetch import Fetched
from installer.measurements.store import Added, Store
from installer.measurements.stored_value import Row
from installer.measurements.zone_notes import ZoneNotes
from installer.text import printable

# How many new values of one fetch are printed for a user.
MOST_LINES = 20


class MeasurementPrinter:
    """Prints the result of a fetch, or of each round of a watch. `total`: how many values were new."""

    def __init__(self, store: Store, *, json: bool) -> None:
        self._store = store
        self._json = json
        self._shown = 0
        self._hidden = 0
        self._reported_left_out: set[str] = set()
        self._zone_notes = ZoneNotes()
        self.total = 0

    def got(self, added: Added) -> None:
        """Some values were stored."""
        self.total += len(added.new)
        self._print_values(added.new, "new")
        self._print_values(added.changed, "changed")

    def _print_values(self, rows: Iterable[Row], change: Literal["new", "changed"]) -> None:
        devices = self._store.devices()
        for row in sorted(rows, key=lambda r: r.taken):
            if self._json:
                output.print_result(
                    json_lines.value_line(row, change, charts.device_name(row, devices)).model_dump_json()
                )
            elif self._shown < MOST_LINES:
                self._shown += 1
                output.print_result(charts.value_line(row, devices))
            else:
                self._hidden += 1

    def round_ended(self, ended: list[Fetched], *, always: bool = False) -> None:
        """All accounts were fetched. `always`: print it even if nothing was new."""
        if self._hidden:
            output.print_message(f"… and {self._hidden} more; `device-installer data show` has the last of each kind.")
        self._shown = self._hidden = 0
        for one in ended:
            left_out = bool(one.not_granted) and one.account not in self._reported_left_out
            counted = one.not_understood or one.placed or left_out
            if always or counted or (self._json and (one.new or one.changed)):
                self._print_account(one)
            for note in self._zone_notes.about(one.unknown_zones):
                output.print_message(note)

    def _print_account(self, one: Fetched) -> None:
        self._reported_left_out.add(one.account)
        if self._json:
            output.print_result(json_lines.account_line(one).model_dump_json())
            return
        parts = [f"{one.new} new", f"{one.changed} changed" if one.changed else ""]
        parts += [f"{one.not_understood} not understood" if one.not_understood else ""]
        parts += [f"{one.placed} got their time zone" if one.placed else ""]
        if one.not_granted:
            parts.append(
                f"not granted when signing in: {', '.join(ENDPOINTS[service].words for service in one.not_granted)}"
            )
        if one.error is not None:
            parts.append(one.error.what)
        output.print_message(f"{printable(one.account)}: {', '.join(part for part in parts if part)}")

    def trouble(self, account: str | None, error: InstallerError | None) -> None:
        """A fetch failed and is tried again, or (None) works again."""
        if self._json:
            output.print_result(
                json_lines.Trouble(account=account, error=json_lines.failure_of(error)).model_dump_json()
            )
            return
        who = f"{printable(account)}: " if account is not None else ""
        if error is None:
            output.print_message(f"{who}it works again.")
        else:
            output.print_message(f"{who}{error.what} It is tried again. {error.todo}".strip())
