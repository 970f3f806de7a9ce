"""Whether a ledger is this user's alone, and what a row of any other ledger must not hold.

A ledger that others can write is a letter that somebody else may have written. It gets no place of a secret and no
path of this computer, because a row that names them would let its writer choose what another station reads and sends.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from installer import settings
from installer.errors import ErrorCode
from installer.ledger.database import Target
from installer.text import capitalized

# Answers that are places of secrets or addresses where something goes; with the step that they belong to.
PLACES = (("find", "proof"), ("network", "passphrase"), ("link", "notify"))
LOCAL_OPTIONS = ("adapter", "catalogues")  # of one computer; no other can use them
WRITTEN_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
# File systems of a server: their modes do not say who else can write there.
NETWORK_FILE_SYSTEMS = frozenset(
    ("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "fuse.sshfs", "fuse.glusterfs")
)
HAS_MODES = os.name == "posix"  # whether an owner and a mode say who can write a file
MOUNTS = Path("/proc/self/mounts")


def is_private(target: Target) -> bool:
    """Whether the ledger is this user's own word: a file in the program's data folder that nobody else can change.

    A file at any other place is shared: it may have come by mail or be on a server, and its owner and mode do not say
    who wrote it. A file that is not there yet is judged by its folder. Where the system has no modes, the place counts.
    """
    file = target.file
    if file is None:
        return False
    try:
        path = Path(os.path.realpath(file))
        if not path.is_relative_to(os.path.realpath(settings.data_dir())):
            return False
        if not HAS_MODES:
            return True
        if path.exists() and not _is_own(path):
            return False
        folder = next(parent for parent in path.parents if parent.exists())
        return _is_own(folder) and all(map(_is_safe, folder.parents)) and not _is_on_server(folder)
    except OSError:
        return False


def answers_for_ledger(answers: dict[str, Any], *, private: bool) -> dict[str, Any]:
    """The recorded answers; for a ledger of several users without places of secrets, addresses, and the consent.

    Of the consent to send, only the required encryption is left: it makes an installation stricter.
    """
    if private:
        return answers
    kept = dict(answers)
    if requires_encryption(kept):
        kept["provision"] = {"require_encryption": True}
    else:
        kept.pop("provision", None)
    for step, key in PLACES:
        part = kept.get(step)
        if isinstance(part, Mapping) and not isinstance(part.get(key), bool | None):
            kept[step] = {name: value for name, value in part.items() if name != key}
            if key == "proof":
                # The device must still prove itself: what is taken out lowers no minimum.
                kept[step]["require_proof"] = True
    return kept


def requires_encryption(answers: Any) -> bool:
    """Whether recorded answers ask that the credentials are sent encrypted only."""
    part = answers.get("provision") if isinstance(answers, Mapping) else None
    return isinstance(part, Mapping) and part.get("require_encryption") is True


def options_for_ledger(options: dict[str, Any], *, private: bool) -> dict[str, Any]:
    """The recorded options; for a ledger of several users without what belongs to one computer."""
    return options if private else {name: value for name, value in options.items() if name not in LOCAL_OPTIONS}


def failure_for_ledger(code: str, what: str, *, private: bool) -> str:
    """The words of a failure; for a ledger of several users what its code means: the words may name a file of here."""
    if private:
        return what
    meaning = next((known.meaning for known in ErrorCode if known.value == code), "it failed")
    return f"{capitalized(meaning)}."


def places_in(answers: Any) -> list[str]:
    """The keys of recorded answers that name a place of a secret or an address, as `network.passphrase`."""
    found = []
    for step, key in PLACES:
        part = answers.get(step) if isinstance(answers, Mapping) else None
        if isinstance(part, Mapping) and not isinstance(part.get(key), bool | None):
            found.append(f"{step}.{key}")
    return found


def _is_own(path: Path) -> bool:
    info = path.stat()
    return info.st_uid == os.geteuid() and not info.st_mode & WRITTEN_BY_OTHERS


def _is_safe(folder: Path) -> bool:
    """Whether nobody but its owner can put another folder in the place of one in it; the owner is this user or root."""
    info = folder.stat()
    return info.st_uid in (0, os.geteuid()) and (not info.st_mode & stat.S_IWOTH or bool(info.st_mode & stat.S_ISVTX))


def _is_on_server(folder: Path) -> bool:
    """Whether the folder is on a file system of a server; False if the system does not say."""
    try:
        lines = MOUNTS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    above = {str(folder), *map(str, folder.parents)}
    mounts = [parts for parts in (line.split(" ") for line in lines) if len(parts) > 2]
    found = [(parts[1].replace("\\040", " "), parts[2]) for parts in mounts]
    # The last of several mounts at one place counts.
    kinds = {place: kind for place, kind in found if place in above}
    return bool(kinds) and kinds[max(kinds, key=len)] in NETWORK_FILE_SYSTEMS
