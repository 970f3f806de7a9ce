"""QR codes of half blocks: exactly the modules of the code and its quiet zone; None if it does not fit."""

from __future__ import annotations

import pytest
import qrcode
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.terminal_theme import TerminalTheme

from installer.qr.draw import QUIET_ZONE, for_terminal, qr_lines
from tests.terminal_picture import DARK_TERMINAL, LIGHT_TERMINAL, codes_in, picture_of_output

TERMINAL = {"TERM": "xterm-256color"}
# upper half drawn, lower half drawn
BLOCKS = {"█": (True, True), "▀": (True, False), "▄": (False, True), " ": (False, False)}
URL = (
    "https://account.withings.com/oauth2_user/authorize2?response_type=code&client_id=0123456789abcdef0123456789abcdef"
    "&scope=user.info,user.metrics,user.activity&redirect_uri=http%3A%2F%2Flocalhost%3A8080%2Fcallback&state="
    + "s"
    * 43
)


def modules(text: str) -> list[list[bool]]:
    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_L, border=0)
    code.add_data(text)
    code.make(fit=True)
    matrix: list[list[bool]] = code.get_matrix()
    return matrix


def dark(lines: list[str]) -> list[list[bool]]:
    return [[BLOCKS[c][half] for c in line] for line in lines for half in (0, 1)]


def check(text: str, lines: list[str]) -> None:
    matrix, rows, quiet = modules(text), dark(lines), QUIET_ZONE
    size = len(matrix) + 2 * quiet
    assert {len(line) for line in lines} == {size}
    assert len(rows) in (size, size + 1)
    inner = [row[quiet:-quiet] for row in rows[quiet : quiet + len(matrix)]]
    assert inner == matrix
    around = [row for y, row in enumerate(rows) if not quiet <= y < quiet + len(matrix)]
    assert not any(any(row) for row in around)
    assert not any(any(row[:quiet]) or any(row[-quiet:]) for row in rows)


@pytest.mark.parametrize("text", ["x", "WIFI:T:WPA;S:Home;P:secret123;;", URL, "Größe 😀"])
def test_the_code_is_drawn_module_by_module_with_the_whole_quiet_zone(text: str) -> None:
    lines = qr_lines(text, 1000, 1000)
    assert lines is not None
    check(text, lines)


@pytest.mark.parametrize("text", ["x", URL])
def test_what_does_not_fit_with_its_quiet_zone_is_not_drawn(text: str) -> None:
    least = len(modules(text)) + 8
    assert qr_lines(text, least, (least + 1) // 2) is not None
    assert qr_lines(text, least - 1, 1000) is None
    assert qr_lines(text, 1000, (least + 1) // 2 - 1) is None
    assert qr_lines(text, 0, 0) is None
    assert qr_lines(text, -5, 10) is None


def test_a_text_that_no_code_can_hold() -> None:
    assert qr_lines("x" * 4000, 10_000, 10_000) is None
    assert "too long" in for_terminal("x" * 4000, 10_000, 10_000, TERMINAL).why


def test_an_authorize_address_fits_an_ordinary_terminal() -> None:
    assert qr_lines(URL, 100, 40) is not None


@settings(max_examples=20, deadline=None)
@given(st.text(min_size=1, max_size=60), st.integers(0, 60), st.integers(0, 40))
def test_it_is_whole_and_fits_or_is_none(text: str, width: int, height: int) -> None:
    lines = qr_lines(text, width, height)
    if lines is not None:
        assert len(lines) <= height
        assert len(lines[0]) <= width
        check(text, lines)


# On a terminal, outside the wizard.


@pytest.mark.parametrize("terminal", [DARK_TERMINAL, LIGHT_TERMINAL], ids=["dark", "light"])
@pytest.mark.parametrize("text", ["https://x.example", URL])
def test_a_terminal_with_any_colours_of_its_own_shows_a_code_that_readers_take(
    text: str, terminal: TerminalTheme
) -> None:
    drawing = for_terminal(text, 120, 50, TERMINAL)
    assert codes_in(picture_of_output("\n".join(drawing.lines), terminal)) == [text]


@pytest.mark.parametrize(
    ("environment", "columns", "rows", "why"),
    [
        ({"NO_COLOR": "1", "TERM": "xterm"}, 120, 50, "NO_COLOR"),
        ({"TERM": "dumb"}, 120, 50, "no colours"),
        ({}, 120, 50, "no colours"),
        (TERMINAL, 80, 24, "needs 65 × 36 characters"),
        (TERMINAL, 64, 50, "needs 65 × 36 characters"),
        (TERMINAL, 65, 35, "needs 65 × 36 characters"),
        (TERMINAL, 40, 16, "needs 65 × 36 characters"),
    ],
)
def test_without_colours_or_room_there_is_no_code_and_the_reason(
    environment: dict[str, str], columns: int, rows: int, why: str
) -> None:
    drawing = for_terminal(URL, columns, rows, environment)
    assert drawing.lines == ()
    assert why in drawing.why


def test_it_fits_into_the_window_that_the_reason_names() -> None:
    assert for_terminal(URL, 65, 36, TERMINAL).why == ""
