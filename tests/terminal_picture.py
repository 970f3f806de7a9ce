"""Pictures of a terminal, for readers of QR codes: text with its colours as pixels, as a terminal draws them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from PIL import Image, ImageDraw, ImageOps
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, MONOKAI, TerminalTheme

CELL_WIDTH, CELL_HEIGHT = 6, 12
# How terminals draw text without colours of its own.
DARK_TERMINAL, LIGHT_TERMINAL = MONOKAI, DEFAULT_TERMINAL_THEME
_HALVES = {"█": (True, True), "▀": (True, False), "▄": (False, True)}
_COLOURS = re.compile(r"\x1b\[([0-9;]*)m")


def picture(lines: Iterable[Sequence[Segment]], terminal: TerminalTheme = DARK_TERMINAL) -> Image.Image:
    """The lines as a picture. Half blocks are drawn exactly; of any other character only the ground."""
    rows = [list(line) for line in lines]
    width = max(sum(segment.cell_length for segment in row) for row in rows)
    image = Image.new("RGB", (width * CELL_WIDTH, len(rows) * CELL_HEIGHT), tuple(terminal.background_color))
    draw = ImageDraw.Draw(image)
    for y, row in enumerate(rows):
        x = 0
        for segment in row:
            style = segment.style or Style.null()
            ink, ground = (
                tuple(colour.get_truecolor(terminal, foreground=foreground)) if colour is not None else default
                for colour, foreground, default in (
                    (style.color, True, tuple(terminal.foreground_color)),
                    (style.bgcolor, False, tuple(terminal.background_color)),
                )
            )
            if style.reverse:
                ink, ground = ground, ink
            for character in segment.text:
                for half, is_inked in enumerate(_HALVES.get(character, (False, False))):
                    left, top = x * CELL_WIDTH, y * CELL_HEIGHT + half * CELL_HEIGHT // 2
                    box = (left, top, left + CELL_WIDTH - 1, top + CELL_HEIGHT // 2 - 1)
                    draw.rectangle(box, fill=ink if is_inked else ground)
                x += 1
    return image


def picture_of_output(text: str, terminal: TerminalTheme = DARK_TERMINAL) -> Image.Image:
    """The picture of what a program wrote to a terminal: lines with colours (SGR), no other control sequence."""
    from rich.ansi import AnsiDecoder
    from rich.console import Console

    assert "\x1b" not in _COLOURS.sub("", text)
    console = Console(width=500, color_system="truecolor", force_terminal=True)
    decoded = list(AnsiDecoder().decode(text))
    return picture(([*line.render(console)] for line in decoded), terminal)


def codes_in(image: Image.Image) -> list[str]:
    """The texts of the QR codes, for a reader that takes no negative. Around the picture is black."""
    import zxingcpp

    return [code.text for code in zxingcpp.read_barcodes(ImageOps.expand(image, 40, "black"), try_invert=False)]
