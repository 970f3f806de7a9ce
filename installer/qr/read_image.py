"""Reads QR codes from an image file: a photo, a screenshot, a picture that a router prints."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from PIL.Image import Image

# Formats that are decoded in this process; others start helper programs (EPS) or are no pictures of a camera.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
MAX_BYTES = 64 * 1024 * 1024
MAX_PIXELS = 120_000_000  # more than phones take


def texts_of_image(path: Path) -> list[str]:
    """The texts of all QR codes in the image, without repeats; at least one.

    Raises ANSWERS_INVALID: the file is missing or cannot be read, it is no image, it shows no code.
    """
    import zxingcpp

    codes = zxingcpp.read_barcodes(
        _grey(path),
        formats=zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode, zxingcpp.BarcodeFormat.MicroQRCode]),
        text_mode=zxingcpp.TextMode.Plain,
    )
    texts = list(dict.fromkeys(code.text for code in codes if code.valid and code.text))
    if not texts:
        raise _failed(
            path,
            "no QR code was found in it",
            "Take the picture again: the whole code with its white border, sharp, straight and evenly lit.",
        )
    return texts


def text_of_image(path: Path, fits: Callable[[str], bool] = lambda _: True) -> str:
    """The text of the image's QR code; of several, the only one that `fits`.

    Raises ANSWERS_INVALID as `texts_of_image` does, and where several codes could be meant.
    """
    texts = texts_of_image(path)
    fitting = [text for text in texts if fits(text)]
    # A single code is returned whatever it is: what is wrong with it is said by whoever reads its text.
    chosen: Sequence[str] = fitting or texts
    if len(chosen) > 1:
        raise _failed(
            path,
            f"there are {len(texts)} QR codes in it",
            "Cut the picture so that only the one that is meant is left.",
        )
    return chosen[0]


def _grey(path: Path) -> Image:
    # Pillow knows a format once its module is imported; these two it would not import by itself here.
    import PIL.TiffImagePlugin
    import PIL.WebPImagePlugin  # noqa: F401
    from PIL import Image, UnidentifiedImageError

    _check_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow has to say of an odd file is no use to a person
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise _failed(path, f"it is too large ({image.width} × {image.height})", "Give a smaller picture.")
                return _on_white(image)
    except UnidentifiedImageError:
        raise _failed(path, "it is not an image", f"Give a picture in one of: {', '.join(FORMATS)}.") from None
    except Image.DecompressionBombError:
        raise _failed(path, "it is too large", "Give a smaller picture.") from None
    # What Pillow's decoders raise for damaged files depends on the format.
    except (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, OverflowError, struct.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "the image is damaged"
        raise _failed(path, reason, "Save the picture again, for example as PNG.") from None


def _on_white(image: Image) -> Image:
    """The image in shades of grey; what is transparent is white, as paper is."""
    from PIL import Image

    if "A" in image.getbands() or "transparency" in image.info:
        colours = image.convert("RGBA")
        paper = Image.new("RGBA", colours.size, "white")
        paper.alpha_composite(colours)
        return paper.convert("L")
    return image.convert("L")


def _check_file(path: Path) -> None:
    try:
        if not path.exists():
            raise _failed(path, "there is no such file", "Check the path.")
        if not path.is_file():
            raise _failed(path, "it is not a file", "Give the path of a picture.")
        if path.stat().st_size > MAX_BYTES:
            raise _failed(path, "it is too large", "Give a smaller picture.")
    except OSError as error:
        raise _failed(path, str(error.strerror), "Check the path and the permissions.") from None


def _failed(path: Path, why: str, todo: str) -> InstallerError:
    return InstallerError(ErrorCode.ANSWERS_INVALID, f"The image {path} cannot be used: {why}.", todo, file=str(path))
