"""Draws QR codes as lines of text for a terminal, two modules per character, dark on light with the whole quiet zone.

Readers expect dark modules on a light ground: zbar reads no negative, and no reader finds a code without its border
(ISO/IEC 18004 asks for four modules). A terminal's own colours are not known, so the code needs colours of its own: a
front end draws the lines as `coloured` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

QUIET_ZONE = 4  # in modules
DARK, LIGHT = "#000000", "#ffffff"
# Black and white of the 256 colours: no theme of a terminal changes these two, as it does with the first sixteen.
_ANSI, _RESET = {DARK: 16, LIGHT: 231}, "\x1b[0m"
# Lines of the terminal that the prompt and a question below the code take.
LINES_BELOW = 3
_BLOCKS = {(True, True): "█", (True, False): "▀", (False, True): "▄", (False, False): " "}
# What to draw for a block, in which colour, on which ground. Two equal modules are only ground: where a terminal has
# space between its lines, a letter does not fill it, but the ground does.
_COLOURED = {"█": (" ", LIGHT, DARK), "▀": ("▀", DARK, LIGHT), "▄": ("▀", LIGHT, DARK), " ": (" ", DARK, LIGHT)}


def qr_lines(text: str, max_width: int, max_height: int) -> list[str] | None:
    """The QR code of `text` with its quiet zone, at most `max_width` characters wide and `max_height` lines high.

    None if it does not fit. A drawn half block is a dark module: see `coloured` for a terminal.
    """
    import qrcode
    from qrcode.exceptions import DataOverflowError

    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_L, border=QUIET_ZONE)
    code.add_data(text)
    try:
        code.make(fit=True)
    except (DataOverflowError, ValueError):
        return None
    modules = code.get_matrix()
    if len(modules) > max_width or (len(modules) + 1) // 2 > max_height:
        return None
    return _draw(modules)


def _draw(modules: Sequence[Sequence[bool]]) -> list[str]:
    rows = [*modules, *([[False] * len(modules)] if len(modules) % 2 else [])]
    return [
        "".join(_BLOCKS[upper, lower] for upper, lower in zip(rows[y], rows[y + 1], strict=True))
        for y in range(0, len(rows), 2)
    ]


def coloured(line: str) -> list[tuple[str, str, str]]:
    """A line of `qr_lines` as pieces of one colour each: text, colour, ground (`#rrggbb`)."""
    runs = groupby(line, _COLOURED.__getitem__)
    return [(text * len(list(run)), ink, ground) for (text, ink, ground), run in runs]


def _with_ansi_colours(line: str) -> str:
    pieces = (f"\x1b[38;5;{_ANSI[ink]};48;5;{_ANSI[ground]}m{text}" for text, ink, ground in coloured(line))
    return "".join(pieces) + _RESET


@dataclass(frozen=True)
class TerminalDrawing:
    """A QR code for standard output or error of a terminal: its lines, or none and `why` in words."""

    lines: tuple[str, ...] = ()
    why: str = ""


def for_terminal(text: str, columns: int, rows: int, environment: Mapping[str, str]) -> TerminalDrawing:
    """The QR code of `text` in black on white, for a terminal of this size. `environment`: the variables.

    Without colours it would be a negative on most terminals, so there is none then.
    """
    if environment.get("NO_COLOR"):
        return TerminalDrawing(why="NO_COLOR is set, and a QR code needs black on white, so none is drawn.")
    if environment.get("TERM", "dumb") in ("dumb", "unknown", "") and "WT_SESSION" not in environment:
        return TerminalDrawing(why="This terminal has no colours, as far as TERM says, so no QR code is drawn.")
    lines = qr_lines(text, columns, rows - LINES_BELOW)
    if lines is not None:
        return TerminalDrawing(tuple(map(_with_ansi_colours, lines)))
    whole = qr_lines(text, 1000, 1000)
    if whole is None:
        return TerminalDrawing(why="The text is too long for a QR code.")
    size = f"{len(whole[0])} × {len(whole) + LINES_BELOW} characters"
    return TerminalDrawing(why=f"This window is too small for a QR code, which needs {size}.")
