"""Who named a secret: the origin of a reference. It stays with the reference, and only a trusted one is ever read.

A reference is data, and data comes from many places. The command line, the settings, the saved networks and the person
at the keyring of this computer may name its secrets. An answers file, a plan or a row of a shared ledger may be written
by somebody else. So what is made of such data carries its origin from the first moment: the origin is given as the
context of the validation (`NAMED_BY`). Without one, nobody has vouched for the reference, and it is not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, PrivateAttr

NAMED_BY = "named_by"  # the key of the origin in the context of a validation


@dataclass(frozen=True)
class Origin:
    """Where a reference was read. `source`: in words, as in “the answers file a.toml”.

    `trusted`: this computer's own word. `leave`: its user gave leave for this reference and its target.
    `recorded`: own, but of an earlier run; somebody else may have changed what is there, so it is judged again.
    `folder`: that of the file; its relative names begin there.
    """

    source: str
    trusted: bool = False
    leave: bool = False
    recorded: bool = False
    folder: Path | None = None

    @property
    def context(self) -> dict[str, Any]:
        """The context for a validation of data that comes from here."""
        return {NAMED_BY: self}

    def with_leave(self) -> Origin:
        """The same origin, after this computer's user gave leave to use what it names."""
        return replace(self, leave=True)


COMMAND_LINE = Origin("the command line", trusted=True)
PERSON = Origin("the person at this computer", trusted=True)
SETTINGS = Origin("the settings of this computer", trusted=True)
SAVED_NETWORKS = Origin("the saved networks of this computer", trusted=True)
OWN_RECORD = Origin("the record of this computer's user", trusted=True, recorded=True)
OWN_CHOICES = Origin("the choices that this station made before", trusted=True, recorded=True)


class Named(BaseModel):
    """Base of the models that name a secret or where one goes. Their origin is no field: no file can write it."""

    _origin: Origin | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any) -> None:
        """Keep the origin that the validation was told."""
        if isinstance(context, Mapping):
            self._origin = context.get(NAMED_BY)

    def __eq__(self, other: object) -> bool:
        """Whether both say the same; who said it does not count."""
        return type(self) is type(other) and self.__dict__ == other.__dict__

    @property
    def origin(self) -> Origin | None:
        """Who named it; None: nobody knows."""
        return self._origin

    @property
    def is_own(self) -> bool:
        """Whether this computer's own settings, command line, records or user named it."""
        return self._origin is not None and self._origin.trusted

    @property
    def may_be_used(self) -> bool:
        """Whether it is own and of this run, or it was judged and may be used."""
        origin = self._origin
        return origin is not None and (origin.leave or (origin.trusted and not origin.recorded))

    def named_by(self, origin: Origin | None) -> Self:
        """A copy that this origin names."""
        copy = self.model_copy()
        copy._origin = origin
        return copy
