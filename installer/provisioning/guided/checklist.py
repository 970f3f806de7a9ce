"""The checklist of the guided hand-off: how to set a device up with the vendor's app, if it speaks no open protocol.

This is no provisioner: the program sends nothing to such a device. The texts are data, `assets/guides.toml`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from installer.catalogue.model import Model, SyncMethod
from installer.text.written_by_people import parse_toml


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GuideStep(_Part):
    """One step. `models`, `sync`: only for these; `associated`: only for a device that belongs to an account."""

    text: Annotated[str, Field(min_length=1)]
    models: tuple[str, ...] = ()
    sync: SyncMethod | None = None
    associated: bool = False

    def applies(self, model: Model, sync: SyncMethod, *, associated: bool) -> bool:
        """Whether a device like this needs the step."""
        fits = not self.models or model.id in self.models
        return fits and self.sync in (None, sync) and (associated or not self.associated)


class Guide(_Part):
    """The guide of a vendor. `url`: the vendor's public page; empty if none is known."""

    vendor: str = ""
    app: str
    url: str = ""
    steps: Annotated[tuple[GuideStep, ...], Field(min_length=1)]


class GuideFile(_Part):
    """The format of `assets/guides.toml`; the last guide is for all vendors without their own."""

    version: Literal[1] = 1
    guide: Annotated[tuple[Guide, ...], Field(min_length=1)]


@dataclass(frozen=True)
class Checklist:
    """The steps for one device, in order. `app`: the name of the vendor's app; `url`: for a QR code, or empty."""

    app: str
    url: str
    steps: tuple[str, ...]


def checklist(model: Model, sync: SyncMethod, account: str, *, associated: bool = False) -> Checklist:
    """The checklist for a device of this model and sync method; `account`: its name on this computer."""
    guides = _guides()
    guide = next((g for g in guides if g.vendor and g.vendor == model.vendor), guides[-1])
    words = {"model": model.name, "account": account, "app": guide.app, "url": guide.url, "button": model.button}
    steps = (step for step in guide.steps if step.applies(model, sync, associated=associated))
    return Checklist(guide.app, guide.url, tuple(step.text.format_map(words) for step in steps))


@cache
def _guides() -> tuple[Guide, ...]:
    text = resources.files("assets").joinpath("guides.toml").read_text("utf-8")
    return GuideFile.model_validate(parse_toml(text)).guide
