"""A camera for the local system: it takes a photo as a phone does, and describes what became of it.

… | python -m tools.local.photo send    take a photo, and post it with the form in the answer of POST /profile/photo
… | python -m tools.local.photo look    fetch what the answer of GET /profile/photo shows, and say what is in it
"""

import io
import json
import sys
from http import HTTPStatus
from typing import Any

from PIL import Image, ImageDraw
from PIL.TiffImagePlugin import IFDRational

from tools.local import aws, calls, forms

_UPRIGHT_SIZE = (1512, 2016)
_LYING_ON_ITS_SIDE = 6  # EXIF's value for: turn the picture by 90° clockwise to see it upright
_ORIENTATION, _MAKE, _GPS = 0x0112, 0x010F, 0x8825
_LATITUDE, _LONGITUDE = (52, 22, 12), (4, 53, 43)
WAITING = ("pending", "processing")


def take() -> bytes:
    """Return a photo of the moon over a field as a phone stores it: lying on its side, and with GPS in its EXIF."""
    width, height = _UPRIGHT_SIZE
    picture = Image.new("RGB", _UPRIGHT_SIZE, (96, 150, 220))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, height * 2 // 3, width, height), fill=(60, 110, 50))
    draw.ellipse((width * 3 // 5, height // 10, width * 4 // 5, height // 10 + width // 5), fill=(250, 245, 220))
    exif = Image.Exif()
    exif[_ORIENTATION] = _LYING_ON_ITS_SIDE
    exif[_MAKE] = "After Hours Phone"
    exif.get_ifd(_GPS).update(
        {1: "N", 2: tuple(map(IFDRational, _LATITUDE)), 3: "E", 4: tuple(map(IFDRational, _LONGITUDE))}
    )
    file = io.BytesIO()
    picture.transpose(Image.Transpose.ROTATE_90).save(file, "JPEG", quality=92, exif=exif, comment="taken at home")
    return file.getvalue()


def described(jpeg: bytes) -> dict[str, Any]:
    """Return the size of a photo or a thumbnail, and the metadata that it still has."""
    with Image.open(io.BytesIO(jpeg)) as photo:
        photo.load()
        exif = photo.getexif()
        return {
            "format": photo.format,
            "size": photo.size,
            "progressive": "progressive" in photo.info,
            "EXIF": len(exif),
            "GPS": len(exif.get_ifd(_GPS)),
            "other metadata": sorted(photo.info.keys() & {"icc_profile", "comment", "xmp", "photoshop", "mp"}),
        }


def fetch(url: str) -> bytes:
    return calls.request("GET", url).data


def is_gone(url: str) -> bool:
    """Whether there is nothing at the address any more."""
    return calls.request("GET", url).status == HTTPStatus.NOT_FOUND


def _send(upload: dict[str, Any]) -> None:
    print(f"The phone took {described(take())}")
    print(f"S3: {forms.post(upload['url'], upload['fields'], take())}")


def _look(photo: dict[str, Any]) -> None:
    if photo["status"] in WAITING:
        sys.exit(photo["status"])
    print(f"status: {photo['status']} {photo['reason'] or ''}")
    for name in ("photoUrl", "thumbnailUrl"):
        print(f"{name}: {photo[name]}\n  {described(fetch(photo[name]))}")


if __name__ == "__main__":
    aws.keep_to_this_machine()
    answer = json.load(sys.stdin)
    if sys.argv[1:] == ["send"]:
        _send(answer["upload"])
    else:
        _look(answer["photo"])
