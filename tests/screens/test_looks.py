"""Colours with enough contrast, pictures that fit, screens that fit 80 × 24 without colour too."""

from __future__ import annotations

from importlib import resources

import pytest
from rich.cells import cell_len
from rich.color import ColorSystem
from textual.color import Color
from textual.theme import Theme

from installer.catalog import DeviceType, load
from screens.pictures import HEIGHT, WIDTH, picture
from screens.theme import DARK, LIGHT
from tests.screens.driver import screen_text
from tests.screens.fake_engine import BODY_PLUS, CATALOGUE, Starter
from tests.screens.scenes import SCENES, running

BACKGROUNDS = ("background", "surface", "panel", "chosen")
TEXTS = ("foreground", "muted", "primary", "accent", "warning", "error", "success", "secondary")


def colour(theme: Theme, name: str) -> Color:
    return Color.parse(theme.variables.get(name) or getattr(theme, name))


def luminance(value: Color) -> float:
    parts = [c / 255 for c in value.rgb]
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Color, other: Color) -> float:
    """The ratio of WCAG 2, 1 to 21."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda t: t.name)
@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("text", TEXTS)
def test_every_text_has_a_contrast_of_at_least_4_5(theme: Theme, background: str, text: str) -> None:
    assert contrast(colour(theme, text), colour(theme, background)) >= 4.5


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda t: t.name)
def test_the_focused_button_is_readable(theme: Theme) -> None:
    assert contrast(colour(theme, "background"), colour(theme, "primary")) >= 4.5
    assert contrast(colour(theme, "background"), colour(theme, "accent")) >= 4.5


def sixteen(value: Color) -> int | None:
    """The number of the nearest of the 16 colours that every terminal has."""
    return value.rich_color.downgrade(ColorSystem.STANDARD).number


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda t: t.name)
def test_texts_stay_readable_in_16_colours(theme: Theme) -> None:
    for background in ("background", "surface", "panel"):
        for text in TEXTS:
            assert sixteen(colour(theme, text)) != sixteen(colour(theme, background)), (text, background)
    assert sixteen(colour(theme, "foreground")) != sixteen(colour(theme, "chosen"))
    assert sixteen(colour(theme, "background")) != sixteen(colour(theme, "primary"))


@pytest.mark.parametrize("file", sorted(f.name for f in resources.files("assets").joinpath("pictures").iterdir()))
def test_pictures_fit(file: str) -> None:
    lines = resources.files("assets").joinpath("pictures", file).read_text("utf-8").splitlines()
    assert len(lines) <= HEIGHT
    assert max(map(cell_len, lines)) <= WIDTH
    assert all(cell_len(c) == 1 for line in lines for c in line)


UNKNOWN = BODY_PLUS.model_copy(update={"id": "new", "picture": "device", "type": DeviceType.OTHER})


def test_every_model_has_a_picture_and_an_unknown_one_gets_that_of_its_type() -> None:
    assert all(picture(m) for m in CATALOGUE.models)
    assert all(picture(m) != picture(UNKNOWN) for m in load().models if not m.generic)
    strange = BODY_PLUS.model_copy(update={"id": "new", "picture": "../../secret"})
    assert picture(strange) == resources.files("assets").joinpath("pictures/scale.txt").read_text("utf-8").rstrip("\n")


@pytest.mark.parametrize("name", ["find", "sync_sleep", "network", "recover", "network_other", "sending"])
async def test_without_colour_the_focus_is_still_to_be_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    script, scene = SCENES[name]
    async with running(script()) as (pilot, _):
        assert pilot.app.no_color
        await scene(pilot)
        focused = pilot.app.focused
        assert focused is not None
        text = screen_text(pilot)
        marked = "❯" in text or focused.styles.text_style.underline or focused.styles.border_top[0] != ""
        assert marked


@pytest.mark.parametrize("name", ["home", "find", "device", "sync", "network", "passphrase", "sending", "finished"])
async def test_nothing_scrolls_at_80_by_24(name: str) -> None:
    script, scene = SCENES[name]
    async with running(script()) as (pilot, _):
        await scene(pilot)
        page = pilot.app.screen.query_one("#page")
        assert not page.show_vertical_scrollbar


async def test_both_colours_can_be_chosen_while_running() -> None:
    async with running() as (pilot, _):
        assert pilot.app.theme == DARK.name
        await pilot.app.run_action("change_colours")
        assert pilot.app.theme == LIGHT.name
    assert isinstance(Starter().made, list)
