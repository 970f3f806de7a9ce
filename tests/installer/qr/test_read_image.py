"""QR codes in real pictures: formats, photos, transparent and inverted codes; refused files."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest
import qrcode
from PIL import Image, ImageFilter, ImageOps

from installer.errors import ErrorCode, InstallerError
from installer.qr import read_image
from installer.qr.read_image import text_of_image, texts_of_image

TEXT = "WIFI:T:WPA;S:Zoë's 🏠 Wi-Fi;P:it's a secret;;"
DEVICE = '{"ver":"v1","name":"PROV_1","pop":"abcd1234","transport":"ble"}'


def picture(text: str = TEXT) -> Image.Image:
    code = qrcode.QRCode(box_size=6, border=4)
    code.add_data(text)
    return code.make_image().get_image().convert("L")


def save(image: Image.Image, path: Path) -> Path:
    image.save(path)
    return path


def side_by_side(*texts: str) -> Image.Image:
    pictures = [picture(t) for t in texts]
    sheet = Image.new("L", (sum(p.width for p in pictures), max(p.height for p in pictures)), 255)
    x = 0
    for one in pictures:
        sheet.paste(one, (x, 0))
        x += one.width
    return sheet


def refused(path: Path) -> InstallerError:
    with pytest.raises(InstallerError) as caught:
        texts_of_image(path)
    assert caught.value.code is ErrorCode.ANSWERS_INVALID
    assert str(path) in caught.value.what
    return caught.value


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "gif", "bmp", "tiff", "ppm"])
def test_formats(tmp_path: Path, ending: str) -> None:
    assert texts_of_image(save(picture().convert("RGB"), tmp_path / f"code.{ending}")) == [TEXT]


def test_the_end_of_the_name_does_not_matter(tmp_path: Path) -> None:
    save(picture(), tmp_path / "code.png").rename(tmp_path / "photo of the router")
    assert texts_of_image(tmp_path / "photo of the router") == [TEXT]


def test_a_code_on_a_transparent_ground(tmp_path: Path) -> None:
    code = picture()
    image = Image.merge("LA", (Image.new("L", code.size, 0), ImageOps.invert(code)))
    assert texts_of_image(save(image, tmp_path / "code.png")) == [TEXT]


def test_light_on_dark_turned_and_blurred(tmp_path: Path) -> None:
    image = ImageOps.invert(picture()).rotate(20, expand=True, fillcolor=0).filter(ImageFilter.GaussianBlur(1.5))
    assert texts_of_image(save(image, tmp_path / "photo.jpg")) == [TEXT]


def test_the_same_code_twice_is_one(tmp_path: Path) -> None:
    assert texts_of_image(save(side_by_side(TEXT, TEXT), tmp_path / "two.png")) == [TEXT]


def test_of_several_codes_the_one_that_fits(tmp_path: Path) -> None:
    path = save(side_by_side(TEXT, DEVICE), tmp_path / "box.png")
    assert sorted(texts_of_image(path)) == sorted([TEXT, DEVICE])
    assert text_of_image(path, lambda text: text.startswith("{")) == DEVICE


def test_several_codes_that_could_be_meant(tmp_path: Path) -> None:
    path = save(side_by_side(TEXT, DEVICE), tmp_path / "box.png")
    with pytest.raises(InstallerError, match="2 QR codes") as caught:
        text_of_image(path)
    assert "Crop the picture" in caught.value.todo
    assert "secret" not in str(caught.value)


def test_no_code_in_the_picture(tmp_path: Path) -> None:
    error = refused(save(Image.new("RGB", (200, 200), "white"), tmp_path / "white.png"))
    assert "no QR code" in error.what
    assert "sharp" in error.todo


def test_no_picture_and_no_file(tmp_path: Path) -> None:
    text = tmp_path / "text.png"
    text.write_text(TEXT)
    assert "not an image" in refused(text).what
    assert "no such file" in refused(tmp_path / "none.png").what
    assert "not a file" in refused(tmp_path).what
    empty = tmp_path / "empty.png"
    empty.touch()
    assert "not an image" in refused(empty).what


def test_a_picture_that_is_not_whole(tmp_path: Path) -> None:
    path = save(picture(), tmp_path / "code.png")
    path.write_bytes(path.read_bytes()[:200])
    assert "image is damaged" in refused(path).what


def test_a_small_file_that_claims_to_be_huge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_image, "MAX_PIXELS", 10_000)
    assert "too large" in refused(save(Image.new("1", (101, 100)), tmp_path / "big.png")).what


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "gif", "bmp", "tiff", "ppm"])
def test_damaged_pictures_are_read_or_refused_in_words(tmp_path: Path, ending: str) -> None:
    sound = save(picture("WIFI:S:x;;").convert("RGB"), tmp_path / f"code.{ending}").read_bytes()
    dice = random.Random(ending)
    for _ in range(40):
        data = bytearray(sound)
        for _ in range(dice.choice((1, 3, 10))):
            data[dice.randrange(min(len(data), dice.choice((40, 200, 100_000))))] = dice.randrange(256)
        path = tmp_path / "damaged"
        path.write_bytes(data[: dice.randrange(len(data))] if dice.random() < 0.3 else data)
        with contextlib.suppress(InstallerError):
            assert texts_of_image(path)
