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
    """The places of this program's own secrets.

    `variables`: in capitals. `keyring`: case-folded. `files`, `folders`: resolved paths.
    """

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
            keyring=frozenset(ref.keyring.casefold() for ref in found if ref.keyring is not None),
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
            return (
                "where this program keeps a secret of its own" if reference.keyring.casefold() in self.keyring else ""
            )
        if reference.file in (None, STDIN):
            return ""
        return self._why_never_file(path)

    def why_never_opened(self, status: os.stat_result) -> str:
        """Like `why_never`, for a file that is open: another name of one of these files is this file, too."""
        if not stat.S_ISREG(status.st_mode):
            return "no regular file"
        own = any(_is(status, file) for file in self.files)
        return "where this program keeps a secret of its own" if own else ""

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


def _references(part: BaseModel) -> Iterator[SecretRef]:
    for name in type(part).model_fields:
        value = getattr(part, name)
        if isinstance(value, SecretRef):
            yield value
        elif isinstance(value, BaseModel):
            yield from _references(value)


def _is(status: os.stat_result, file: Path) -> bool:
    try:
        found = file.stat()
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (status.st_dev, status.st_ino)


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
