"""The last resort for an OSError that no part of the program has turned into words: the output, or one of our folders.

A file of somebody else, or an error without a path, stays a defect: then the program did not know what it did.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from installer import output
from installer.errors import ErrorCode, InstallerError
from installer.storage.unusable_paths import NO_SPACE_ERRORS, unwritable
from installer.text import capitalized

# The commands that print and change nothing. All others are brought to their end, also if nobody reads what they say.
ONLY_PRINT = (
    *("scan", "models", "doctor", "schema", "exits", "account list", "bonds list", "data export", "data show"),
    *("gateway status", "lab scenario", "lab status", "ledger status", "networks list", "notifications list"),
    *("records export", "records list", "records show"),
)
_ONLY_PRINTING_OPTIONS = ("--help", "-h", "--version", "--dry-run", "--template", "--list", "--print")


def only_prints(arguments: Sequence[str]) -> bool:
    """Whether the command with these arguments changes nothing."""
    names = (" ".join(arguments[:1]), " ".join(arguments[:2]))
    return any(option in arguments for option in _ONLY_PRINTING_OPTIONS) or any(name in ONLY_PRINT for name in names)


def output_failed(why: str) -> InstallerError:
    """FILE_UNWRITABLE for standard output."""
    return InstallerError(
        ErrorCode.FILE_UNWRITABLE,
        f"{capitalized(output.STANDARD_OUTPUT)} cannot be written: {why}.",
        "Free some space, or send it elsewhere. What was done until then is kept.",
    )


def unusable_path(error: OSError) -> InstallerError | None:
    """The error in words if it is one of the output, of a folder of ours, or of a full disk. Else None."""
    if error.filename == output.STANDARD_OUTPUT:
        return output_failed(error.strerror or str(error))
    if not isinstance(error.filename, str):
        # Only Python itself writes to a file without a name, such as what `--help` prints.
        return output_failed(error.strerror or str(error)) if error.errno in NO_SPACE_ERRORS else None
    path = Path(error.filename)
    if error.errno not in NO_SPACE_ERRORS and not any(path.is_relative_to(one) for one in _own_folders()):
        return None
    return unwritable(f"{path} cannot be used", path, error)


def _own_folders() -> list[Path]:
    """The folders of this program, those above them left out; none if they are not to be used."""
    from installer import settings

    found = []
    for folder in (settings.config_dir, settings.data_dir, settings.state_dir, settings.runtime_dir):
        try:
            found.append(folder())
        except (InstallerError, OSError, RuntimeError):
            continue
    return found
