"""What a finished photo looks like: colours at places, and what a clean JPEG consists of."""

import io
import math
import struct
from typing import Any

from PIL import Image, ImageCms, ImageColor

from tools.pictures.files import GPS_BYTES, encoded


def opened(data: bytes, how: str = "jpeg") -> Image.Image:
    """What is in a file, decoded whole by Pillow."""
    image = Image.open(io.BytesIO(data), formats=[SAVED[how]["kind"]])
    image.load()
    return image


def markers(jpeg: bytes) -> list[tuple[int, bytes]]:
    """Every marker segment with its content, up to the end of the image."""
    assert jpeg.startswith(b"\xff\xd8")
    found: list[tuple[int, bytes]] = []
    position = 2
    while position < len(jpeg):
        assert jpeg[position] == 0xFF
        marker = jpeg[position + 1]
        if marker == 0xD9:
            assert position + 2 == len(jpeg), "bytes behind the end"
            return found
        (length,) = struct.unpack_from(">H", jpeg, position + 2)
        found.append((marker, jpeg[position + 4 : position + 2 + length]))
        position += 2 + length
        if marker == 0xDA:  # entropy-coded data: to the next marker that is neither stuffing nor a restart
            while jpeg[position] != 0xFF or jpeg[position + 1] in {0x00, *range(0xD0, 0xD8)}:
                position += 1
    raise AssertionError("no end")


def assert_clean(jpeg: bytes) -> None:
    """Nothing but the tables and the JFIF header that every JPEG has."""
    for marker, content in markers(jpeg):
        assert marker in {0xE0, 0xDB, 0xC0, 0xC2, 0xC4, 0xDA}, f"marker {marker:02x}: {content[:40]!r}"
        if marker == 0xE0:
            assert content == b"JFIF\0\1\1\0\0\1\0\1\0\0"
    assert GPS_BYTES not in jpeg


def difference(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """CIE 1976 colour difference (delta E) of two sRGB colours; 2.3 is just noticeable."""
    pair = Image.new("RGB", (2, 1))
    pair.putpixel((0, 0), one)
    pair.putpixel((1, 0), other)
    lab = ImageCms.profileToProfile(
        pair, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    (l1, a1, b1), (l2, a2, b2) = (lab.getpixel((x, 0)) for x in (0, 1))  # type: ignore[misc]
    signed = [(v + 128) % 256 for v in (a1, a2, b1, b2)]
    return math.hypot((l1 - l2) * 100 / 255, signed[0] - signed[1], signed[2] - signed[3])


def assert_colour(
    image: Image.Image, at: tuple[float, float], colour: str | tuple[int, ...], within: float = 4
) -> None:
    """The colour at a place given as parts of width and height."""
    got = image.convert("RGB").getpixel((int(at[0] * image.width), int(at[1] * image.height)))
    wanted = ImageColor.getrgb(colour) if isinstance(colour, str) else colour
    assert isinstance(got, tuple)
    assert difference(got, wanted) < within, f"{got} for {colour}"


type Places = dict[tuple[float, float], str | tuple[int, ...]]  # colours by parts of width and height

UPRIGHT: Places = {(0.25, 0.25): "red", (0.75, 0.25): "lime", (0.25, 0.75): "blue", (0.75, 0.75): "white"}


def assert_places(image: Image.Image, places: Places) -> None:
    for at, colour in places.items():
        assert_colour(image, at, colour)


def assert_upright(image: Image.Image) -> None:
    assert_places(image, UPRIGHT)


SAVED: dict[str, dict[str, Any]] = {
    "jpeg": {"kind": "JPEG", "quality": 95},
    "png": {"kind": "PNG"},
    "webp": {"kind": "WEBP", "quality": 95},
    "lossless webp": {"kind": "WEBP", "lossless": True},
    "heic": {"kind": "HEIF", "quality": 95},
}


def saved(image: Image.Image, how: str) -> bytes:
    return encoded(image, **SAVED[how])


def files(image: Image.Image) -> dict[str, bytes]:
    return {how: saved(image, how) for how in SAVED}
