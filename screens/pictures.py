"""Pictures of the models for a terminal, from `assets/pictures/`: at most 24 × 9 characters, each one cell wide."""

from __future__ import annotations

import re
from importlib import resources

from installer.catalogue.catalogue import DeviceType, Model

WIDTH, HEIGHT = 24, 9
_ANY = "device"
_TYPES = {
    DeviceType.SCALE: "scale",
    DeviceType.BLOOD_PRESSURE_MONITOR: "cuff",
    DeviceType.SLEEP_MAT: "mat",
    DeviceType.THERMOMETER: "thermometer",
    DeviceType.WATCH: "watch",
}


def picture(model: Model) -> str:
    """The model's own picture, or the one that its catalogue entry names, or one of its type, or that of any device."""
    folder = resources.files("assets").joinpath("pictures")
    names = [model.id, model.picture, _TYPES.get(model.type, _ANY)]
    for name in [n for n in names if n != _ANY and re.fullmatch(r"[a-z0-9-]+", n)] + [_ANY]:
        file = folder.joinpath(f"{name}.txt")
        if file.is_file():
            return file.read_text("utf-8").rstrip("\n")
    return ""
