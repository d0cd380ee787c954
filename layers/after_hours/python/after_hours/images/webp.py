"""WebP: decoded whole by Pillow."""

import contextlib
import io
import struct

from PIL import Image
from PIL.WebPImagePlugin import WebPImageFile

from after_hours.images.rejection import Reason, Rejected, check_size

_MAX_PIXELS = 40_000_000  # libwebp's animation decoder, the only one that Pillow has, takes 16 bytes for each
_MAX_CHUNKS = 10_000  # libwebp keeps each one that it does not know
_PICTURES = {b"VP8 ", b"VP8L"}
_ZEROS = bytes(64)


def decode(data: bytes) -> Image.Image:
    """Open in RGB or RGBA. Pillow decodes when the pixels are first read."""
    image = _opened(data[12 : _end(data)])
    check_size(image.size, _MAX_PIXELS)  # of the canvas that libwebp is about to fill
    return image


def _opened(chunks: bytes) -> WebPImageFile:
    return WebPImageFile(io.BytesIO(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks))


def _end(data: bytes) -> int:
    """Return the end of the last chunk that is whole: libwebp needs nothing that is cut off or odd behind it."""
    position, end = 12, min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    for _ in range(_MAX_CHUNKS):
        kind, length = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], "little")
        following = position + 8 + length
        if position + 8 > end or following > end:
            return position
        if kind in _PICTURES and data.endswith(_ZEROS, position, following):
            _require_all(kind, data[position + 8 : following - len(_ZEROS)])
        position = following + following % 2
    raise Rejected(Reason.CORRUPT)


def _require_all(kind: bytes, shortened: bytes) -> None:
    """Raise Rejected for zeros in the place of lost data: they seldom are just as many as the picture needs."""
    with contextlib.suppress(OSError):
        image = _opened(kind + struct.pack("<I", len(shortened)) + shortened + bytes(len(shortened) % 2))
        check_size(image.size, _MAX_PIXELS)
        image.load()
        raise Rejected(Reason.CORRUPT)
