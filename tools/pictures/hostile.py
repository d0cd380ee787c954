"""Files made to harm the function that decodes them."""

import struct
from functools import cache

from PIL import Image

from tools.pictures import FOLDER
from tools.pictures.files import encoded, png, png_chunk
from tools.pictures.heic import box, heic_by_hand, heic_of_one_exif, with_bitstream_size
from tools.pictures.photograph import photograph

EXIF_SEGMENT = b"\xff\xe1\0\x12Exif\0\0MM\0*\0\0\0\x08\0\0"
NO_COMMENT = b"\xff\xfe\0\2"


def jpeg_with_scans(count: int) -> bytes:
    """A progressive JPEG whose first scan comes again and again: a few bytes each, a walk over the picture each."""
    data = encoded(Image.new("L", (64, 64), 90), progressive=True)
    first = data.index(b"\xff\xda")
    second = data.index(b"\xff\xc4", first)
    return data[:first] + data[first:second] * count + data[second:]


def with_size(jpeg: bytes, size: tuple[int, int]) -> bytes:
    """A JPEG with another size in its header."""
    at = next(jpeg.index(marker) for marker in (b"\xff\xc0", b"\xff\xc2") if marker in jpeg) + 5
    return jpeg[:at] + struct.pack(">HH", size[1], size[0]) + jpeg[at + 4 :]


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP of these chunks."""
    body = b"".join(
        struct.pack("<4sI", kind, len(content)) + content + bytes(len(content) % 2) for kind, content in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _chunks(webp: bytes) -> list[tuple[bytes, bytes]]:
    return [(webp[12:16], webp[20:])]


def _behind_ftyp(heic: bytes, content: bytes) -> bytes:
    at = int.from_bytes(heic[:4])
    return heic[:at] + content + heic[at:]


type Hostile = dict[str, tuple[bytes, str]]


@cache
def hostile() -> Hostile:
    """Files that must not become photos: by name, the bytes and the reason of the rejection."""
    return _of_other_types() | _jpegs() | _pngs() | _webps() | _heics()


def _of_other_types() -> Hostile:
    small = Image.new("RGB", (64, 48), "olive")
    jpeg = encoded(photograph(320, 240))
    return {
        "nothing": (b"", "EMPTY"),
        "one byte too many": (jpeg + bytes(10 * 1024 * 1024 + 1 - len(jpeg)), "TOO_LARGE"),
        "text": (b"just words, no picture", "UNSUPPORTED_TYPE"),
        "html": (b"<!doctype html><script>alert(1)</script>", "UNSUPPORTED_TYPE"),
        "svg": (b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', "UNSUPPORTED_TYPE"),
        "gif": (encoded(small, "GIF"), "UNSUPPORTED_TYPE"),
        "tiff": (encoded(small, "TIFF"), "UNSUPPORTED_TYPE"),
        "bmp": (encoded(small, "BMP"), "UNSUPPORTED_TYPE"),
        "avif": (encoded(small, "AVIF"), "UNSUPPORTED_TYPE"),
        "jpeg behind html": (b"<html>" + jpeg, "UNSUPPORTED_TYPE"),
        "heic magic only": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "UNSUPPORTED_TYPE"),
        "film": (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + box(b"moov", bytes(50)), "UNSUPPORTED_TYPE"),
    }


def _jpegs() -> Hostile:
    jpeg = encoded(photograph(320, 240))
    return {
        "jpeg header only": (jpeg[: jpeg.index(b"\xff\xda")], "CORRUPT"),
        "jpeg magic only": (b"\xff\xd8\xff", "CORRUPT"),
        "truncated jpeg": (jpeg[: len(jpeg) // 2], "CORRUPT"),
        "jpeg of a thousand scans": (jpeg_with_scans(1000), "CORRUPT"),
        "jpeg of a hundred scans of 59 MP": (with_size(jpeg_with_scans(100), (7700, 7700)), "CORRUPT"),
        "jpeg of arithmetic coding": (
            (FOLDER / "odd" / "jpeg-arithmetic-100-scans.jpg").read_bytes(),
            "UNSUPPORTED_TYPE",
        ),
        "jpeg of countless comments": (jpeg[:2] + NO_COMMENT * 2000 + jpeg[2:], "CORRUPT"),
        "jpeg of countless markers": (jpeg[:2] + b"\xff\xd0" * 2000 + jpeg[2:], "CORRUPT"),
        "jpeg of many exifs": (jpeg[:2] + EXIF_SEGMENT * 9 + jpeg[2:], "CORRUPT"),
        "huge jpeg": (with_size(jpeg, (60_000, 60_000)), "TOO_MANY_PIXELS"),
    }


def _pngs() -> Hostile:
    whole = encoded(photograph(320, 240), "PNG")
    return {
        "huge png": (png(30_000, 30_000, bytes(30_000)), "TOO_MANY_PIXELS"),
        "endless png": (png(70_000, 10, bytes(210_001 * 10)), "TOO_MANY_PIXELS"),
        "png without a size": (png(0, 10, b"\0"), "CORRUPT"),
        "png without rows": (png(8000, 7000, b""), "CORRUPT"),
        "truncated png": (whole[: len(whole) // 2], "CORRUPT"),
        "png of an unknown filter": (png(10, 10, b"\x09" * 310), "CORRUPT"),
        "png of countless rows": (png(10, 10, bytes(310), png_chunk(b"IDAT", b"") * 11_000), "CORRUPT"),
    }


def _webps() -> Hostile:
    webp = encoded(photograph(320, 240), "WEBP")
    return {
        "webp of countless chunks": (riff(*_chunks(webp), *((b"none", b""),) * 11_000), "CORRUPT"),
        "huge webp": (
            riff((b"VP8L", b"\x2f" + struct.pack("<I", 16_382 << 14 | 16_382)), *_chunks(webp)),
            "TOO_MANY_PIXELS",
        ),
        "webp of two sizes": (riff((b"VP8X", b"\0\0\0\0\xff\x1f\0\xff\x1f\0"), *_chunks(webp)), "CORRUPT"),
        "truncated webp": (webp[: len(webp) // 2], "CORRUPT"),
        "webp header only": (webp[:30], "CORRUPT"),
    }


def _heics() -> Hostile:
    heic = encoded(Image.new("RGB", (64, 48), "olive"), "HEIF")
    return {
        "truncated heic": (heic[:-40], "CORRUPT"),
        "heic with a bitstream too large": (with_bitstream_size(heic, 9000, 6000), "CORRUPT"),
        "heic with a bitstream far too large": (with_bitstream_size(heic, 30_000, 30_000), "TOO_MANY_PIXELS"),
        "heic whose size cannot be read": (heic.replace(b"\x42\1\1", b"\x42\2\1"), "CORRUPT"),
        "heic of one exif again and again": (heic_of_one_exif(5000), "CORRUPT"),
        "heic of countless extents": (heic_by_hand(each=30_000), "CORRUPT"),
        "heic of countless items": (heic_by_hand(((b"Exif", b""),) * 3000), "CORRUPT"),
        "heic of an unknown iloc": (heic_by_hand(version=3), "CORRUPT"),
        "heic of odd numbers": (heic_by_hand(wide=3), "CORRUPT"),
        "heic with a short iloc": (heic_by_hand()[: heic_by_hand().index(b"iloc") + 14], "CORRUPT"),
        "heic with a box too small": (_behind_ftyp(heic, struct.pack(">I4s", 7, b"free")), "CORRUPT"),
        "heic with a large box too small": (_behind_ftyp(heic, struct.pack(">I4sQ", 1, b"mdat", 7)), "CORRUPT"),
        "heic of many images": (heic_by_hand(((b"Exif", bytes(200_000)),), images=900), "CORRUPT"),
    }
