"""The themes: every text has enough contrast, in 16 colours too, and NO_COLOR is respected."""

from __future__ import annotations

import re

import pytest
from rich.color import ColorSystem
from textual.color import Color
from textual.theme import Theme

from screens.theme import DARK, LIGHT
from tests.screens.driver import screen_text
from tests.screens.scenes import SCENES, running, without_fonts

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


async def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    script, scene = SCENES["find"]
    async with running(script()) as (pilot, _):
        assert pilot.app.no_color
        await scene(pilot)
        colours = set(re.findall(r"#[0-9a-f]{6}", without_fonts(pilot.app.export_screenshot()).split("<text", 2)[2]))
        assert all(c[1:3] == c[3:5] == c[5:7] for c in colours)
        assert "❯ Body+ 3C" in screen_text(pilot)


async def test_both_colours_can_be_chosen_while_running() -> None:
    async with running() as (pilot, _):
        assert pilot.app.theme == DARK.name
        await pilot.app.run_action("change_colours")
        assert pilot.app.theme == LIGHT.name
