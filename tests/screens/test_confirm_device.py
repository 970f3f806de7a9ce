"""The confirm-device screen: the blink, and the picture of the model."""

from __future__ import annotations

import asyncio
from importlib import resources

import pytest
from rich.cells import cell_len

from installer.catalogue.catalogue_file import load
from installer.catalogue.model import DeviceType
from installer.errors import ErrorCode, InstallerError
from screens.confirm_device import PICTURE_HEIGHT, PICTURE_WIDTH, picture
from screens.sync import SyncScreen
from tests.screens.driver import (
    press_button,
    screen_text,
    wait_for_screen,
    wait_for_text,
)
from tests.screens.fake_engine import BODY_PLUS, CATALOGUE, Script
from tests.screens.scenes import (
    running,
    to_device,
)

REFUSED = InstallerError(ErrorCode.DEVICE_REFUSED, "The device cannot blink.", "Look at its label instead.")


async def test_the_device_blinks_on_request() -> None:
    blinked = asyncio.Event()

    async def identify() -> None:
        blinked.set()

    async with running(Script(identify=identify)) as (pilot, _):
        await to_device(pilot)
        for part in ("Body+ 3C", "certain", "ESP32-C3", "-52 dBm", "BODY+"):
            assert part in screen_text(pilot)
        await pilot.press("b")
        await wait_for_text(pilot, "It blinks or beeps now")
        assert blinked.is_set()


async def test_a_device_that_cannot_blink_says_so() -> None:
    async def identify() -> None:
        raise REFUSED

    async with running(Script(identify=identify)) as (pilot, _):
        await to_device(pilot)
        await press_button(pilot, "blink")
        await wait_for_text(pilot, "The device cannot blink. Look at its label instead.")
        await press_button(pilot, "yes")
        await wait_for_screen(pilot, SyncScreen)


@pytest.mark.parametrize("file", sorted(f.name for f in resources.files("assets").joinpath("pictures").iterdir()))
def test_pictures_fit(file: str) -> None:
    lines = resources.files("assets").joinpath("pictures", file).read_text("utf-8").splitlines()
    assert len(lines) <= PICTURE_HEIGHT
    assert max(map(cell_len, lines)) <= PICTURE_WIDTH
    assert all(cell_len(c) == 1 for line in lines for c in line)


UNKNOWN = BODY_PLUS.model_copy(update={"id": "new", "picture": "device", "type": DeviceType.OTHER})


def test_every_model_has_a_picture_and_an_unknown_one_gets_that_of_its_type() -> None:
    assert all(picture(m) for m in CATALOGUE.models)
    assert all(picture(m) != picture(UNKNOWN) for m in load().models if not m.generic)
    strange = BODY_PLUS.model_copy(update={"id": "new", "picture": "../../secret"})
    assert picture(strange) == resources.files("assets").joinpath("pictures/scale.txt").read_text("utf-8").rstrip("\n")
