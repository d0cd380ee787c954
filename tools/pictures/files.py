"""Pictures as files, with all that phones write beside the pixels."""

import io
import struct
import zlib
from typing import Any

import pillow_heif
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from tools.pictures import FOLDER

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


def xmp(orientation: int = 1) -> bytes:
    """XMP with the same."""
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="{orientation}"/>'
        f"<place>{GPS_BYTES.decode()}</place></x:xmpmeta>"
    ).encode()


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


def display_p3() -> bytes:
    """An ICC version 2 profile with the primaries of Display P3, adapted to D50, with gamma 2.2 for its curve."""
    return (FOLDER / "display-p3.icc").read_bytes()


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_with(image: Image.Image, **chunks: bytes) -> bytes:
    """A picture as PNG, with these chunks behind its header."""
    data = encoded(image, "PNG")
    return data[:33] + b"".join(png_chunk(kind.encode(), content) for kind, content in chunks.items()) + data[33:]
