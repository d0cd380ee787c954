"""From a member's bytes to two clean JPEGs. Pure: no AWS, no files, no threads."""

import io
import warnings

from PIL import Image, ImageChops, ImageOps

from after_hours.images import heic, jpeg, png, webp
from after_hours.images.colour import in_srgb
from after_hours.images.fingerprint import fingerprints
from after_hours.images.geometry import shrunk, upright
from after_hours.images.isolation import Processed
from after_hours.images.rejection import Reason, Rejected

_THUMBNAIL = (200, 200)  # pixels
# The bytes at one offset choose the decoder. No other decoder ever reads a member's file.
_DECODERS = (
    (0, b"\xff\xd8\xff", jpeg.decode),
    (0, b"\x89PNG\r\n\x1a\n", png.decode),
    (8, b"WEBP", webp.decode),
    (4, b"ftyp", heic.decode),
)

Image.preinit()  # otherwise Pillow does it while the first photo waits


def process(content: bytes) -> Processed:
    """Make the photo (within 1200 x 1200, never enlarged, progressive) and the 200 x 200 cover thumbnail.

    Raises `Rejected` for a fault of the file, also for one that takes more memory than the process may have. Raises
    ImportError for a missing decoder, which is not the file's fault.

    >>> process(b"GIF89a")
    Traceback (most recent call last):
    after_hours.images.rejection.Rejected: UNSUPPORTED_TYPE
    """
    if not content:
        raise Rejected(Reason.EMPTY)
    try:
        with warnings.catch_warnings(action="ignore"):  # about odd files
            return _encoded(in_srgb(upright(_on_white(shrunk(_decoded(content))))))
    except (Rejected, ImportError):
        raise
    except Image.DecompressionBombError as error:
        raise Rejected(Reason.TOO_MANY_PIXELS) from error
    except Exception as error:  # hostile bytes can make decoders raise anything
        raise Rejected(Reason.CORRUPT) from error


def _decoded(content: bytes) -> Image.Image:
    for start, magic, decode in _DECODERS:
        if content.startswith(magic, start):
            return decode(content)
    raise Rejected(Reason.UNSUPPORTED_TYPE)


def _on_white(image: Image.Image) -> Image.Image:
    if "A" not in image.mode:
        return image
    opaque = image.convert("RGB")
    opaque.paste("white", mask=ImageChops.invert(image.getchannel("A")))
    return opaque


def _encoded(image: Image.Image) -> Processed:
    thumbnail = ImageOps.fit(image, _THUMBNAIL, Image.Resampling.LANCZOS)
    return Processed(_jpeg(image, 85, progressive=True), _jpeg(thumbnail, 80, progressive=False), *fingerprints(image))


def _jpeg(image: Image.Image, quality: int, *, progressive: bool) -> bytes:
    file = io.BytesIO()
    image.info = {}  # Pillow would write comments and more from here into the file
    image.save(file, "JPEG", quality=quality, progressive=progressive)
    return file.getvalue()
