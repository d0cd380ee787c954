"""A camera for the local system: it takes a photo as a phone does, and describes what became of it.

python -m tools.local.photo take FILE        make a photo that lies on its side and tells where it was taken
… | python -m tools.local.photo form FILE    turn the answer of POST /profile/photo into what `curl -K -` sends it by
… | python -m tools.local.photo look         fetch what the answer of GET /profile/photo shows, and say what is in it
"""

import io
import json
import sys
from http import HTTPStatus
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from PIL.TiffImagePlugin import IFDRational

from tools.local import aws, calls

_UPRIGHT_SIZE = (1512, 2016)
_SKY, _GROUND = (96, 150, 220), (60, 110, 50)
_LYING_ON_ITS_SIDE = 6  # EXIF's value for: turn the picture by 90° clockwise to see it upright
_ORIENTATION, _MAKE, _GPS = 0x0112, 0x010F, 0x8825
_LATITUDE, _LONGITUDE = (52, 22, 12), (4, 53, 43)
_TOLERANCE = 12
WAITING = ("pending", "processing")


def take() -> bytes:
    """Return a photo of the moon over a field as a phone stores it: lying on its side, and with GPS in its EXIF."""
    width, height = _UPRIGHT_SIZE
    picture = Image.new("RGB", _UPRIGHT_SIZE, _SKY)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, height * 2 // 3, width, height), fill=_GROUND)
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


def form(upload: dict[str, Any], file: Path) -> str:
    """Return the configuration with which `curl -K -` posts the file as the signed form asks."""
    fields = "\n".join(f"form-string = {json.dumps(f'{name}={value}')}" for name, value in upload["fields"].items())
    return f"url = {json.dumps(upload['url'])}\n{fields}\nform = {json.dumps(f'file=@{file}')}\nfail-with-body\n"


def described(jpeg: bytes) -> dict[str, Any]:
    """Describe what a photo, or a thumbnail, looks like and what metadata it still has."""
    with Image.open(io.BytesIO(jpeg)) as photo:
        photo.load()
        exif = photo.getexif()
        return {
            "format": photo.format,
            "size": photo.size,
            "upright": _is(photo, _SKY, 0.1) and _is(photo, _GROUND, 0.9),
            "progressive": "progressive" in photo.info,
            "EXIF": len(exif),
            "GPS": len(exif.get_ifd(_GPS)),
            "other metadata": sorted(photo.info.keys() & {"icc_profile", "comment", "xmp", "photoshop", "mp"}),
        }


def _is(photo: Image.Image, colour: tuple[int, int, int], height: float) -> bool:
    """Whether the photo has about this colour at its left, so far down."""
    there = photo.convert("RGB").crop((0, int(photo.height * height), 1, int(photo.height * height) + 1)).tobytes()
    return max(abs(a - b) for a, b in zip(there, colour, strict=True)) < _TOLERANCE


def fetch(url: str) -> bytes:
    return calls.request("GET", url).data


def is_gone(url: str) -> bool:
    """Whether there is nothing at the address any more."""
    return calls.request("GET", url).status == HTTPStatus.NOT_FOUND


def _look(photo: dict[str, Any]) -> int:
    print(f"status: {photo['status']}" + (f", {photo['reason']}" if photo["reason"] else ""))
    if photo["status"] == "ready":
        for name in ("photoUrl", "thumbnailUrl"):
            print(f"{name}: {photo[name]}")
            print(f"  {described(fetch(photo[name]))}")
    return 1 if photo["status"] in WAITING else 0


def main(arguments: list[str]) -> int:
    aws.keep_to_this_machine()
    match arguments:
        case ["take", file]:
            Path(file).write_bytes(take())
            print(f"{file}: {described(take())}")
        case ["form", file]:
            print(form(json.load(sys.stdin)["upload"], Path(file)))
        case ["look"]:
            return _look(json.load(sys.stdin)["photo"])
        case _:
            sys.exit(__doc__)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
