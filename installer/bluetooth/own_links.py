"""The links that this user's programs have made through the system's Bluetooth, and those that nobody holds any more.

A link outlives the program that made it (`bluez-behaviour`, rule 9): the system keeps it, and a connected device does
not advertise. So a program notes each link before it connects, and takes the note away when the link has ended. What is
noted by a process that is gone was left open. Only such links are ended; those of other programs are in no note.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from installer.text import printable
from installer.text.bounded_read import read_bounded

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def left_link_words(address: str) -> str:
    """What a person is told when such a link was ended."""
    return f"A link to {printable(address, 64)} that an earlier run left open was ended."


class Note(Protocol):
    """One note (`installer/storage/process_marks.py`)."""

    text: str

    def remove(self) -> None:
        """Take it away."""
        ...

    def leave(self) -> None:
        """Hold it no more, as if this process had died."""
        ...


class Notes(Protocol):
    """The notes of this user's programs."""

    def hold(self, text: str) -> Note | None:
        """Make one; None if that is not possible."""
        ...

    def held(self) -> Sequence[tuple[str, float]]:
        """Text and age of those whose process lives."""
        ...

    def take_abandoned(self) -> Sequence[Note]:
        """Those whose process is gone; they are this process's now."""
        ...


@dataclass(frozen=True)
class LeftLink:
    """A link that nobody holds. `path`: of the device's D-Bus object; `made`: seconds after the system's start."""

    address: str
    path: str
    made: float
    note: Note


class OwnLinks:
    """Notes the links of this process, and finds those that others left."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    def hold(self, address: str, path: str) -> Note | None:
        """Note a link that is about to be made to this device, with its D-Bus object."""
        text = {
            "address": address.upper(),
            "path": path,
            "boot": _boot_id(),
            "made": seconds_after_start(),
            "process": os.getpid(),
        }
        return self._notes.hold(json.dumps(text))

    def held_elsewhere(self, path: str) -> float | None:
        """When another living process noted a link to this D-Bus object, the first of several; None: no other has."""
        notes = (_parse(text) for text, _ in self._notes.held())
        return min((n.made for n in notes if n and n.path == path and n.process != os.getpid()), default=None)

    def take_left(self) -> list[LeftLink]:
        """The links that programs which are gone have left. Their notes are held by this process: see to each."""
        # Taken first, then looked who lives. The other way round, a program that dies in between would count as living,
        # and its note would be taken away with nobody to end its link.
        taken = self._notes.take_abandoned()
        ours = {note.text for note in taken}
        held = (_parse(text) for text, _ in self._notes.held() if text not in ours)
        living = {link.path for link in held if link is not None}
        found: dict[str, LeftLink] = {}
        for note in taken:
            link = _parse(note.text)
            # Of another start of the system, or another program of ours has the device again.
            if link is None or link.path in living or link.path in found:
                note.remove()
                continue
            found[link.path] = LeftLink(link.address, link.path, link.made, note)
        return list(found.values())


def seconds_after_start() -> float:
    """The clock on which links are dated: it goes on in sleep, and nobody sets it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(frozen=True)
class _Noted:
    address: str
    path: str
    made: float
    process: int


def _parse(text: str) -> _Noted | None:
    """What the note says; None if it cannot be read, or is of another start of the system."""
    with suppress(ValueError, TypeError, KeyError, RecursionError):
        said = json.loads(text)
        noted = _Noted(str(said["address"]), str(said["path"]), float(said["made"]), int(said.get("process", 0)))
        if said["boot"] == _boot_id() and noted.path.startswith("/org/bluez/"):
            return noted
    return None


def _boot_id() -> str:
    with suppress(OSError, ValueError):
        return read_bounded(_BOOT_ID, 64).decode("ascii").strip()
    return ""
