import struct

import pytest
from after_hours.images.pipeline import process
from PIL import PngImagePlugin

from tests.support.images import assert_clean, assert_upright, opened
from tools.pictures import FOLDER
from tools.pictures.files import corners, display_p3, encoded, exif, png_chunk, turned_away

KINDS = ["JPEG", "PNG", "WEBP", "HEIF"]


def xmp(orientation: int, form: str = 'tiff:Orientation="{}"') -> bytes:
    return (f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description {form}/></x:xmpmeta>').format(orientation).encode()


def with_xmp(kind: str, orientation: int, content: bytes) -> bytes:
    stored = turned_away(corners((1600, 1200)), orientation)
    if kind != "PNG":
        return encoded(stored, kind, xmp=content, quality=95)
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", content.decode())
    return encoded(stored, kind, pnginfo=text)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", KINDS)
def test_exif_turns_a_picture(kind: str, orientation: int) -> None:
    stored = turned_away(corners((1600, 1200)), orientation)
    photo = opened(process(encoded(stored, kind, exif=exif(orientation), quality=95)).photo)
    assert photo.size == (1200, 900)
    assert_upright(photo)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *(("JPEG", mode) for mode in ("RGB", "CMYK", "L")),
        *(("PNG", mode) for mode in ("RGB", "RGBA", "P", "L", "LA", "1", "I;16")),
        *((kind, mode) for kind in ("WEBP", "HEIF") for mode in ("RGB", "RGBA")),
    ],
)
def test_pictures_of_every_mode_and_with_a_profile_are_turned(kind: str, mode: str) -> None:
    """What is known of a picture has to get as far as where it is turned."""
    stored = turned_away(corners((1600, 1200)), 6).convert(mode)
    for profile in ({}, {"icc_profile": display_p3()}):
        photo = opened(process(encoded(stored, kind, exif=exif(6), **profile)).photo)
        assert photo.size == (1200, 900)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", KINDS)
def test_xmp_turns_a_picture(kind: str, orientation: int) -> None:
    result = process(with_xmp(kind, orientation, xmp(orientation)))
    assert opened(result.photo).size == (1200, 900)
    assert_upright(opened(result.photo))
    assert_upright(opened(result.thumbnail))
    assert_clean(result.photo)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_comes_before_xmp(kind: str) -> None:
    stored = turned_away(corners(), 6)
    options = {"exif": exif(6), "quality": 95}
    data = encoded(stored, kind, **options, **({} if kind == "PNG" else {"xmp": xmp(3)}))
    if kind == "PNG":
        at = data.index(b"IDAT") - 4
        data = data[:at] + png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(3)) + data[at:]
    assert_upright(opened(process(data).photo))


def test_compressed_xmp_behind_the_rows_turns_a_png() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp(8).decode(), zip=True)
    data = encoded(turned_away(corners(), 8), "PNG", pnginfo=text)
    at, end = data.index(b"iTXt") - 4, data.index(b"IDAT") - 4
    moved = data[:at] + data[end:-12] + data[at:end] + data[-12:]
    assert_upright(opened(process(moved).photo))


def test_xmp_in_several_segments_turns_a_picture() -> None:
    more = b"\xff\xe1\0\x28http://ns.adobe.com/xmp/extension/\0abc"
    data = encoded(turned_away(corners(), 6), xmp=xmp(6), quality=95, extra=more * 20)
    assert_upright(opened(process(data).photo))


@pytest.mark.parametrize("noted", [0, 9, 65_535])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_orientation_that_does_not_exist_turns_nothing(kind: str, noted: int) -> None:
    assert_upright(opened(process(encoded(corners(), kind, exif=exif(noted), quality=95)).photo))


def test_exif_that_cannot_be_read_turns_nothing() -> None:
    for broken in (b"Exif\0\0", b"Exif\0\0MM\0*" + struct.pack(">I", 2**31), b"Exif\0\0" + bytes(50)):
        segment = b"\xff\xe1" + struct.pack(">H", len(broken) + 2) + broken
        data = encoded(corners(), quality=95)
        assert_upright(opened(process(data[:2] + segment + data[2:]).photo))


def test_the_png_that_is_turned_by_xmp_only() -> None:
    photo = opened(process((FOLDER / "png-rotated-by-xmp-only.png").read_bytes()).photo)
    assert photo.size == (120, 160)
