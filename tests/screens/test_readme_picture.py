"""The picture of the README is what the wizard draws; `UPDATE_PICTURES=1` (or `--snapshot-update`)
renders it again.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.screens.scenes import SCENES, running, still, without_fonts

FOLDER = Path(__file__).parents[2] / "assets"
PICTURES = {"wizard.svg": "find"}


@pytest.mark.parametrize(("file", "name"), PICTURES.items())
async def test_picture_of_the_readme(file: str, name: str, request: pytest.FixtureRequest) -> None:
    script, scene = SCENES[name]
    async with running(script()) as (pilot, _):
        await scene(pilot)
        await still(pilot)
        drawn = without_fonts(pilot.app.export_screenshot())
    path = FOLDER / file
    if os.environ.get("UPDATE_PICTURES") or request.config.getoption("update_snapshots"):
        path.write_text(drawn, "utf-8")
    assert path.read_text("utf-8") == drawn, "UPDATE_PICTURES=1 renders the picture again"


@pytest.mark.parametrize("file", PICTURES)
def test_picture_loads_nothing_from_outside(file: str) -> None:
    text = (FOLDER / file).read_text("utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?://(?!www\.textualize\.io)|url\((?!#)|@import|<script|href=", text)
    assert "@font-face" not in text
