import struct
import zlib

import pytest
from after_hours.images.pipeline import process

from tests.support.images import assert_colour, opened
from tools.pictures.files import png, png_chunk


@pytest.mark.parametrize(
    ("colour", "samples", "expected"),
    [
        (0, (0xB4FF,), (0xB4, 0xB4, 0xB4)),
        (2, (0xC800, 0x6400, 0x3200), (0xC8, 0x64, 0x32)),
        (4, (0xB4FF, 0xFFFF), (0xB4, 0xB4, 0xB4)),
        (4, (0x2000, 0x0000), (0xFF, 0xFF, 0xFF)),
        (6, (0xC800, 0x6400, 0x3200, 0xFFFF), (0xC8, 0x64, 0x32)),
        (6, (0xC800, 0x6400, 0x3200, 0x0000), (0xFF, 0xFF, 0xFF)),
    ],
)
@pytest.mark.parametrize("size", [(40, 30), (1300, 900)])
def test_16_bit_pngs(
    colour: int, samples: tuple[int, ...], expected: tuple[int, int, int], size: tuple[int, int]
) -> None:
    rows = (b"\0" + struct.pack(f">{len(samples)}H", *samples) * size[0]) * size[1]
    photo = opened(process(png(*size, rows, depth=16, colour=colour)).photo)
    for at in ((0, 0), (0.5, 0.5), (0.9999, 0.9999)):
        assert_colour(photo, at, expected)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_pngs_of_few_bits(depth: int) -> None:
    palette = png_chunk(b"PLTE", bytes((10, 20, 30, 200, 120, 60)))
    row = b"\0" + bytes([sum(1 << i for i in range(0, 8, depth))]) * (40 * depth // 8)  # every pixel is 1
    indexed = png(40, 30, row * 30, palette, depth=depth, colour=3)
    assert_colour(opened(process(indexed).photo), (0.5, 0.5), (200, 120, 60))
    clear = png(40, 30, row * 30, palette, png_chunk(b"tRNS", b"\xff\0"), depth=depth, colour=3)
    assert_colour(opened(process(clear).photo), (0.5, 0.5), "white")
    grey = png(40, 30, row * 30, depth=depth, colour=0)
    shade = 255 // (2**depth - 1)
    assert_colour(opened(process(grey).photo), (0.5, 0.5), (shade, shade, shade))


@pytest.mark.parametrize("size", [(40, 30), (1900, 1400)])
def test_pngs_with_a_transparent_colour(size: tuple[int, int]) -> None:
    for colour, samples, chunk in ((0, b"\x40", ">H"), (2, b"\x40\x50\x60", ">HHH")):
        transparency = png_chunk(b"tRNS", struct.pack(chunk, *samples))
        half = size[0] // 2
        rows = (b"\0" + samples * half + b"\x80" * len(samples) * (size[0] - half)) * size[1]
        photo = opened(process(png(*size, rows, transparency, colour=colour)).photo)
        for y in (0, 0.5, 0.9999):
            assert_colour(photo, (0.25, y), "white")
            assert_colour(photo, (0.75, y), (0x80, 0x80, 0x80))


def test_png_in_colours_with_a_suggested_palette() -> None:
    palette = png_chunk(b"PLTE", bytes(range(30)))
    data = png(40, 30, (b"\0" + b"\xc8\x78\x3c" * 40) * 30, palette)
    assert_colour(opened(process(data).photo), (0.5, 0.5), (200, 120, 60))


def test_interlaced_png() -> None:
    rows = b"".join(
        b"\0" + b"\x20\x80\xc0" * width for width in (1, 1, 2)
    )  # Adam7 of a 3 x 1 picture: passes 1, 5 (none), 6
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 1))
    body = png_chunk(b"IDAT", zlib.compress(rows))
    data = b"\x89PNG\r\n\x1a\n" + header + body + png_chunk(b"IEND", b"")
    assert_colour(opened(process(data).photo), (0, 0), (0x20, 0x80, 0xC0))
