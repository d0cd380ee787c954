import io
import math
import random
import struct
import subprocess
import sys
import threading
import time
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import PIL
import pytest
from after_hours import images, webp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageColor, ImageOps

from benchmarks.photos.quality import ssim
from tests import photos

ORIENTATIONS = range(1, 9)


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=["JPEG"])
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
    assert photos.GPS_BYTES not in jpeg


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


def assert_upright(image: Image.Image) -> None:
    for at, colour in (((0.25, 0.25), "red"), ((0.75, 0.25), "lime"), ((0.25, 0.75), "blue"), ((0.75, 0.75), "white")):
        assert_colour(image, at, colour)


SAVED: dict[str, dict[str, Any]] = {
    "jpeg": {"kind": "JPEG", "quality": 95},
    "png": {"kind": "PNG"},
    "webp": {"kind": "WEBP", "quality": 95},
    "lossless webp": {"kind": "WEBP", "lossless": True},
    "heic": {"kind": "HEIF", "quality": 95},
}


def saved(image: Image.Image, how: str) -> bytes:
    return photos.encoded(image, **SAVED[how])


def files(image: Image.Image) -> dict[str, bytes]:
    return {how: saved(image, how) for how in SAVED}


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1, 1), (1, 1)),
        ((2, 3), (2, 3)),
        ((6000, 40), (1200, 8)),
        ((40, 6000), (8, 1200)),
        ((1200, 1200), (1200, 1200)),
        ((1201, 900), (1200, 899)),
        ((1400, 1399), (1200, 1199)),
        ((2017, 1513), (1200, 900)),
        ((3001, 2001), (1200, 800)),
    ],
)
@pytest.mark.parametrize("kind", list(SAVED))
def test_any_size_fits_and_has_a_thumbnail(kind: str, size: tuple[int, int], expected: tuple[int, int]) -> None:
    result = images.process(saved(Image.new("RGB", size, (200, 120, 60)), kind))
    photo, thumbnail = opened(result.photo), opened(result.thumbnail)
    assert (result.width, result.height) == photo.size == expected
    assert thumbnail.size == (200, 200)
    for image in (photo, thumbnail):
        for at in ((0, 0), (0.5, 0.5), (0.9999, 0), (0, 0.9999), (0.9999, 0.9999)):
            assert_colour(image, at, (200, 120, 60))


@pytest.mark.parametrize("size", [(5000, 1), (1, 5000), (65_500, 1)])
def test_a_line(size: tuple[int, int]) -> None:
    for kind in ("JPEG", "PNG"):  # the others do not go that thin
        result = images.process(photos.encoded(Image.new("RGB", size, (200, 120, 60)), kind, quality=95))
        assert max(result.width, result.height) == 1200
        assert_colour(opened(result.thumbnail), (0.5, 0.5), (200, 120, 60))


@pytest.mark.parametrize("kind", list(SAVED))
@pytest.mark.parametrize("size", [(400, 300), (2600, 1950)])
def test_photo_is_progressive_and_the_pixels_are_where_they_were(kind: str, size: tuple[int, int]) -> None:
    result = images.process(saved(photos.corners(size), kind))
    photo = opened(result.photo)
    assert photo.info["progressive"]
    assert_upright(photo)
    assert_upright(opened(result.thumbnail))
    assert "progressive" not in opened(result.thumbnail).info


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_every_orientation_comes_out_upright(kind: str, orientation: int) -> None:
    stored = photos.turned_away(photos.corners((1600, 1200)), orientation)
    result = images.process(photos.encoded(stored, kind, exif=photos.exif(orientation), quality=95))
    assert (result.width, result.height) == (1200, 900)
    assert_upright(opened(result.photo))
    assert_clean(result.photo)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_heic_is_turned_once(orientation: int) -> None:
    """The HEIF writer turns EXIF's orientation into the format's own rotation, as phones do beside their EXIF."""
    stored = photos.turned_away(photos.corners(), orientation)
    result = images.process(photos.encoded(stored, "HEIF", exif=photos.exif(orientation), quality=95))
    assert (result.width, result.height) == (400, 300)
    assert_upright(opened(result.photo))


def test_heic_in_tiles_as_an_iphone_makes_them() -> None:
    picture = photos.photograph(2016, 1512)
    data = photos.encoded(picture, "HEIF", quality=80, tile_size=512, icc_profile=photos.display_p3())
    assert data.count(b"hvc1") > 1
    result = images.process(data)
    assert (result.width, result.height) == (1200, 900)


@pytest.mark.parametrize("version", [0, 1, 2])
@pytest.mark.parametrize(("wide", "index"), [(4, 0), (8, 0), (4, 4), (8, 8)])
def test_every_layout_of_a_heic(version: int, wide: int, index: int) -> None:
    exif = (b"Exif", bytes(4) + photos.exif()[6:])
    for layout in ({}, {"images": 3, "described": 3}):
        data = photos.heic_by_hand((exif,), version=version, wide=wide, index=index, **layout)
        assert_colour(opened(images.process(data).photo), (0.5, 0.5), "teal")
    with pytest.raises(images.Rejected):
        images.process(photos.heic_by_hand((exif,) * 30, version=version, wide=wide, index=index))


@pytest.mark.parametrize(
    "options",
    [
        {"tile_size": 64, "thumbnails": [128, 64], "icc_profile": photos.display_p3()},
        {"tile_size": 64, "exif": photos.exif(), "xmp": photos.xmp()},
        {"exif": photos.exif(), "xmp": b""},
        {"save_all": True, "append_images": [photos.corners((64, 64))] * 3, "exif": photos.exif()},
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_what_else_a_heic_may_hold(options: dict[str, Any], mode: str) -> None:
    """Tiles (found by way of `idat`, as an iPhone has it), thumbnails, alpha as an auxiliary image, metadata."""
    data = photos.encoded(photos.photograph(640, 480).convert(mode), "HEIF", **options)
    for trailer in (b"", photos.box(b"free"), bytes(20), b"SEFT, as some phones append"):
        assert images.process(data + trailer).width == 640


def test_heic_with_boxes_of_other_sizes() -> None:
    whole = photos.heic_by_hand()
    at = whole.index(b"mdat") - 4
    to_the_end = whole[:at] + bytes(4) + whole[at + 4 :]
    large = whole + struct.pack(">I4sQ", 1, b"free", 24) + bytes(8)
    for data in (to_the_end, large):
        assert_colour(opened(images.process(data).photo), (0.5, 0.5), "teal")


def test_orientation_of_xmp_counts_where_exif_has_none() -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    stored = photos.turned_away(photos.corners(), 6)
    assert_upright(opened(images.process(photos.encoded(stored, xmp=xmp, quality=95)).photo))
    more = b"\xff\xe1\0\x28http://ns.adobe.com/xmp/extension/\0abc"  # parts of XMP that one segment cannot hold
    data = photos.encoded(stored, xmp=xmp, quality=95, extra=more * 20)
    assert_upright(opened(images.process(data).photo))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF"])
@pytest.mark.parametrize("size", [(300, 200), (1500, 1000)])
def test_no_trace_of_metadata_is_left(kind: str, size: tuple[int, int]) -> None:
    image = photos.photograph(*size)
    by_kind: dict[str, dict[str, Any]] = {
        "JPEG": {"comment": photos.GPS_BYTES, "dpi": (300, 300), "xmp": photos.xmp()},
        "PNG": {"dpi": (300, 300)},
        "WEBP": {"xmp": photos.xmp()},
        "HEIF": {"xmp": photos.xmp()},
    }
    data = photos.encoded(image, kind, exif=photos.exif(), icc_profile=photos.display_p3(), **by_kind[kind])
    assert photos.GPS_BYTES in data
    result = images.process(data)
    assert_clean(result.photo)
    assert_clean(result.thumbnail)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF"])
@pytest.mark.parametrize("side", [600, 2400])
def test_display_p3_keeps_its_look(kind: str, side: int) -> None:
    srgb = Image.new("RGB", (side, side), (205, 92, 70))
    srgb.paste((60, 150, 90), (0, 0, side // 2, side))
    profile = ImageCms.ImageCmsProfile(io.BytesIO(photos.display_p3()))
    p3 = ImageCms.profileToProfile(srgb, ImageCms.createProfile("sRGB"), profile, outputMode="RGB")
    assert p3 is not None
    assert difference(p3.getpixel((side - 1, 0)), (205, 92, 70)) > 6  # type: ignore[arg-type]  # else this proves nothing
    data = photos.encoded(p3, kind, quality=97, icc_profile=photos.display_p3())
    result = images.process(data)
    for jpeg in (result.photo, result.thumbnail):
        assert_colour(opened(jpeg), (0.75, 0.5), (205, 92, 70), within=3)
        assert_colour(opened(jpeg), (0.25, 0.5), (60, 150, 90), within=3)


def test_srgb_profile_changes_nothing() -> None:
    image = photos.photograph(700, 500)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert images.process(photos.encoded(image, icc_profile=profile)) == images.process(photos.encoded(image))


@pytest.mark.parametrize(
    "profile", [b"broken", photos.display_p3()[:200], photos.display_p3().replace(b"RGB ", b"CMYK")]
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF"])
def test_broken_colour_profile_is_left_out(kind: str, profile: bytes) -> None:
    result = images.process(photos.encoded(photos.corners(), kind, icc_profile=profile, quality=95))
    assert_upright(opened(result.photo))


@pytest.mark.parametrize("side", [200, 3000])
@pytest.mark.parametrize("profile", [None, photos.display_p3()])
def test_cmyk_and_grey_jpegs(side: int, profile: bytes | None) -> None:
    options: dict[str, Any] = {"icc_profile": profile} if profile else {}
    cmyk = images.process(photos.encoded(photos.corners((side, side)).convert("CMYK"), quality=95, **options))
    assert_upright(opened(cmyk.photo))
    grey = images.process(photos.encoded(Image.new("L", (side, side), 90), quality=95, **options))
    assert_colour(opened(grey.photo), (0.5, 0.5), (90, 90, 90))


def test_jpeg_stored_as_rgb() -> None:
    assert_upright(
        opened(images.process(photos.encoded(photos.corners((2600, 2000)), keep_rgb=True, quality=95)).photo)
    )


@pytest.mark.parametrize(
    "options", [{"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 1}, {"optimize": True}]
)
def test_kinds_of_jpeg(options: dict[str, Any]) -> None:
    assert_upright(opened(images.process(photos.encoded(photos.corners((2601, 2001)), quality=95, **options)).photo))


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
    photo = opened(images.process(photos.png(*size, rows, depth=16, colour=colour)).photo)
    for at in ((0, 0), (0.5, 0.5), (0.9999, 0.9999)):
        assert_colour(photo, at, expected)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_pngs_of_few_bits(depth: int) -> None:
    palette = photos.png_chunk(b"PLTE", bytes((10, 20, 30, 200, 120, 60)))
    row = b"\0" + bytes([sum(1 << i for i in range(0, 8, depth))]) * (40 * depth // 8)  # every pixel is 1
    indexed = photos.png(40, 30, row * 30, palette, depth=depth, colour=3)
    assert_colour(opened(images.process(indexed).photo), (0.5, 0.5), (200, 120, 60))
    clear = photos.png(40, 30, row * 30, palette, photos.png_chunk(b"tRNS", b"\xff\0"), depth=depth, colour=3)
    assert_colour(opened(images.process(clear).photo), (0.5, 0.5), "white")
    grey = photos.png(40, 30, row * 30, depth=depth, colour=0)
    shade = 255 // (2**depth - 1)
    assert_colour(opened(images.process(grey).photo), (0.5, 0.5), (shade, shade, shade))


@pytest.mark.parametrize("size", [(40, 30), (1900, 1400)])
def test_pngs_with_a_transparent_colour(size: tuple[int, int]) -> None:
    for colour, samples, chunk in ((0, b"\x40", ">H"), (2, b"\x40\x50\x60", ">HHH")):
        transparency = photos.png_chunk(b"tRNS", struct.pack(chunk, *samples))
        half = size[0] // 2
        rows = (b"\0" + samples * half + b"\x80" * len(samples) * (size[0] - half)) * size[1]
        photo = opened(images.process(photos.png(*size, rows, transparency, colour=colour)).photo)
        for y in (0, 0.5, 0.9999):
            assert_colour(photo, (0.25, y), "white")
            assert_colour(photo, (0.75, y), (0x80, 0x80, 0x80))


def test_png_in_colours_with_a_suggested_palette() -> None:
    palette = photos.png_chunk(b"PLTE", bytes(range(30)))
    data = photos.png(40, 30, (b"\0" + b"\xc8\x78\x3c" * 40) * 30, palette)
    assert_colour(opened(images.process(data).photo), (0.5, 0.5), (200, 120, 60))


@pytest.mark.parametrize("side", [60, 2500])
def test_transparency_becomes_white(side: int) -> None:
    clear = Image.new("RGBA", (side, side), (255, 0, 0, 0))
    clear.paste((0, 0, 255, 255), (0, 0, side // 2, side))
    palette = photos.corners((side, side)).convert("P", palette=Image.Palette.ADAPTIVE)
    index = palette.getpixel((0, 0))
    for kind in ("PNG", "WEBP", "HEIF"):
        photo = opened(images.process(photos.encoded(clear, kind, quality=95)).photo)
        assert_colour(photo, (0.25, 0.5), "blue")
        assert_colour(photo, (0.75, 0.5), "white")
    photo = opened(images.process(photos.encoded(palette, "PNG", transparency=index)).photo)
    assert_colour(photo, (0.25, 0.25), "white")
    assert_colour(photo, (0.75, 0.25), "lime")
    grey = opened(images.process(photos.encoded(Image.new("LA", (side, side), (40, 0)), "PNG")).photo)
    assert_colour(grey, (0.5, 0.5), "white")


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
def test_pngs_in_strips_are_the_pngs_decoded_whole(mode: str) -> None:
    """Every filter of PNG crosses the strips' borders here, in a picture large enough for many strips."""
    image = photos.photograph(1900, 1400).convert(mode)
    data = photos.encoded(image, "PNG")
    flat = Image.open(io.BytesIO(data)).convert("RGBA")
    white = Image.new("RGB", flat.size, "white")
    white.paste(flat, mask=flat.getchannel("A"))
    assert images.process(data) == images.process(
        photos.encoded(white.convert("L") if mode in {"1", "L"} else white, "PNG")
    )


def test_interlaced_png() -> None:
    rows = b"".join(
        b"\0" + b"\x20\x80\xc0" * width for width in (1, 1, 2)
    )  # Adam7 of a 3 x 1 picture: passes 1, 5 (none), 6
    header = photos.png_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 1))
    body = photos.png_chunk(b"IDAT", zlib.compress(rows))
    data = b"\x89PNG\r\n\x1a\n" + header + body + photos.png_chunk(b"IEND", b"")
    assert_colour(opened(images.process(data).photo), (0, 0), (0x20, 0x80, 0xC0))


def test_animated_webp_gives_its_first_frame() -> None:
    first, second = photos.corners((1600, 1200)), Image.new("RGB", (1600, 1200), "black")
    data = photos.encoded(first, "WEBP", save_all=True, append_images=[second], duration=100, quality=95)
    assert_upright(opened(images.process(data).photo))


def test_webp_with_alpha_is_allowed_fewer_pixels() -> None:
    """Pillow would need a gigabyte for 60 MP of it."""
    data = photos.encoded(Image.new("RGBA", (4001, 4000), (90, 80, 70, 128)), "WEBP", quality=10, method=0)
    with pytest.raises(images.Rejected) as rejected:
        images.process(data)
    assert rejected.value.reason == "TOO_MANY_PIXELS"


@pytest.fixture
def pillow_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder in place of the one with Pillow's libraries."""
    libraries = tmp_path / "pillow.libs"
    libraries.mkdir()
    monkeypatch.setattr(webp._webp, "__file__", str(tmp_path / "PIL" / "_webp.so"))
    webp._library.cache_clear()
    yield libraries
    webp._library.cache_clear()


def test_webp_library_is_found_beside_pillow_whatever_its_suffix(pillow_elsewhere: Path) -> None:
    """`uv pip install --target`, as for a layer, lays both out as a virtual environment has them."""
    (bundled,) = (Path(PIL.__file__).parent.parent / "pillow.libs").glob("libwebp-*")
    (pillow_elsewhere / "libwebp-bac0fc6b.so.7.2.0").symlink_to(bundled)
    assert webp.available()


@pytest.mark.parametrize("content", [None, b"no library"])
def test_webp_without_the_bundled_library(pillow_elsewhere: Path, content: bytes | None) -> None:
    if content:
        (pillow_elsewhere / "libwebp-00000000.so.7.2.0").write_bytes(content)
    assert not webp.available()
    data = photos.encoded(photos.corners((1600, 1200)), "WEBP", quality=95)
    assert_upright(opened(images.process(data).photo))


def test_webp_library_with_other_structures_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webp, "_ABI_VERSION", 0x0309)
    webp._library.cache_clear()
    assert not webp.available()
    webp._library.cache_clear()


@pytest.mark.parametrize("kind", list(SAVED))
@pytest.mark.parametrize("profile", [None, photos.display_p3()])
@pytest.mark.parametrize("size", [(1300, 975), (2017, 1513)])
def test_as_sharp_as_lanczos(kind: str, profile: bytes | None, size: tuple[int, int]) -> None:
    """Against the uncompressed full-size reduction; half a pixel of shift, or a soft filter, would fall far below."""
    picture = photos.photograph(*size, noise=0.3)
    options: dict[str, Any] = SAVED[kind] | ({"icc_profile": profile} if profile else {})
    result = images.process(photos.encoded(picture, **options))
    if profile:
        picture = picture.copy()
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        ImageCms.profileToProfile(picture, embedded, ImageCms.createProfile("sRGB"), inPlace=True)
    ideal = picture.resize((result.width, result.height), Image.Resampling.LANCZOS)
    assert ssim(opened(result.photo), ideal) > 0.95
    cover = ImageOps.fit(picture, (200, 200), Image.Resampling.LANCZOS)
    assert ssim(opened(result.thumbnail), cover) > 0.9


def test_48_megapixels_pass() -> None:
    data = photos.encoded(Image.new("RGB", (8160, 6144), (90, 80, 70)), quality=60)
    result = images.process(data)
    assert (result.width, result.height) == (1200, 904)


OF_THEIR_CONTENT = [name for name, (_, reason) in photos.hostile().items() if reason != images.Reason.TOO_LARGE]


@pytest.mark.parametrize("name", OF_THEIR_CONTENT)
def test_hostile_file_is_rejected(name: str) -> None:
    data, reason = photos.hostile()[name]
    with pytest.raises(images.Rejected) as rejected:
        images.process(data)
    assert rejected.value.reason == reason


MEASURE = """
import resource, sys
from after_hours import images
data = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    images.process(data)
    print("photo", end=" ")
except images.Rejected as rejected:
    print(rejected.reason, end=" ")
unit = 1024**2 if sys.platform == "darwin" else 1024
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / unit)
"""


def run_alone(data: bytes) -> tuple[str, float]:
    """Outcome and peak memory in MB of a process of its own. It must print nothing else, not even a warning."""
    done = subprocess.run(
        # Started by a shell, not by us: Linux lets a process begin with the peak memory of the one that started it.
        ["/bin/sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-W", "always", "-c", MEASURE],
        input=data,
        capture_output=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stderr == b""
    outcome, peak = done.stdout.decode().split()
    return outcome, float(peak)


def test_bombs_need_no_memory() -> None:
    bomb = zlib.compress(bytes(200_000_000), 9)
    text = photos.png_chunk(b"zTXt", b"comment\0\0" + bomb)
    profile = photos.png_chunk(b"iCCP", b"profile\0\0" + bomb)
    small = (b"\0" + b"\x40\x50\x60" * 64) * 64
    assert len(text) < 300_000
    outcome, peak = run_alone(photos.png(64, 64, small, text, profile))
    assert (outcome, peak < 30) == ("photo", True)
    for data, expected in (
        (photos.png(64, 64, bytes(200_000_000)), "photo"),  # rows far beyond the picture are not inflated
        (photos.png(30_000, 30_000, bytes(1_000_000)), "TOO_MANY_PIXELS"),
        (photos.heic_with_size(9000, 6600), "CORRUPT"),
        (photos.jpeg_with_scans(5000), "CORRUPT"),
    ):
        outcome, peak = run_alone(data)
        assert (outcome, peak < 15) == (expected, True), peak


def test_many_small_parts_need_neither_memory_nor_time() -> None:
    """Each of these took hundreds of megabytes, or minutes."""
    jpeg, much = photos.encoded(photos.corners()), 9_000_000
    webp_file = photos.encoded(photos.corners(), "WEBP")
    empty = photos.png_chunk(b"IDAT", b"")
    for name, data in {
        "exif": jpeg[:2] + photos.EXIF_SEGMENT * (much // len(photos.EXIF_SEGMENT)) + jpeg[2:],
        "comments": jpeg[:2] + photos.NO_COMMENT * (much // 4) + jpeg[2:],
        "chunks": photos.png(10, 10, bytes(310), empty * (much // len(empty))),
        "riff": webp_file + b"none\0\0\0\0" * (much // 8),
        "items": photos.heic_of_one_exif(much),
        "extents": photos.heic_by_hand(wide=8, version=1, index=8, each=60_000),
    }.items():
        before = time.thread_time()
        with pytest.raises(images.Rejected):
            images.process(data)
        assert time.thread_time() - before < 0.5, name
        outcome, peak = run_alone(data)
        assert (outcome, peak < 15) == ("CORRUPT", True), (name, peak)


def test_what_a_heic_says_of_many_images_is_not_copied_for_each() -> None:
    profile = photos.box(b"colr", b"prof", photos.display_p3(), bytes(3_000_000))
    exif = (b"Exif", bytes(4) + b"MM\0*" + bytes(8_000_000))
    for name, data in {
        "exif": photos.heic_by_hand((exif,), images=900, described=900),
        "profile": photos.heic_by_hand(images=900, properties=profile),
    }.items():
        outcome, peak = run_alone(data)
        assert (outcome, peak < 30) == ("photo", True), (name, peak)


def test_items_of_no_length_in_a_heic_are_not_read_to_the_end() -> None:
    """Why they count for nothing: libheif takes zero for empty, as some writers mean it."""
    data = photos.heic_by_hand((*((b"Exif", b""),) * 900, (b"Exif", bytes(4) + b"MM\0*" + bytes(5_000_000))))
    outcome, peak = run_alone(data)
    assert (outcome, peak < 30) == ("photo", True), peak


def test_memory_follows_the_output() -> None:
    large = Image.new("RGB", (8000, 6000), (90, 80, 70))
    for kind in ("jpeg", "png", "webp", "lossless webp"):
        outcome, peak = run_alone(saved(large, kind))
        assert outcome == "photo"
        assert peak < 40, kind  # 144 MB in full


def test_nothing_is_printed_and_no_thread_is_left(capfd: pytest.CaptureFixture[str]) -> None:
    limit, threads = Image.MAX_IMAGE_PIXELS, threading.active_count()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for data in files(photos.photograph(640, 480)).values():
            images.process(data)
        for data in (photos.hostile()[name][0] for name in OF_THEIR_CONTENT):
            with pytest.raises(images.Rejected):
                images.process(data)
    assert not caught
    assert capfd.readouterr() == ("", "")
    assert limit == Image.MAX_IMAGE_PIXELS
    assert threading.active_count() == threads


def processed_or_rejected(data: bytes) -> None:
    """Nothing else, and soon: in processor time, so that a busy machine does not count."""
    before = time.thread_time()
    try:
        result = images.process(data)
    except images.Rejected:
        return
    finally:
        assert time.thread_time() - before < 3
    assert_clean(result.photo)
    assert opened(result.thumbnail).size == (200, 200)


MAGIC = [
    b"",
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"RIFF\x40\0\0\0WEBPVP8 ",
    b"RIFF\x40\0\0\0WEBPVP8X",
    b"\0\0\0\x18ftypheic",
]


@given(st.sampled_from(MAGIC), st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_random_bytes(magic: bytes, rest: bytes) -> None:
    processed_or_rejected(magic + rest)


SEEDS = [
    *files(photos.photograph(97, 71)).values(),
    photos.encoded(photos.photograph(97, 71), exif=photos.exif(6), icc_profile=photos.display_p3(), progressive=True),
    photos.encoded(photos.photograph(97, 71).convert("P"), "PNG", exif=photos.exif(6), transparency=3),
    photos.encoded(photos.photograph(97, 71).convert("RGBA"), "WEBP", exif=photos.exif(6), xmp=photos.xmp()),
    photos.encoded(photos.photograph(97, 71), "WEBP", save_all=True, append_images=[photos.corners((97, 71))]),
    photos.encoded(photos.photograph(97, 71).convert("CMYK"), icc_profile=photos.display_p3()),
    photos.encoded(photos.photograph(97, 71), "HEIF", tile_size=64, icc_profile=photos.display_p3()),
    photos.heic_by_hand(((b"Exif", bytes(4) + photos.exif()[6:]),), version=1, wide=8, index=4),
]


@given(st.sampled_from(SEEDS), st.integers(0, 2**32), st.integers(1, 12), st.booleans())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_mutated_files(seed: bytes, number: int, changes: int, near_the_start: bool) -> None:
    chance, data = random.Random(number), bytearray(seed)
    for _ in range(changes):
        at = chance.randrange(min(len(data), 300) if near_the_start else len(data))
        match chance.randrange(4):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                data[at] ^= 1 << chance.randrange(8)
            case 2:
                del data[at : at + chance.randrange(1, 30)]
            case _:
                data[at:at] = data[at : at + chance.randrange(1, 30)]
        if not data:
            break
    processed_or_rejected(bytes(data))
