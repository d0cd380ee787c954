"""Colours: a file can say in several ways that its numbers do not mean colours of sRGB."""

import contextlib
import io
import itertools
import math
import struct

from PIL import Image, ImageChops, ImageCms

# XYZ of red, green and blue, by the codes of ITU-T H.273. Bradford's method adapted them to D50, the white of ICC.
_SRGB = (0.43607, 0.22249, 0.01392, 0.38515, 0.71687, 0.09708, 0.14307, 0.06061, 0.71410)
_PRIMARIES = {
    9: (0.67348, 0.27904, -0.00194, 0.16567, 0.67535, 0.02998, 0.12505, 0.04561, 0.79686),  # BT.2020
    12: (0.51512, 0.24120, -0.00105, 0.29198, 0.69225, 0.04189, 0.15710, 0.06657, 0.78407),  # Display P3
}
# How much light a stored value x means, as ICC writes it: (a x + b)^g from d on, c x below. The order is g, a, b, c, d.
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)  # IEC 61966-2-1
_VIDEO_CURVE = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)  # ITU-R BT.709-6, 1.2
_PQ = 16  # code of a curve that is not of this kind
_WHITE = 203  # cd/m2 of paper in HDR (ITU-R BT.2408); what is brighter comes out white
_CURVES = {4: (2.2, 1, 0, 0, 0), 5: (2.8, 1, 0, 0, 0), 8: (1, 1, 0, 0, 0)} | dict.fromkeys((1, 6, 14, 15), _VIDEO_CURVE)

# What a profile is tried on: black, grey and white; then colours all over the cube
_TRIED = ((0, 0, 0), (128, 128, 128), (255, 255, 255), *itertools.product((24, 80, 150, 220), repeat=3))
_DARK, _LIGHT = 40, 230  # where black and white come to lie, with greys between them
_UNSEEN = 3  # of 255: by so much do profiles of sRGB differ that programs write

_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # Pillow's, by ICC's


def by_codes(primaries: int, transfer: int) -> bytes | None:
    """Return an ICC profile of the colours with these codes of ITU-T H.273, as HEIC and PNG have them; None for sRGB.

    Unknown codes count as sRGB's. So do sRGB's primaries with the curve of video: many encoders write plain sRGB so.
    """
    if transfer == _PQ:
        return _profile(_pq(), _PRIMARIES.get(primaries, _SRGB))
    curve = _CURVES.get(transfer, _SRGB_CURVE)
    if primaries not in _PRIMARIES and curve in {_SRGB_CURVE, _VIDEO_CURVE}:
        return None
    return icc(curve, _PRIMARIES.get(primaries, _SRGB))


def icc(curve: tuple[float, ...], primaries: tuple[float, ...] = _SRGB) -> bytes:
    """Return a display profile of three primaries and one curve."""
    return _profile(struct.pack(">4s4xHxx5i", b"para", 3, *_fixed(curve)), primaries)


def _profile(curve: bytes, primaries: tuple[float, ...]) -> bytes:
    """Return the profile of a display (ICC.1:2010, 8.4.3)."""
    white = _fixed((0.9642, 1.0, 0.8249))  # D50
    xyz = [struct.pack(">4s4x3i", b"XYZ ", *_fixed(primaries[i : i + 3])) for i in (0, 3, 6)]
    contents = [*xyz, *[curve] * 3]
    table, start = struct.pack(">I", len(contents)), 132 + 12 * len(contents)
    for name, content in zip((b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC"), contents, strict=True):
        table += struct.pack(">4sII", name, start, len(content))
        start += len(content)
    kind = (b"mntr", b"RGB ", b"XYZ ", b"acsp")
    return struct.pack(">I4xI4s4s4s12x4s28x3i48x", start, 0x4200000, *kind, *white) + table + b"".join(contents)


def _fixed(values: tuple[float, ...]) -> list[int]:
    return [round(value * 65536) for value in values]


def _pq() -> bytes:
    """Return the curve of SMPTE ST 2084 (ITU-R BT.2100, table 4), as Canon's HDR pictures have it, by 1,024 samples."""
    samples = []
    for value in range(1024):
        root = math.pow(value / 1023, 1 / 78.84375)
        light = 10_000 * math.pow(max(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root), 1 / 0.1593017578125)
        samples.append(round(65535 * min(1, light / _WHITE)))
    return struct.pack(">4s4xI1024H", b"curv", 1024, *samples)


def in_srgb(image: Image.Image) -> Image.Image:
    """Return the picture in sRGB, as RGB or YCbCr. A broken or implausible profile or one of other modes is ignored."""
    with contextlib.suppress(OSError, ValueError, KeyError, ImageCms.PyCMSError):
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info.get("icc_profile") or b""))
        mode = _MODES[profile.profile.xcolor_space]
        transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")
        if mode == "CMYK" or _is_worthwhile(transform, mode):
            colours = image.convert("RGB") if mode == "RGB" else image
            return transform.apply(colours)
    return image if image.mode in {"RGB", "YCbCr"} else image.convert("RGB")


def _is_worthwhile(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Return whether it leaves black, greys and white what they are, more or less, and changes something."""
    tried = Image.frombytes("RGB", (len(_TRIED), 1), bytes(itertools.chain(*_TRIED))).convert(mode)
    found = transform.apply(tried)
    black, grey, white, *_ = itertools.batched(found.tobytes(), 3, strict=True)
    is_plausible = max(black) < _DARK < min(grey) and max(grey) < _LIGHT < min(white)
    changes = ImageChops.difference(found, tried.convert("RGB")).tobytes()
    return is_plausible and max(changes) > _UNSEEN
