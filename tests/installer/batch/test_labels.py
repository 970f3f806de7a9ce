"""Labels: what is printed, what its code holds, and that the code is read back."""

from __future__ import annotations

from pathlib import Path

import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from installer.batch import labels
from installer.batch.labels import Label
from installer.catalogue.model import SyncMethod
from installer.errors import ErrorCode, InstallerError

LABEL = Label(
    id="a1b2c3d4e5f6",
    address="00:24:E4:12:34:56",
    model="body-plus",
    method=SyncMethod.WIFI,
    since=1_764_000_000,
    site="Berlin <b>",
    label="Room 301 & 302",
    open=True,
)


def test_a_code_is_read_back() -> None:
    back = labels.parse(LABEL.code)
    assert (back.id, back.address, back.model) == (LABEL.id, LABEL.address, LABEL.model)
    assert (back.method, back.since) == (SyncMethod.WIFI, LABEL.since)
    assert labels.is_code(f"  {LABEL.code}\n")


@pytest.mark.parametrize(
    "text",
    ["", "hello", "device-installer:link/", "device-installer:link/abcd?a=zz&m=body", "//[", "x:link/y?" + "&a=1" * 30],
)
def test_another_text_is_refused_in_words(text: str) -> None:
    with pytest.raises(InstallerError) as caught:
        labels.parse(text)
    assert caught.value.code is ErrorCode.LABEL_UNKNOWN


@given(st.text(max_size=120))
def test_any_text_is_a_label_or_refused(text: str) -> None:
    for one in (text, "device-installer:link/" + text):
        try:
            labels.parse(one)
        except InstallerError as error:
            assert error.code is ErrorCode.LABEL_UNKNOWN  # noqa: PT017


def test_a_sheet_has_several_labels_a_page_and_no_markup_of_others(tmp_path: Path) -> None:
    file = tmp_path / "labels.html"
    labels.write([LABEL] * 30, file)
    text = file.read_text("utf-8")
    assert text.count("<section>") == 2
    assert text.count('class="label"') == 30
    assert "Room 301 &amp; 302" in text
    assert "Berlin &lt;b&gt;" in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_the_code_of_a_printed_text_can_be_scanned(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    labels.write([LABEL], file)
    lines = [line for line in file.read_text("utf-8").splitlines() if set(line) & set("█▀▄")]
    width = max(map(len, lines))
    picture = Image.new("L", (width, 2 * len(lines)), 255)
    for y, line in enumerate(lines):
        for x, block in enumerate(line):
            picture.putpixel((x, 2 * y), 0 if block in "█▀" else 255)
            picture.putpixel((x, 2 * y + 1), 0 if block in "█▄" else 255)
    big = picture.resize((width * 6, len(lines) * 12), Image.Resampling.NEAREST)
    framed = Image.new("L", (big.width + 80, big.height + 80), 255)
    framed.paste(big, (40, 40))
    assert [found.text for found in zxingcpp.read_barcodes(framed)] == [LABEL.code]


def test_only_what_can_be_printed_is_written(tmp_path: Path) -> None:
    with pytest.raises(InstallerError, match=r"not as “\.pdf”"):
        labels.write([LABEL], tmp_path / "labels.pdf")
    with pytest.raises(InstallerError, match="folder does not exist"):
        labels.write([LABEL], tmp_path / "none" / "labels.html")
