"""Says once which time zones this computer does not know, what that does to the values, and what to do. Words only."""

from __future__ import annotations

from collections.abc import Iterable

from installer.text import printable
from installer.timing.zones import known_zone

# A zone that every database has.
_COMMON_ZONE = "Europe/London"


class ZoneNotes:
    """Remembers what it has said: each zone once in a run."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def about(self, names: Iterable[str]) -> list[str]:
        """Sentences about the names that are new and not known; empty for the others. An empty name: none was given."""
        new = [name for name in sorted(set(names)) if known_zone(name) is None and name not in self._said]
        self._said.update(new)
        return [_words(name) for name in new]


def _words(name: str) -> str:
    if not name:
        return (
            "The cloud gave no time zone for some values. Their times are shown in UTC, and a day has the hours of the "
            "UTC day. A later fetch corrects them if the cloud gives the zone."
        )
    shown = printable(name, 60)
    kept = "Its days keep their dates, with the hours of the UTC day, and are marked as such"
    if known_zone(_COMMON_ZONE) is None:
        return (
            f"This computer has no database of time zones, so it does not know “{shown}”, where the person is. "
            f"{kept}. Install the package tzdata (of the system, or beside device-installer): the "
            "next command about data then corrects them."
        )
    return (
        f"The cloud says that the person is in the time zone “{shown}”, which this computer does not know. "
        f"{kept}. Update the package tzdata, or device-installer: the next command about data then corrects them."
    )
