"""The perceptual hash of npm's sharp-phash, by which the main app compares photos.

The picture is stretched to 32 x 32 grey pixels and transformed by a two-dimensional DCT-II. The 8 x 8 coefficients from
(1, 1) to (8, 8), horizontal frequency outermost, give a bit each: 1 for a coefficient above their mean. Pictures that
look alike differ in few of the 64 bits.
"""

import math
import statistics
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from PIL import Image, ImageChops, ImageMath

_SIDE = 32
_BITS = 8  # in each direction
_GREY_SIDE = 64  # pixels a side when colour becomes grey: with fewer, averaging would darken small bright spots
_CROP = 2  # per cent of the picture's width or height that may have been cut off at each side
_LEAST_CONTENT = 20  # median size of a coefficient; of 445 real pictures 19 had less: skies, plain walls, gradients
_BORDER_SHADES = 12  # how far the colours of a border may lie apart: JPEG blurs its inner edge
_COPY_SIDE = 192  # pixels a side of the working copy: a multiple of 64 and of 96, to which it is shrunk next
_COSINES = [[math.cos((2 * n + 1) * k * math.pi / (2 * _SIDE)) for n in range(_SIDE)] for k in range(1, _BITS + 1)]
_MIRRORED = [-1 if k % 2 else 1 for k in range(1, _BITS + 1)]  # a mirror image has the odd coefficients negated

type _Band = Any  # of a picture, inside of ImageMath, which has no public type for it


def fingerprints(image: Image.Image) -> tuple[str, tuple[str, ...]]:
    """Return the hash of an upright sRGB picture, and the hashes that it may be banned by, each 16 hexadecimal digits.

    The latter are of the picture as it is, of an estimate of it before a crop of 2 % at each side, and of the picture
    without a border of one colour; and of each of these mirrored, upside down, and both. A picture with hardly any
    content has none: it would match every other one. docs/decisions/banned-photos.md tells what each of them finds.
    """
    small = image.resize((_COPY_SIDE, _COPY_SIDE), Image.Resampling.BOX)
    plain = _coefficients(small)
    if statistics.median(map(abs, plain)) < _LEAST_CONTENT:
        return _hash(plain), ()
    variants = dict.fromkeys([plain, *map(_coefficients, (_uncropped(small), *_without_border(small)))])
    return _hash(plain), tuple(_hash(turned) for variant in variants for turned in _turned(variant))


def _turned(coefficients: Sequence[float]) -> Iterator[list[float]]:
    """Yield the coefficients of the picture as it is, mirrored, upside down, and both."""
    as_it_is = [1] * _BITS
    for across, down in product((as_it_is, _MIRRORED), repeat=2):
        signs = [x * y for x in across for y in down]
        yield [sign * coefficient for sign, coefficient in zip(signs, coefficients, strict=True)]


def _uncropped(small: Image.Image) -> Image.Image:
    """Estimate the picture before a crop: most edges look like the pixels next to them.

    So the stretched picture fills the border. A crop of 2 % changes up to 11 bits; the estimate has at most 5 wrong
    ones.
    """
    rest = small.resize((100 - 2 * _CROP, 100 - 2 * _CROP), Image.Resampling.BOX)
    uncropped = rest.resize((100, 100))
    uncropped.paste(rest, (_CROP, _CROP))
    return uncropped


def _without_border(small: Image.Image) -> Iterator[Image.Image]:
    """Yield the part inside a border, or beside a bar, of the colour of the first corner or of the opposite one."""
    colours = small.convert("RGB")
    for corner in ((0, 0), (_COPY_SIDE - 1, _COPY_SIDE - 1)):
        border = Image.new("RGB", small.size, colours.getpixel(corner))
        differing = ImageChops.difference(colours, border).point(lambda shades: shades > _BORDER_SHADES and 255)
        left, top, right, bottom = differing.getbbox() or (0, 0, _COPY_SIDE, _COPY_SIDE)
        # One more row is cut off, in which border and picture mix.
        inner = left + (left > 0), top + (top > 0), right - (right < _COPY_SIDE), bottom - (bottom < _COPY_SIDE)
        if inner != (0, 0, _COPY_SIDE, _COPY_SIDE) and inner[0] < inner[2] and inner[1] < inner[3]:
            yield small.crop(inner)


def _coefficients(image: Image.Image) -> tuple[float, ...]:
    """Return the 64 coefficients that count, horizontal frequency outermost."""
    grey = _grey(image).tobytes()
    rows = [grey[start : start + _SIDE] for start in range(0, len(grey), _SIDE)]
    across = [[math.sumprod(cosines, row) for row in rows] for cosines in _COSINES]
    return tuple(math.sumprod(cosines, column) for column in across for cosines in _COSINES)


def _hash(coefficients: Sequence[float]) -> str:
    mean = sum(coefficients) / len(coefficients)
    bits = "".join("1" if coefficient > mean else "0" for coefficient in coefficients)
    return f"{int(bits, 2):016x}"


def _grey(image: Image.Image) -> Image.Image:
    """Return the picture in grey, as libvips (under sharp) makes it: colours are weighted in linear light."""
    small = image.resize((_GREY_SIDE, _GREY_SIDE), Image.Resampling.BOX).convert("RGB")
    grey: Image.Image = ImageMath.lambda_eval(_shades, **dict(zip("rgb", small.split(), strict=True)))
    return grey.convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)


def _shades(bands: dict[str, _Band]) -> _Band:
    light = 0.2 * _light(bands["r"]) + 0.7 * _light(bands["g"]) + 0.1 * _light(bands["b"])
    is_dark = light <= 0.0031308  # noqa: PLR2004
    share = is_dark * light * 12.92 + (1 - is_dark) * (1.055 * light ** (1 / 2.4) - 0.055)
    return share * 255 + 0.5  # rounded, since Pillow truncates


def _light(shades: _Band) -> _Band:
    """Return the linear light, 0 to 1, of sRGB values, 0 to 255 (IEC 61966-2-1)."""
    share = shades / 255.0
    is_dark = share <= 0.04045  # noqa: PLR2004
    return is_dark * share / 12.92 + (1 - is_dark) * ((share + 0.055) / 1.055) ** 2.4
