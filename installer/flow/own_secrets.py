"""What no answers file, plan or shared record may name, whatever the options: the secrets of this program itself.

These are the variables of this program, the variables, files and keyring entries in which its settings keep secrets,
the files in its own folders, and what is no secret's place at all: devices, pipes, and the files of the kernel.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from installer import ENVIRONMENT_PREFIX, settings
from installer.settings import Settings
from installer.storage.secret_references import SecretRef
from installer.text.written_by_people import STDIN

# Variables in which the libraries of this program look for secrets: PostgreSQL's, and those of the proxies.
LIBRARY_VARIABLES = frozenset(
    ("PGPASSWORD", "PGPASSFILE", "PGSERVICEFILE", "PGSSLKEY", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY")
)
KERNEL_FOLDERS = ("/proc", "/sys", "/dev")


@dataclass(frozen=True)
class OwnSecrets:
    """The places of this program's own secrets. `variables`: in capitals. `files`, `folders`: resolved paths."""

    variables: frozenset[str] = LIBRARY_VARIABLES
    keyring: frozenset[str] = frozenset()
    files: frozenset[Path] = frozenset()
    folders: tuple[Path, ...] = ()

    @classmethod
    def of(cls, configured: Settings) -> OwnSecrets:
        """Those of these settings, and of the folders of this program."""
        found = list(_references(configured))
        files = {ref.file for ref in found if ref.file not in (None, STDIN)}
        files |= {configured.notifications.path_file, os.environ.get("PGPASSFILE", ""), "~/.pgpass"} - {""}
        folders = (settings.config_dir(), settings.data_dir(), settings.state_dir(), settings.runtime_dir())
        return cls(
            variables=LIBRARY_VARIABLES | {ref.env.upper() for ref in found if ref.env is not None},
            keyring=frozenset(ref.keyring for ref in found if ref.keyring is not None),
            files=frozenset(path for path in map(resolved, files) if path is not None),
            folders=tuple(path for path in (resolved(str(folder)) for folder in folders) if path is not None),
        )

    def why_never(self, reference: SecretRef, path: Path | None) -> str:
        """Why nobody but this computer itself may name it, in words that follow “it is”; empty if others may.

        `path`: the resolved path of its file.
        """
        if reference.env is not None:
            if reference.env.upper().startswith(ENVIRONMENT_PREFIX):
                return "a variable of this program itself"
            return "where this program keeps a secret of its own" if reference.env.upper() in self.variables else ""
        if reference.keyring is not None:
            return "where this program keeps a secret of its own" if reference.keyring in self.keyring else ""
        if reference.file in (None, STDIN):
            return ""
        return self._why_never_file(path)

    def _why_never_file(self, path: Path | None) -> str:
        if path is None:
            return "no path of a file"
        above = (path, *path.parents)
        if path in self.files or any(_same_file(path, own) for own in self.files):
            return "where this program keeps a secret of its own"
        if any(own in above or any(_same_file(folder, own) for folder in above) for own in self.folders):
            return "in a folder of this program itself"
        if any(Path(folder) in above for folder in KERNEL_FOLDERS):
            return "a device or a file of the kernel"
        try:
            kind = path.stat().st_mode
        except OSError:
            return ""  # reading it says why it cannot be read
        return "" if stat.S_ISREG(kind) else "no regular file"


def resolved(name: str, folder: Path | None = None) -> Path | None:
    """The path without links and `..`; a relative one begins in `folder`. None if it is no path."""
    try:
        return ((folder or Path()) / Path(name).expanduser()).resolve()
    except (OSError, RuntimeError, ValueError):
        return None


def is_beside(path: Path | None, folder: Path | None) -> bool:
    """Whether the resolved path is a plain file in this folder or below it, so that it came with the file there.

    Not so for hidden files and folders, for another name of a file elsewhere, and if the folder is a home folder or
    above one: what is in there did not come with the file.
    """
    if path is None or folder is None:
        return False
    home = resolved("~")
    top = resolved(str(folder))
    if top is None or home is None or top in (home, *home.parents) or top not in path.parents:
        return False
    if any(part.startswith(".") for part in path.relative_to(top).parts):
        return False
    try:
        found = path.stat()
    except OSError:
        return True  # reading it says why it cannot be read
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1


def _references(part: BaseModel) -> Iterator[SecretRef]:
    for name in type(part).model_fields:
        value = getattr(part, name)
        if isinstance(value, SecretRef):
            yield value
        elif isinstance(value, BaseModel):
            yield from _references(value)


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
