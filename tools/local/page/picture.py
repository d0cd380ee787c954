"""Pictures to send, and a look at any picture: browsers show neither metadata nor every format."""

import base64
import io
from typing import Any

import pillow_heif
from PIL import Image

from tools.local import photo

_PREVIEW = (800, 800)

pillow_heif.register_heif_opener()


def look(content: bytes) -> dict[str, Any]:
    """Describe a picture, with a JPEG of its pixels as they lie in the file. Raises OSError for other files."""
    with Image.open(io.BytesIO(content)) as picture:
        small = picture.convert("RGB")
    small.thumbnail(_PREVIEW)
    preview = io.BytesIO()
    small.save(preview, "JPEG")
    return {
        "facts": photo.described(content),
        "preview": "data:image/jpeg;base64," + base64.b64encode(preview.getvalue()).decode(),
    }


def samples() -> dict[str, bytes]:
    """Return files to send, by name. The last one is no picture, whatever its name says."""
    taken = photo.take()
    heic = io.BytesIO()
    with Image.open(io.BytesIO(taken)) as picture:
        picture.save(heic, "HEIF", quality=80, exif=picture.info["exif"])
    return {"phone.jpg": taken, "phone.heic": heic.getvalue(), "not-a-picture.jpg": b"Only its name is a picture's."}
