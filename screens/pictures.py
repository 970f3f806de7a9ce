"""Pictures of the models for a terminal, from `assets/pictures/`: at most 24 × 9 characters, each one cell wide."""

from __future__ import annotations

import re
from importlib import resources

from installer.catalog import Model

WIDTH, HEIGHT = 24, 9
_ANY = "device"


def picture(model: Model) -> str:
    """The picture that the catalogue names, or the model's own, or one of its type, or that of any device."""
    folder = resources.files("assets").joinpath("pictures")
    names = [model.picture, model.id, model.type.value.replace(" ", "-")]
    for name in [n for n in names if n != _ANY and re.fullmatch(r"[a-z0-9-]+", n)] + [_ANY]:
        file = folder.joinpath(f"{name}.txt")
        if file.is_file():
            return file.read_text("utf-8").rstrip("\n")
    return ""
