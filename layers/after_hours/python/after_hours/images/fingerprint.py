"""The perceptual hash of npm's sharp-phash, which the main app compares photos by.

The picture, stretched to 32 x 32 grey pixels, goes through a two-dimensional DCT-II. Of its coefficients the 8 x 8 from
(1, 1) to (8, 8) count, horizontal frequency outermost: a bit each, 1 where the coefficient is above their mean. Of
pictures that look alike few of the 64 bits differ.
"""

import math
from functools import cache

from PIL import Image

_SIDE = 32
_BITS = 8  # in each direction
_CLOSE_UP = 64  # pixels a side that grey is taken of: averaged in colour any further, small bright spots get too dark
_CROP = 2  # per cent of the picture's sides that may have been cut off at each of them
_COSINES = [[math.cos((2 * n + 1) * k * math.pi / (2 * _SIDE)) for n in range(_SIDE)] for k in range(1, _BITS + 1)]


def fingerprints(image: Image.Image) -> tuple[str, str]:
    """The hash of an upright sRGB picture, and about the one that it had if 2 % were cropped at each of its sides.

    Both are 16 hexadecimal digits. A crop moves all that is left, and so changes up to 11 bits. What was cropped is not
    known, but looked much like what is next to it: the border is filled with the picture, stretched, and at most 5 bits
    are wrong.
    """
    small = image.resize((192, 192), Image.Resampling.BOX)  # a multiple of both sizes that are taken of it
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
    """Grey as libvips has it, on which sharp is built: weighted in linear light (vips_sRGB2scRGB, vips_scRGB2BW)."""
    small = image.resize((_CLOSE_UP, _CLOSE_UP), Image.Resampling.BOX).convert("RGB")
    linear, pixels = _linear(), small.tobytes()
    shades = bytes(
        _encoded(0.2 * linear[red] + 0.7 * linear[green] + 0.1 * linear[blue])
        for red, green, blue in zip(pixels[::3], pixels[1::3], pixels[2::3], strict=True)
    )
    return Image.frombytes("L", small.size, shades).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)


@cache
def _linear() -> list[float]:
    """Linear light, 0 to 1, of each sRGB value (IEC 61966-2-1)."""
    values = (value / 255 for value in range(256))
    return [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]  # noqa: PLR2004


def _encoded(light: float) -> int:
    """The sRGB value, 0 to 255, of linear light."""
    return round(255 * (light * 12.92 if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055))  # noqa: PLR2004
