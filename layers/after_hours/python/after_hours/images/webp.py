"""WebP: decoded whole by Pillow."""

import io
import struct
from functools import partial

from PIL import Image
from PIL.WebPImagePlugin import WebPImageFile

from after_hours.images.rejection import Reason, Rejected, check_end, check_size

_MAX_PIXELS = 40_000_000  # libwebp's animation decoder, the only one that Pillow has, takes 16 bytes for each
_MAX_CHUNKS = 10_000  # libwebp keeps each one that it does not know


def decode(data: bytes) -> Image.Image:
    """Open in RGB or RGBA. Pillow decodes when the pixels are first read."""
    return _opened(data[12 : _end(data)])


def _opened(chunks: bytes) -> WebPImageFile:
    image = WebPImageFile(io.BytesIO(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks))
    check_size(image.size, _MAX_PIXELS)  # of the canvas that libwebp is about to fill
    return image


def _load(kind: bytes, picture: bytes) -> None:
    _opened(kind + struct.pack("<I", len(picture)) + picture + bytes(len(picture) % 2)).load()


def _end(data: bytes) -> int:
    """Return the end of the last whole chunk. libwebp does not need an incomplete or odd one behind it."""
    position, end = 12, min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    for _ in range(_MAX_CHUNKS):
        kind, length = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], "little")
        following = position + 8 + length
        if position + 8 > end or following > end:
            return position
        check_end(data[position + 8 : following], partial(_load, kind))  # one without a picture cannot load, and passes
        position = following + following % 2
    raise Rejected(Reason.CORRUPT)
