"""Reads QR codes from an image file, for example a photo or a screenshot."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from installer.errors import ErrorCode, InstallerError
from installer.text import printable_name

if TYPE_CHECKING:
    from PIL.Image import Image

# Other formats start helper programs (EPS) or are not camera pictures.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_PIXELS = 120_000_000  # larger than the pictures of phones
# A picture that may be seen through (a screenshot) takes ten bytes of memory a pixel on its way to grey.
MAX_PIXELS_WITH_ALPHA = 30_000_000


def texts_of_image(path: Path) -> list[str]:
    """The distinct texts of all QR codes in the image; at least one.

    Raises ANSWERS_INVALID if the file cannot be read, is not an image, or shows no code.
    """
    import zxingcpp

    codes = zxingcpp.read_barcodes(
        _greyscale(path),
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
    """The text of the image's QR code; of several codes, the only one that `fits`.

    Raises ANSWERS_INVALID as `texts_of_image` does, and if several codes fit.
    """
    texts = texts_of_image(path)
    fitting = [text for text in texts if fits(text)]
    # A single code is always returned; the caller reports what is wrong with it.
    chosen: Sequence[str] = fitting or texts
    if len(chosen) > 1:
        raise _failed(
            path,
            f"there are {len(texts)} QR codes in it",
            "Crop the picture so that only the right one is left.",
        )
    return chosen[0]


def _greyscale(path: Path) -> Image:
    # Pillow reads a format after its module is imported; it does not import these two automatically here.
    import PIL.TiffImagePlugin
    import PIL.WebPImagePlugin  # noqa: F401
    from PIL import Image, UnidentifiedImageError

    _check_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's warnings about a file do not help a person
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > (MAX_PIXELS_WITH_ALPHA if _has_alpha(image) else MAX_PIXELS):
                    raise _failed(path, f"it is too large ({image.width} × {image.height})", "Give a smaller picture.")
                return _on_white(image)
    except UnidentifiedImageError:
        raise _failed(path, "it is not an image", f"Give a picture in one of: {', '.join(FORMATS)}.") from None
    except Image.DecompressionBombError:
        raise _failed(path, "it is too large", "Give a smaller picture.") from None
    # For damaged files, each of Pillow's decoders raises other errors.
    except (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, OverflowError, struct.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "the image is damaged"
        raise _failed(path, reason, "Save the picture again, for example as PNG.") from None


def _has_alpha(image: Image) -> bool:
    return "A" in image.getbands() or "transparency" in image.info


def _on_white(image: Image) -> Image:
    """The image in greyscale, on a white background."""
    from PIL import Image

    if _has_alpha(image):
        rgba = image.convert("RGBA")
        background = Image.new("RGBA", rgba.size, "white")
        background.alpha_composite(rgba)
        return background.convert("L")
    return image.convert("L")


def _check_file(path: Path) -> None:
    try:
        if not path.exists():
            raise _failed(path, "there is no such file", "Check the path.")
        if not path.is_file():
            raise _failed(path, "it is not a file", "Give the path of a picture.")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _failed(path, "it is too large", "Give a smaller picture.")
    except OSError as error:
        raise _failed(path, str(error.strerror), "Check the path and the permissions.") from None


def _failed(path: Path, why: str, todo: str) -> InstallerError:
    name = printable_name(str(path), 400)  # a person may have given the text of the code here
    return InstallerError(ErrorCode.ANSWERS_INVALID, f"The image {name} cannot be used: {why}.", todo, file=name)
