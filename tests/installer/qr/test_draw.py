"""QR codes of half blocks: exactly the modules of the code and a quiet zone; None if it does not fit."""

from __future__ import annotations

import pytest
import qrcode
from hypothesis import given, settings
from hypothesis import strategies as st

from installer.qr.draw import qr_lines

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


def dark(lines: list[str], light_blocks: bool) -> list[list[bool]]:
    rows: list[list[bool]] = []
    for line in lines:
        rows += [[BLOCKS[c][half] is not light_blocks for c in line] for half in (0, 1)]
    return rows


def check(text: str, lines: list[str], quiet: int, light_blocks: bool = False) -> None:
    matrix, rows = modules(text), dark(lines, light_blocks)
    size = len(matrix) + 2 * quiet
    assert {len(line) for line in lines} == {size}
    assert len(rows) in (size, size + 1)
    inner = [row[quiet:-quiet] for row in rows[quiet : quiet + len(matrix)]]
    assert inner == matrix
    around = [row for y, row in enumerate(rows) if not quiet <= y < quiet + len(matrix)]
    assert not any(any(row) for row in around)
    assert not any(any(row[:quiet]) or any(row[-quiet:]) for row in rows)


@pytest.mark.parametrize("light_blocks", [False, True])
@pytest.mark.parametrize("text", ["x", "WIFI:T:WPA;S:Home;P:secret123;;", URL, "Größe 😀"])
def test_the_code_is_drawn_module_by_module_with_the_whole_quiet_zone(text: str, light_blocks: bool) -> None:
    lines = qr_lines(text, 1000, 1000, light_blocks=light_blocks)
    assert lines is not None
    check(text, lines, 4, light_blocks)
    # With light blocks, the quiet zone is drawn.
    assert (set(lines[0]) == {"█"}) is light_blocks


@pytest.mark.parametrize("quiet", [4, 3, 2])
@pytest.mark.parametrize("text", ["x", URL])
def test_the_quiet_zone_is_as_wide_as_fits(text: str, quiet: int) -> None:
    size = len(modules(text)) + 2 * quiet
    lines = qr_lines(text, size, 1000)
    assert lines is not None
    check(text, lines, quiet)
    lines = qr_lines(text, 1000, (size + 1) // 2)
    assert lines is not None
    assert len(lines) <= (size + 1) // 2


@pytest.mark.parametrize("text", ["x", URL])
def test_what_does_not_fit_is_not_drawn(text: str) -> None:
    least = len(modules(text)) + 4
    assert qr_lines(text, least - 1, 1000) is None
    assert qr_lines(text, 1000, (least + 1) // 2 - 1) is None
    assert qr_lines(text, 0, 0) is None
    assert qr_lines(text, -5, 10) is None


def test_a_text_that_no_code_can_hold() -> None:
    assert qr_lines("x" * 4000, 10_000, 10_000) is None


def test_an_authorize_address_fits_an_ordinary_terminal() -> None:
    lines = qr_lines(URL, 100, 40)
    assert lines is not None


@settings(max_examples=20, deadline=None)
@given(st.text(min_size=1, max_size=60), st.integers(0, 60), st.integers(0, 40))
def test_it_is_whole_and_fits_or_is_none(text: str, width: int, height: int) -> None:
    lines = qr_lines(text, width, height)
    if lines is not None:
        assert len(lines) <= height
        assert len(lines[0]) <= width
        check(text, lines, (len(lines[0]) - len(modules(text))) // 2)
