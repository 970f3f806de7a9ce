"""The order of the found devices: those that can be set up come first, and known rows keep their place. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from installer.bluetooth.sighting import SetupState, Sighting
from installer.catalogue.model import Model

# After the first device, the list is sorted for this long.
SETTLE_SECONDS = 2.0


def selectable(sighting: Sighting, wanted: Model | None = None) -> bool:
    """Whether the program can set it up, according to its advertisement."""
    detection = sighting.detection
    if wanted is not None:
        return detection.model_id == wanted.id
    return detection.model_id is not None or detection.protocol is not None


def rank(sighting: Sighting) -> int:
    """0: a known model that is not set up yet; 1: other known models; 2: all others."""
    if not selectable(sighting):
        return 2
    return 0 if sighting.state is SetupState.NEW else 1


def matches(sighting: Sighting, model_name: str, words: str) -> bool:
    """Whether every word is part of the name, model, address or protocol; upper or lower case does not matter."""
    text = f"{sighting.name} {model_name} {sighting.address} {sighting.detection.protocol or ''}".casefold()
    return all(word in text for word in words.casefold().split())


class DeviceOrder:
    """Keeps the rows in place.

    For `SETTLE_SECONDS` after the first sighting, or until the user moves the cursor, devices are sorted by
    rank, signal bars and name. Then known rows stay where they are, and a new device is added at the end of
    its rank. `sort()` sorts once more.
    """

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._ranks: dict[str, int] = {}
        self._first_seen: float | None = None
        self._sort_next_time = True

    def sort(self) -> None:
        """Sort at the next `arrange`."""
        self._sort_next_time = True

    def arrange(self, sightings: Iterable[Sighting], now: float, user_moved: bool) -> list[Sighting]:
        """The sightings in the order of the rows. `now` in seconds; `user_moved`: the user has moved the cursor."""
        by_key = {s.address: s for s in sightings}
        if self._first_seen is None and by_key:
            self._first_seen = now
        settling = self._first_seen is not None and now - self._first_seen < SETTLE_SECONDS and not user_moved
        if settling or self._sort_next_time:
            self._sort_next_time = self._first_seen is None
            ordered = sorted(
                by_key.values(), key=lambda s: (rank(s), -s.bars, s.name.casefold() or "\uffff", s.address)
            )
            self._keys = [s.address for s in ordered]
            self._ranks = {s.address: rank(s) for s in ordered}
            return ordered
        self._keys = [k for k in self._keys if k in by_key]
        known = set(self._keys)
        self._ranks = {k: self._ranks[k] for k in self._keys}
        for key, sighting in by_key.items():
            if key not in known:
                self._insert(key, rank(sighting))
        return [by_key[k] for k in self._keys]

    def _insert(self, key: str, new_rank: int) -> None:
        last = max((i for i, k in enumerate(self._keys) if self._ranks[k] <= new_rank), default=-1)
        self._keys.insert(last + 1, key)
        self._ranks[key] = new_rank
