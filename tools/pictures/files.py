"""Pictures as files: what phones write beside the pixels, and PNGs by hand."""

import io
import struct
import zlib
from functools import cache
from typing import Any

import pillow_heif
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

pillow_heif.register_heif_opener()  # for saving; the package opens files in its own way

GPS_BYTES = b"52.3702,4.8952"


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif(orientation: int = 1) -> bytes:
    """EXIF with an orientation, a camera, and the place where the picture was taken."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x010F] = "After Hours Phone"
    degrees = (IFDRational(52), IFDRational(22), IFDRational(12))
    tags.get_ifd(0x8825).update({1: "N", 2: degrees, 3: "E", 4: degrees, 27: GPS_BYTES})
    return tags.tobytes()


def xmp() -> bytes:
    return b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><place>' + GPS_BYTES + b"</place></x:xmpmeta>"


def corners(size: tuple[int, int] = (400, 300)) -> Image.Image:
    """Red, green, blue and white quarters (from the top left, by rows): shows which way is up, and mirrored."""
    image = Image.new("RGB", size, "white")
    half = size[0] // 2, size[1] // 2
    for colour, at in (("red", (0, 0)), ("lime", (half[0], 0)), ("blue", (0, half[1]))):
        image.paste(colour, (*at, at[0] + half[0], at[1] + half[1]))
    return image


def turned_away(image: Image.Image, orientation: int) -> Image.Image:
    """The pixels as a camera stores them that notes `orientation` for an upright `image`."""
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    return image if undo is None else image.transpose(undo)


@cache
def display_p3() -> bytes:
    """An ICC version 2 profile with the primaries of Display P3, adapted to D50, with gamma 2.2 for its curve."""
    primaries = {
        b"rXYZ": (0.51512, 0.24120, -0.00105),
        b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.15710, 0.06657, 0.78407),
        b"wtpt": (0.96420, 1.0, 0.82491),
    }
    tags = {
        tag: b"XYZ " + bytes(4) + b"".join(struct.pack(">i", round(value * 65536)) for value in values)
        for tag, values in primaries.items()
    }
    gamma = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256)) + bytes(2)
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma)
    name = b"Display P3\0"
    tags[b"desc"] = b"desc" + bytes(4) + struct.pack(">I", len(name)) + name + bytes(78 + 1)
    tags[b"cprt"] = b"text" + bytes(4) + b"none\0" + bytes(3)
    position, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for tag, content in tags.items():
        padded = content + bytes(-len(content) % 4)
        table += tag + struct.pack(">II", position + len(body), len(content))
        body += padded
    header = struct.pack(">I4sI4s4s4s", position + len(body), bytes(4), 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">iii", 63190, 65536, 54061) + bytes(48)
    assert len(header) == 128
    return header + struct.pack(">I", len(tags)) + table + body


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, rows: bytes, *extra: bytes, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG written by hand: `rows` are the filtered rows before compression, `extra` whole chunks before them."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    body = png_chunk(b"IDAT", zlib.compress(rows, 9))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + body + png_chunk(b"IEND", b"")
