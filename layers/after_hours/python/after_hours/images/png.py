"""PNG: decoded whole by Pillow, from a file of nothing but the chunks that make the picture."""

import io
import struct
import zlib

from PIL import Image, PngImagePlugin

from after_hours.images import colour
from after_hours.images.rejection import Reason, Rejected, check_size

PngImagePlugin.MAX_TEXT_CHUNK = 4_000_000  # bytes that a profile or XMP may inflate to

_MAGIC = b"\x89PNG\r\n\x1a\n"
_MAX_CHUNKS = 10_000  # libpng writes 1,300 for 10 MB
_DECODED = (b"IHDR", b"PLTE", b"tRNS", b"iCCP", b"eXIf", b"iTXt", b"IDAT", b"IEND")
_XMP = b"XML:com.adobe.xmp\0"
_SRGB_GAMMA = range(45_000, 46_000)  # programs that know only gAMA say so that they mean sRGB


def decode(data: bytes) -> Image.Image:
    """Decode to L, LA, RGB or RGBA."""
    chunks = _chunks(data)
    file = _MAGIC
    for kind, content in ((kind, chunks[kind]) for kind in _DECODED if kind in chunks):
        file += struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    image = PngImagePlugin.PngImageFile(io.BytesIO(file))
    check_size(image.size)
    image.info["icc_profile"] = _profile(chunks, image.info.get("icc_profile"))
    if image.mode.startswith("I"):  # 16-bit grey: the upper byte of each pixel is kept
        return image.point(lambda value: value / 256).convert("L")
    if "transparency" in image.info:
        return image.convert("RGBA")
    return image.convert("RGB") if image.mode in {"1", "P"} else image


def _profile(chunks: dict[bytes, bytes], icc: bytes | None) -> bytes | None:
    """Return the ICC profile of the first chunk that says what the colours are (PNG, third edition, 4.3)."""
    if codes := chunks.get(b"cICP"):
        return colour.by_codes(codes[0], codes[1])
    gamma = int.from_bytes(chunks.get(b"gAMA", b""))
    if not gamma or gamma in _SRGB_GAMMA or {b"iCCP", b"sRGB"} & chunks.keys():
        return icc
    return colour.icc((100_000 / gamma, 1, 0, 0, 0))


def _chunks(data: bytes) -> dict[bytes, bytes]:
    """Return chunks by kind: the rows in one piece, of every other kind the first. No text but XMP is inflated."""
    found: dict[bytes, bytes] = {}
    rows, position = bytearray(), len(_MAGIC)
    for _ in range(_MAX_CHUNKS):
        kind = data[position + 4 : position + 8]
        if kind == b"IEND" or not kind.isalpha():  # the file may lack its end; what lies behind is ignored
            return found | {b"IDAT": bytes(rows), b"IEND": b""}
        end = position + 8 + int.from_bytes(data[position : position + 4])
        if kind == b"IDAT":
            rows += data[position + 8 : end]
        elif kind != b"iTXt" or data.startswith(_XMP, position + 8):
            found.setdefault(kind, data[position + 8 : end])
        position = end + 4
    raise Rejected(Reason.CORRUPT)
