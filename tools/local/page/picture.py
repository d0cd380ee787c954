"""The metadata of a picture's file, and a preview of the picture, since browsers cannot show every format."""

import base64
import io
from collections.abc import Iterator
from typing import Any

import pillow_heif
from PIL import ExifTags, Image

from tools.local import photo

_PREVIEW = (800, 800)
_LONGEST_VALUE = 80
_POINTERS = {ExifTags.Base.GPSInfo, ExifTags.Base.ExifOffset}  # from one table of EXIF to others

pillow_heif.register_heif_opener()


def look(content: bytes) -> dict[str, Any]:
    """Describe a picture: format, size, metadata, and a JPEG of its pixels. Raises OSError for other files."""
    with Image.open(io.BytesIO(content)) as picture:
        return {
            "format": picture.format,
            "width": picture.width,
            "height": picture.height,
            "bytes": len(content),
            "metadata": [{"name": name, "value": str(value)[:_LONGEST_VALUE]} for name, value in _metadata(picture)],
            "preview": "data:image/jpeg;base64," + base64.b64encode(_preview(picture)).decode(),
        }


def samples() -> dict[str, tuple[str, bytes]]:
    """Return files to send, by name: content type and bytes. The last one is no picture, whatever its name says."""
    taken = photo.take()
    heic = io.BytesIO()
    with Image.open(io.BytesIO(taken)) as picture:
        picture.save(heic, "HEIF", quality=80, exif=picture.info["exif"])
    return {
        "phone.jpg": ("image/jpeg", taken),
        "phone.heic": ("image/heic", heic.getvalue()),
        "not-a-picture.jpg": ("image/jpeg", b"This only says that it is a picture."),
    }


def _metadata(picture: Image.Image) -> Iterator[tuple[str, object]]:
    exif = picture.getexif()
    for tag, value in {**exif, **exif.get_ifd(ExifTags.IFD.Exif)}.items():
        if tag not in _POINTERS:
            yield ExifTags.TAGS.get(tag, f"EXIF {tag}"), value
    for tag, value in exif.get_ifd(ExifTags.IFD.GPSInfo).items():
        yield ExifTags.GPSTAGS.get(tag, f"GPS {tag}"), value
    for name in ("icc_profile", "comment", "xmp"):
        if name in picture.info:
            yield name, picture.info[name]


def _preview(picture: Image.Image) -> bytes:
    """Return the pixels as the file stores them, in its own colours and not turned, so that one sees how it lies."""
    small = picture.convert("RGB")
    small.thumbnail(_PREVIEW)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=80, icc_profile=picture.info.get("icc_profile"))
    return file.getvalue()
