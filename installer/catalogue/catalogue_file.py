"""Reads the catalogue of models from TOML files.

The built-in catalogue is `assets/models.toml`. A user's files in the same format add models or replace entries with
the same id, so a new vendor's device needs an entry and no new code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from installer.catalogue.model import CatalogueEntry, Model
from installer.errors import ErrorCode, InstallerError, problems
from installer.text import printable
from installer.text.written_by_people import UnreadableText, parse_toml, read_text

MAX_RULES_NAMED = 5  # in a remark


class Catalogue(CatalogueEntry):
    """All models by id, in the order of the files. `remarks`: what given files change of known models, in words."""

    models: tuple[Model, ...]
    remarks: tuple[str, ...] = ()

    def get(self, model_id: str) -> Model:
        """The model with this id or name, case-insensitive. Raises ANSWERS_INVALID with the known ids."""
        wanted = model_id.strip().lower()
        for model in self.models:
            if wanted in (model.id, model.name.lower()):
                return model
        raise InstallerError(
            ErrorCode.ANSWERS_INVALID,
            f"There is no model “{model_id}” in the catalogue.",
            "Known models: " + ", ".join(m.id for m in self.models) + ".",
            model=model_id,
        )

    def joined(self, more: Iterable[Model]) -> Catalogue:
        """This catalogue with `more` models; a model with a known id replaces the old one."""
        merged = {m.id: m for m in self.models}
        merged.update({m.id: m for m in more})
        return Catalogue(models=tuple(merged.values()), remarks=self.remarks)

    def without_remarks(self) -> Catalogue:
        """The same, after they were said."""
        return self.model_copy(update={"remarks": ()})


class CatalogueFile(CatalogueEntry):
    """The format of a catalogue file (TOML): `[[model]]` tables."""

    version: Literal[1] = 1
    model: Annotated[tuple[Model, ...], Field(min_length=1)]


def load(
    extra: Sequence[Path] = (), is_protocol: Callable[[str], bool] | None = None, given: Sequence[Path] = ()
) -> Catalogue:
    """The built-in catalogue joined by the files in `extra`, then `given`, in order. Raises CATALOGUE_INVALID.

    `is_protocol`: whether an entry may name this protocol; without it any name passes. `extra` must be this user's or
    root's: nobody named these files. `given`: files that somebody named on the command line. Somebody else may have
    written them, so what they change of known models is said in `remarks`.
    """
    text = resources.files("assets").joinpath("models.toml").read_text("utf-8")
    catalogue = Catalogue(models=parse(text, "models.toml"))
    for number, path in enumerate((*extra, *given)):
        try:
            text = read_text(path, own=number < len(extra))
        except UnreadableText as error:
            raise _unreadable(f"The catalogue file {path}", str(path), error) from None
        models = parse(text, str(path), is_protocol)
        if number >= len(extra):
            catalogue = catalogue.model_copy(
                update={"remarks": (*catalogue.remarks, *_changes(catalogue, models, path))}
            )
        catalogue = catalogue.joined(models)
    return catalogue


def _changes(catalogue: Catalogue, models: Sequence[Model], path: Path) -> list[str]:
    """What these models change of known ones. Who writes how a model is recognised also writes who passes for it."""
    known = {model.id: model for model in catalogue.models}
    found = []
    for model in models:
        before = known.get(model.id)
        if before is None or before == model:
            continue
        new = [rule for rule in model.rules if rule not in before.rules]
        rules = ", ".join(f"{rule.evidence.value} {printable(rule.value, 40)}" for rule in new[:MAX_RULES_NAMED])
        more = f" and {len(new) - MAX_RULES_NAMED} more" if len(new) > MAX_RULES_NAMED else ""
        by = f" New is how it is recognised: {rules}{more}. A device that fits this passes for one." if new else ""
        file = printable(str(path), 200)
        found.append(f"The catalogue file {file} replaces the entry of {printable(before.name, 40)} ({model.id}).{by}")
    return found


def parse(text: str, source: str, is_protocol: Callable[[str], bool] | None = None) -> tuple[Model, ...]:
    """The models of one catalogue file. Raises CATALOGUE_INVALID naming file, line or key, and what is allowed."""
    try:
        data = parse_toml(text)
    except UnreadableText as error:
        raise _unreadable(source, source, error) from None
    try:
        models = CatalogueFile.model_validate(data, context={"is_protocol": is_protocol}).model
    except ValidationError as error:
        raise InstallerError(
            ErrorCode.CATALOGUE_INVALID,
            f"{source}: " + "; ".join(problems(error, data)) + ".",
            "`device-installer schema catalogue` prints the format.",
            file=source,
        ) from None
    ids = [m.id for m in models]
    duplicates = sorted({i for i in ids if ids.count(i) > 1})
    if duplicates:
        raise InstallerError(
            ErrorCode.CATALOGUE_INVALID,
            f"{source}: the id {', '.join(duplicates)} is there twice.",
            "Give each model its own id.",
            file=source,
        )
    return models


def _unreadable(name: str, source: str, error: UnreadableText) -> InstallerError:
    return InstallerError(ErrorCode.CATALOGUE_INVALID, f"{name} {error.why}.", error.todo, file=source)
