import struct
from typing import Any

import pytest
from after_hours.images.pipeline import process
from after_hours.images.rejection import Reason, Rejected
from PIL import Image

from tests.support.images import assert_colour, assert_upright, opened
from tools.pictures.files import corners, display_p3, encoded, exif, turned_away, xmp
from tools.pictures.heic import box, heic_by_hand, with_bitstream_size
from tools.pictures.photograph import photograph


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_is_turned_once(orientation: int) -> None:
    """The HEIF writer turns EXIF's orientation into the format's own rotation, as phones do beside their EXIF."""
    stored = turned_away(corners(), orientation)
    result = process(encoded(stored, "HEIF", exif=exif(orientation), quality=95))
    assert opened(result.photo).size == (400, 300)
    assert_upright(opened(result.photo))


def test_heic_in_tiles_as_an_iphone_makes_them() -> None:
    picture = photograph(2016, 1512)
    data = encoded(picture, "HEIF", quality=80, tile_size=512, icc_profile=display_p3())
    assert data.count(b"hvc1") > 1
    result = process(data)
    assert opened(result.photo).size == (1200, 900)


@pytest.mark.parametrize("version", [0, 1, 2])
@pytest.mark.parametrize(("wide", "index"), [(4, 0), (8, 0), (4, 4), (8, 8)])
def test_every_layout_of_a_heic(version: int, wide: int, index: int) -> None:
    about = (b"Exif", bytes(4) + exif()[6:])
    for layout in ({}, {"images": 3, "described": 3}):
        data = heic_by_hand((about,), version=version, wide=wide, index=index, **layout)
        assert_colour(opened(process(data).photo), (0.5, 0.5), "teal")
    with pytest.raises(Rejected):
        process(heic_by_hand((about,) * 30, version=version, wide=wide, index=index))


@pytest.mark.parametrize(
    "options",
    [
        {"tile_size": 64, "thumbnails": [128, 64], "icc_profile": display_p3()},
        {"tile_size": 64, "exif": exif(), "xmp": xmp()},
        {"exif": exif(), "xmp": b""},
        {"save_all": True, "append_images": [corners((64, 64))] * 3, "exif": exif()},
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_what_else_a_heic_may_hold(options: dict[str, Any], mode: str) -> None:
    """Tiles (found by way of `idat`, as an iPhone has it), thumbnails, alpha as an auxiliary image, metadata."""
    data = encoded(photograph(640, 480).convert(mode), "HEIF", **options)
    for trailer in (b"", box(b"free"), bytes(20), b"SEFT, as some phones append"):
        assert opened(process(data + trailer).photo).width == 640


def test_heic_with_boxes_of_other_sizes() -> None:
    whole = heic_by_hand()
    at = whole.index(b"mdat") - 4
    to_the_end = whole[:at] + bytes(4) + whole[at + 4 :]
    large = whole + struct.pack(">I4sQ", 1, b"free", 24) + bytes(8)
    for data in (to_the_end, large):
        assert_colour(opened(process(data).photo), (0.5, 0.5), "teal")


def test_no_exif_turns_a_heic_again() -> None:
    """The writer has turned EXIF's orientation into `irot`, which counts alone where a picture has it."""
    stored = encoded(turned_away(corners(), 6), "HEIF", exif=exif(6), quality=95)
    unturned = encoded(corners(), "HEIF", quality=95)
    assert opened(process(stored).photo).size == opened(process(unturned).photo).size == (400, 300)


BRANDS = [b"mif1", b"miaf", b"MiHB", b"tmap", b"1pic", b"hevc", b"msf1", b"heic", b"heix", b"xxxx"]


@pytest.mark.parametrize("brand", BRANDS)
@pytest.mark.parametrize("others", [b"", b"heic", b"mif1miaf"])
def test_a_heic_is_known_by_its_codec_not_by_its_brand(brand: bytes, others: bytes) -> None:
    data = encoded(corners(), "HEIF", quality=95)
    length = int.from_bytes(data[:4])
    named = brand + bytes(4) + (others + brand * 10)[: length - 16]
    assert_upright(opened(process(data[:8] + named + data[length:]).photo))


@pytest.mark.parametrize("brand", [b"heic", b"mif1", b"avif"])
@pytest.mark.parametrize("size", [(64, 48), (700, 500)])
def test_avif_is_refused_under_every_brand(brand: bytes, size: tuple[int, int]) -> None:
    data = encoded(photograph(*size), "AVIF")
    with pytest.raises(Rejected) as rejected:
        process(data[:8] + brand + data[12:])
    assert rejected.value.reason == Reason.UNSUPPORTED_TYPE


@pytest.mark.parametrize("kind", [b"av01", b"jpeg", b"iovl"])
def test_a_primary_item_of_another_codec(kind: bytes) -> None:
    with pytest.raises(Rejected) as rejected:
        process(heic_by_hand().replace(b"hvc1", kind))
    assert rejected.value.reason == Reason.UNSUPPORTED_TYPE


@pytest.mark.parametrize(("text", "other"), [(b"Exif", b"Ex\xfff"), (b"mime\0\0", b"mime\0\xff")])
def test_metadata_whose_kind_is_no_text(text: bytes, other: bytes) -> None:
    """pi_heif makes text of it, and crashed where that failed."""
    with pytest.raises(Rejected):
        process(heic_by_hand(((text[:4], exif()),)).replace(text, other))


def test_a_film_before_or_behind_the_picture_is_not_read() -> None:
    """Its `iloc` would make libheif copy, and `meta` boxes behind the first are not the picture's."""
    whole = heic_by_hand()
    evil = heic_by_hand(((b"Exif", bytes(4) + b"MM\0*" + bytes(5000)),) * 900)
    meta = evil[evil.index(b"meta") - 4 : evil.index(b"mdat") - 4]
    at = whole.index(b"mdat") - 4
    for film in (box(b"moov", box(b"trak", meta)), meta):
        gap = box(b"free", bytes(len(film) - 8))
        for data in (whole[:at] + film + whole[at:], whole + film):
            moved = data if data.startswith(whole) else _moved(data, len(film))
            assert_colour(opened(process(moved).photo), (0.5, 0.5), "teal")
        assert_colour(opened(process(_moved(whole[:at] + gap + whole[at:], len(gap))).photo), (0.5, 0.5), "teal")


def _moved(data: bytes, by: int) -> bytes:
    """With the one place that `iloc` names so much further behind."""
    at = data.index(b"iloc") + 4 + 4 + 2 + 2 + 2 + 2
    place = int.from_bytes(data[at : at + 4]) + by
    return data[:at] + place.to_bytes(4) + data[at + 4 :]


def test_tiles_larger_than_what_is_shown_of_them() -> None:
    """libheif decodes whole tiles: each of the 512 would have 16 megapixels, of which 64 x 64 are shown."""
    data = encoded(Image.new("RGB", (16_384, 128), "teal"), "HEIF", tile_size=64, quality=10)
    assert opened(process(data).photo).width == 1200
    for size in ((8192, 8192), (4096, 4096), (64, 40_000)):
        with pytest.raises(Rejected) as rejected:
            process(with_bitstream_size(data, *size))
        assert rejected.value.reason == Reason.TOO_MANY_PIXELS


def test_a_heic_of_several_sizes_and_turns_has_those_of_its_bitstream_and_of_its_own_properties() -> None:
    for size in ((400, 303), (16, 16), (30_000, 30_000)):
        data = encoded(turned_away(corners(), 6), "HEIF", exif=exif(6), quality=95)
        at = data.index(b"ispe") + 8
        assert_upright(opened(process(data[:at] + struct.pack(">II", *size) + data[at + 8 :]).photo))
