"""Conversion to sRGB. A file names another colour space by an ICC profile, by codes of ITU-T H.273, or by a gamma."""

import contextlib
import io
import itertools
import math
import struct
from collections.abc import Iterable

from PIL import Image, ImageChops, ImageCms

# XYZ of red, green and blue by the codes of ITU-T H.273, adapted by Bradford's method to D50, the white point of ICC.
_SRGB = (0.43607, 0.22249, 0.01392, 0.38515, 0.71687, 0.09708, 0.14307, 0.06061, 0.71410)
_PRIMARIES = {
    9: (0.67348, 0.27904, -0.00194, 0.16567, 0.67535, 0.02998, 0.12505, 0.04561, 0.79686),  # BT.2020
    12: (0.51512, 0.24120, -0.00105, 0.29198, 0.69225, 0.04189, 0.15710, 0.06657, 0.78407),  # Display P3
}
_WHITE = 203  # cd/m2 of paper in HDR (ITU-R BT.2408); brighter light becomes white

# A profile is tried on these: black, grey and white, then colours from the whole cube.
_SAMPLES = ((0, 0, 0), (128, 128, 128), (255, 255, 255), *itertools.product((24, 80, 150, 220), repeat=3))
_DARK, _LIGHT = 40, 230  # a plausible profile makes black darker, white lighter, and grey neither
_NEGLIGIBLE = 3  # of 255: sRGB profiles of different programs differ by so much

_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # Pillow's modes by the colour spaces of ICC


def _fixed(values: Iterable[float]) -> list[int]:
    return [round(value * 65536) for value in values]


def curve(gamma: float, a: float = 1, b: float = 0, c: float = 0, d: float = 0) -> bytes:
    """Return ICC's parametric curve from a stored value x to light: (a x + b)^gamma from d on, c x below it."""
    return struct.pack(">4s4xHxx5i", b"para", 3, *_fixed((gamma, a, b, c, d)))


def _pq() -> bytes:
    """Return 1,024 samples of the curve of SMPTE ST 2084 (ITU-R BT.2100, table 4), which Canon's HDR pictures have."""
    samples = []
    for value in range(1024):
        root = math.pow(value / 1023, 1 / 78.84375)
        light = 10_000 * math.pow(max(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root), 1 / 0.1593017578125)
        samples.append(round(65535 * min(1, light / _WHITE)))
    return struct.pack(">4s4xI1024H", b"curv", 1024, *samples)


_SRGB_CURVE = curve(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)  # IEC 61966-2-1
_VIDEO_CURVE = curve(1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)  # ITU-R BT.709-6, 1.2
_CURVES = {4: curve(2.2), 5: curve(2.8), 8: curve(1), 16: _pq()} | dict.fromkeys((1, 6, 14, 15), _VIDEO_CURVE)


def by_codes(primaries: int, transfer: int) -> bytes | None:
    """Return an ICC profile of the colours with these codes of ITU-T H.273, as HEIC and PNG have them; None for sRGB.

    Unknown codes count as sRGB's. So do sRGB's primaries with the curve of video: many encoders label sRGB so.
    """
    light = _CURVES.get(transfer, _SRGB_CURVE)
    if primaries not in _PRIMARIES and light in {_SRGB_CURVE, _VIDEO_CURVE}:
        return None
    return icc(light, _PRIMARIES.get(primaries, _SRGB))


def icc(light: bytes, primaries: tuple[float, ...] = _SRGB) -> bytes:
    """Return the profile of a display (ICC.1:2010, 8.4.3) that has three primaries and one curve for them all."""
    xyz = b"".join(struct.pack(">4s4x3i", b"XYZ ", *_fixed(primaries[i : i + 3])) for i in (0, 3, 6))
    places = ((204, 20), (224, 20), (244, 20), *[(264, len(light))] * 3)
    names = (b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC")
    table = b"".join(struct.pack(">4sII", name, *place) for name, place in zip(names, places, strict=True))
    header = (264 + len(light), 0x4200000, b"mntr", b"RGB ", b"XYZ ", b"acsp", *_fixed((0.9642, 1.0, 0.8249)))  # D50
    return struct.pack(">I4xI4s4s4s12x4s28x3i48xI", *header, len(names)) + table + xyz + light


def in_srgb(image: Image.Image) -> Image.Image:
    """Return the picture in sRGB, as RGB or YCbCr. A profile that is broken, implausible or unsupported is ignored."""
    with contextlib.suppress(OSError, ValueError, KeyError, ImageCms.PyCMSError):
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info.get("icc_profile") or b""))
        mode = _MODES[profile.profile.xcolor_space]
        transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")
        if mode == "CMYK" or _is_worthwhile(transform, mode):
            colours = image.convert("RGB") if mode == "RGB" else image
            return transform.apply(colours)
    return image if image.mode in {"RGB", "YCbCr"} else image.convert("RGB")


def _is_worthwhile(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Tell whether a transform leaves black, grey and white about the same, and changes some colour visibly."""
    samples = Image.frombytes("RGB", (len(_SAMPLES), 1), bytes(itertools.chain(*_SAMPLES))).convert(mode)
    result = transform.apply(samples)
    black, grey, white, *_ = itertools.batched(result.tobytes(), 3, strict=True)
    is_plausible = max(black) < _DARK < min(grey) and max(grey) < _LIGHT < min(white)
    changes = ImageChops.difference(result, samples.convert("RGB")).tobytes()
    return is_plausible and max(changes) > _NEGLIGIBLE
