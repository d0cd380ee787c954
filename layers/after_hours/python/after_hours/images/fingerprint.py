"""The perceptual hash of npm's sharp-phash, which the main app compares photos by.

The picture, stretched to 32 x 32 grey pixels, goes through a two-dimensional DCT-II. Of its coefficients the 8 x 8 from
(1, 1) to (8, 8) count, horizontal frequency outermost: a bit each, 1 where the coefficient is above their mean. Of
pictures that look alike few of the 64 bits differ.
"""

import math
from functools import cache
from itertools import pairwise

from PIL import Image

_SIDE = 32
_BITS = 8  # in each direction
_GREY_SIDE = 64  # pixels a side when colour becomes grey: with fewer, averaging makes small bright spots too dark
_LIGHTEST = 1 << 14  # white's light, as an integer: its steps are a fifth of a shade where shades are closest
_CROP = 2  # per cent of the picture's width or height that may have been cut off at each side
_COSINES = [[math.cos((2 * n + 1) * k * math.pi / (2 * _SIDE)) for n in range(_SIDE)] for k in range(1, _BITS + 1)]


def fingerprints(image: Image.Image) -> tuple[str, str]:
    """Return the hash of an upright sRGB picture, and an estimate of its hash before 2 % were cropped at each side.

    Both are 16 hexadecimal digits. A crop moves all that is left, and so changes up to 11 bits. What was cropped is not
    known, but looked much like what is next to it: the estimate fills the border with the picture, stretched, and has
    at most 5 wrong bits.
    """
    small = image.resize((192, 192), Image.Resampling.BOX)  # a multiple of 64 and of 96, to which it is shrunk next
    left = small.resize((100 - 2 * _CROP, 100 - 2 * _CROP), Image.Resampling.BOX)
    uncropped = left.resize((100, 100))
    uncropped.paste(left, (_CROP, _CROP))
    return _fingerprint(small), _fingerprint(uncropped)


def _fingerprint(image: Image.Image) -> str:
    grey = _grey(image).tobytes()
    rows = [grey[start : start + _SIDE] for start in range(0, len(grey), _SIDE)]
    across = [[math.sumprod(cosines, row) for row in rows] for cosines in _COSINES]
    coefficients = [math.sumprod(cosines, column) for column in across for cosines in _COSINES]
    mean = sum(coefficients) / len(coefficients)
    bits = "".join("1" if coefficient > mean else "0" for coefficient in coefficients)
    return f"{int(bits, 2):016x}"


def _grey(image: Image.Image) -> Image.Image:
    """Return the picture in grey as libvips, on which sharp is built, makes it.

    Colours are weighted in linear light (vips_sRGB2scRGB, vips_scRGB2BW).
    """
    small = image.resize((_GREY_SIDE, _GREY_SIDE), Image.Resampling.BOX).convert("RGB")
    (reds, greens, blues), shades = _light(), _shades()
    pixels = small.tobytes()
    grey = bytes(
        shades[reds[red] + greens[green] + blues[blue]]
        for red, green, blue in zip(pixels[::3], pixels[1::3], pixels[2::3], strict=True)
    )
    return Image.frombytes("L", small.size, grey).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)


@cache
def _light() -> list[list[int]]:
    """Return what each sRGB value of red, of green and of blue adds to the light of grey."""
    return [[round(weight * _linear(value) * _LIGHTEST) for value in range(256)] for weight in (0.2, 0.7, 0.1)]


@cache
def _shades() -> bytes:
    """Return the nearest sRGB value of each light of grey, from black to white."""
    starts = [0, *(math.ceil(_linear(value - 0.5) * _LIGHTEST) for value in range(1, 256)), _LIGHTEST + 1]
    return b"".join(bytes([value]) * (end - start) for value, (start, end) in enumerate(pairwise(starts)))


def _linear(value: float) -> float:
    """Return the linear light, 0 to 1, of an sRGB value, 0 to 255 (IEC 61966-2-1)."""
    share = value / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4  # noqa: PLR2004
