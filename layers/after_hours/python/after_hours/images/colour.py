"""Colours: a file can say in several ways that its numbers do not mean colours of sRGB."""

import contextlib
import io
import struct

from PIL import Image, ImageCms

# XYZ of red, green and blue, by the codes of ITU-T H.273. Bradford's method adapted them to D50, the white of ICC.
_SRGB = (0.43607, 0.22249, 0.01392, 0.38515, 0.71687, 0.09708, 0.14307, 0.06061, 0.71410)
_PRIMARIES = {
    9: (0.67348, 0.27904, -0.00194, 0.16567, 0.67535, 0.02998, 0.12505, 0.04561, 0.79686),  # BT.2020
    12: (0.51512, 0.24120, -0.00105, 0.29198, 0.69225, 0.04189, 0.15710, 0.06657, 0.78407),  # Display P3
}
# How much light a stored value x means, as ICC writes it: (a x + b)^g from d on, c x below. The order is g, a, b, c, d.
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)  # IEC 61966-2-1
_VIDEO_CURVE = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)  # ITU-R BT.709-6, 1.2
_CURVES = {4: (2.2, 1, 0, 0, 0), 5: (2.8, 1, 0, 0, 0), 8: (1, 1, 0, 0, 0)} | dict.fromkeys((1, 6, 14, 15), _VIDEO_CURVE)


def by_codes(primaries: int, transfer: int) -> bytes | None:
    """Return an ICC profile of the colours with these codes of ITU-T H.273, as HEIC and PNG have them; None for sRGB.

    Unknown codes count as sRGB's. So do sRGB's primaries with the curve of video: many encoders write plain sRGB so.
    """
    curve = _CURVES.get(transfer, _SRGB_CURVE)
    if primaries not in _PRIMARIES and curve in {_SRGB_CURVE, _VIDEO_CURVE}:
        return None
    return icc(curve, _PRIMARIES.get(primaries, _SRGB))


def icc(curve: tuple[float, ...], primaries: tuple[float, ...] = _SRGB) -> bytes:
    """Return a display profile of three primaries and one curve (ICC.1:2010, 8.4.3)."""
    numbers = [round(value * 65536) for value in (*primaries, *curve, 0.9642, 1.0, 0.8249)]  # D50 is last
    xyz = [struct.pack(">4s4x3i", b"XYZ ", *numbers[i : i + 3]) for i in (0, 3, 6)]
    contents = [*xyz, *[struct.pack(">4s4xHxx5i", b"para", 3, *numbers[9:14])] * 3]
    table, start = struct.pack(">I", len(contents)), 132 + 12 * len(contents)
    for name, content in zip((b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC"), contents, strict=True):
        table += struct.pack(">4sII", name, start, len(content))
        start += len(content)
    kind = (b"mntr", b"RGB ", b"XYZ ", b"acsp")
    return struct.pack(">I4xI4s4s4s12x4s28x3i48x", start, 0x4200000, *kind, *numbers[14:]) + table + b"".join(contents)


def in_srgb(image: Image.Image) -> Image.Image:
    """Return the picture in sRGB, as RGB or YCbCr. A broken profile, or one of another kind of picture, is ignored."""
    with contextlib.suppress(OSError, ValueError, ImageCms.PyCMSError):
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info.get("icc_profile") or b""))
        if not ImageCms.getProfileDescription(profile).startswith("sRGB"):
            colours = image.convert("RGB") if profile.profile.xcolor_space == "RGB " else image
            return (
                ImageCms.profileToProfile(colours, profile, ImageCms.createProfile("sRGB"), outputMode="RGB") or image
            )
    return image if image.mode in {"RGB", "YCbCr"} else image.convert("RGB")
