"""JPEG: what phones send most, so the decoder shrinks it, and colours stay as they are stored, for speed."""

import io
import re
from collections.abc import Iterator
from functools import partial

from PIL import Image, ImageFilter
from PIL.JpegImagePlugin import JpegImageFile

from after_hours.images.geometry import fitted
from after_hours.images.rejection import Reason, Rejected, check_end, check_size

_MAX_PASSES = 1_000_000_000  # pixels x scans: each scan is a walk over the picture, and no program writes over 14
_MAX_SEGMENTS = 1000  # Pillow keeps each one, with overhead; a profile or XMP in pieces has tens
_MAX_EXIF_SEGMENTS = 8  # Pillow joins them in quadratic time; an edited picture may have two

# In Pillow, a triangle filter takes less than half the time of Lanczos. It is softer, to almost the same degree at
# every scale, and moving each pixel away from its four neighbours makes up for that.
_SHARPENED = ImageFilter.Kernel((3, 3), (0, -0.15, 0, -0.15, 1.6, -0.15, 0, -0.15, 0), scale=1)
_TRIANGLE_FROM = 1.25  # below this shrink factor the triangle is too soft

_MARKER = re.compile(rb"\xff([\x01-\xfe])")
_BEHIND_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # any marker but a stuffed byte and a restart
_BARE = bytes((0x01, 0xC8, *range(0xD0, 0xDA), *range(0xF0, 0xFE)))  # markers without content, as Pillow reads them
_COEFFICIENTS = {b"\xc0": 1, b"\xc1": 1, b"\xc2": 64}  # by frame; scans bring them one by one
# Phones write no other frames. With arithmetic coding (c9, ca) a dozen bytes are a scan of 60 MP.
_OTHER_FRAMES = bytes((0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)))
_EXIF, _SCAN, _END = b"\xe1", b"\xda", b"\xd9"
_EOI = b"\xff\xd9"
_AHEAD = b"\xfe" * 8  # libjpeg reads so far ahead; the longest codes are of ones, so these bytes are used up soon
_JFIF_LENGTH = 14  # bytes; for libjpeg a shorter segment is not JFIF's


def decode(data: bytes) -> Image.Image:
    """Decode, and shrink pictures in L or YCbCr while decoding; RGB and CMYK are rare."""
    end, scans, is_refined = _outline(data)
    # If a scan that only refines lacks data, the picture is as good as whole. Zeros at its end may replace lost data.
    if is_refined and data[end - 1] and data.startswith(_EOI, end):
        return _shrunk(data[: end + len(_EOI)])
    check_end(data[:end], partial(_whole, is_single=scans == 1))
    return _whole(data[:end], is_single=scans == 1)


def _whole(scans: bytes, *, is_single: bool) -> Image.Image:
    """Return the picture. Raises `Rejected` or OSError if data are missing, whatever marker follows them in the file.

    A decoder that meets a marker too early invents the missing data. So no marker follows a single scan: the decoder
    asks for more. Several scans need a marker, so they are decoded twice, with different bytes before the marker: if
    data are missing, the pictures differ.
    """
    if is_single:
        return _shrunk(scans + _AHEAD)
    first, second = (_shrunk(scans + ending + _EOI) for ending in (b"", bytes(range(254, 0, -1))))
    if first.tobytes() != second.tobytes():
        raise Rejected(Reason.CORRUPT)
    return first


def _shrunk(data: bytes) -> Image.Image:
    # Image.open would take Ultra HDR and portrait photos for files of several pictures; the class itself does not.
    image = JpegImageFile(io.BytesIO(data))
    names = bytes(component[0] for component in image.layer)
    is_jfif = any(content.startswith(b"JFIF\0") and len(content) >= _JFIF_LENGTH for _, content in image.applist)
    is_rgb = not is_jfif and (image.info.get("adobe_transform") == 0 or names == b"RGB")  # libjpeg's rule
    if is_rgb or image.mode == "CMYK":
        image.load()
        return image
    width, height = size = fitted(image.size)
    # libjpeg shrinks by 2, 4 or 8 while it decodes. Colours stay as they are stored, which saves converting them twice.
    drafted = image.draft("YCbCr", (int(width * _TRIANGLE_FROM), int(height * _TRIANGLE_FROM)))
    box = drafted and drafted[1]
    if image.width < width * _TRIANGLE_FROM:
        return image.resize(size, Image.Resampling.LANCZOS, box)
    luma, *chroma = image.resize(size, Image.Resampling.BILINEAR, box).split()
    small = Image.merge(image.mode, (luma.filter(_SHARPENED), *chroma))
    small.info = image.info
    return small


def _outline(data: bytes) -> tuple[int, int, bool]:
    """Return the end of the last necessary scan, the number of scans, and whether the last one only refines."""
    exifs, pixels, scans, missing, is_refined = 0, 0, 0, set(), False
    for marker, content, end in _segments(data):
        exifs += marker == _EXIF and content.startswith(b"Exif\0\0")
        if marker in _OTHER_FRAMES:
            raise Rejected(Reason.UNSUPPORTED_TYPE)
        if marker in _COEFFICIENTS:
            width, height = size = int.from_bytes(content[3:5]), int.from_bytes(content[1:3])
            check_size(size)
            pixels = max(pixels, width * height)
            missing = {(component, k) for component in content[6::3] for k in range(_COEFFICIENTS[marker])}
        elif marker == _SCAN:
            scans += 1
            components, (first, last, bits) = content[1 : 1 + 2 * content[0] : 2], content[1 + 2 * content[0] :][:3]
            is_refined = bits >> 4 > 0  # it adds a bit to coefficients that earlier scans brought
            if not bits & 0x0F:  # the scan has the last bit of these coefficients: ITU-T T.81, B.2.3
                missing -= {(component, k) for component in components for k in range(first, last + 1)}
        if exifs > _MAX_EXIF_SEGMENTS or scans * pixels > _MAX_PASSES or marker == _END:
            break
        if scans and not missing:
            return end, scans, is_refined
    raise Rejected(Reason.CORRUPT)


def _segments(data: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield marker, content and end of each segment, in the decoder's order."""
    position = 2
    for _ in range(_MAX_SEGMENTS):
        found = _MARKER.search(data, position)
        if found is None:
            return
        position = found.end()
        length = 0 if found[1] in _BARE else max(int.from_bytes(data[position : position + 2]), 2)
        content = data[position + 2 : position + length]
        position += length
        if found[1] == _SCAN:
            behind = _BEHIND_SCAN.search(data, position)
            position = behind.start() if behind else len(data)
        yield found[1], content, position
