"""Draws QR codes as lines of text for a terminal, two modules per character."""

from __future__ import annotations

from collections.abc import Sequence

QUIET_ZONES = (4, 3, 2)  # in modules: the standard asks for 4; phones also read 3 and 2 on a screen
_BLOCKS = {(True, True): "█", (True, False): "▀", (False, True): "▄", (False, False): " "}


def qr_lines(text: str, max_width: int, max_height: int, *, light_blocks: bool = False) -> list[str] | None:
    """The QR code of `text` with its quiet zone, at most `max_width` characters wide and `max_height` lines high.

    None if it does not fit. A drawn half block is a dark module, for black text on white. With `light_blocks` it is a
    light module, for white text on black, which most terminals have: with the wrong choice a phone sees a negative.
    """
    import qrcode
    from qrcode.exceptions import DataOverflowError

    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_L, border=0)
    code.add_data(text)
    try:
        code.make(fit=True)
    except (DataOverflowError, ValueError):
        return None
    modules = code.get_matrix()
    for quiet in QUIET_ZONES:
        size = len(modules) + 2 * quiet
        if size <= max_width and (size + 1) // 2 <= max_height:
            return _draw(modules, quiet, light_blocks)
    return None


def _draw(modules: Sequence[Sequence[bool]], quiet: int, light_blocks: bool) -> list[str]:
    size = len(modules) + 2 * quiet
    drawn = [[light_blocks] * size for _ in range(size + size % 2)]
    for y, row in enumerate(modules):
        for x, dark in enumerate(row):
            drawn[y + quiet][x + quiet] = dark is not light_blocks
    return [
        "".join(_BLOCKS[upper, lower] for upper, lower in zip(drawn[y], drawn[y + 1], strict=True))
        for y in range(0, len(drawn), 2)
    ]
