"""What every photo is: of the right size, as sharp as the original, upright, and without metadata."""

import io
import sys
from typing import Any

import pytest
from after_hours.images.pipeline import process
from PIL import Image, ImageCms, ImageOps

from tests.support.images import SAVED, assert_clean, assert_colour, assert_places, assert_upright, opened, saved
from tools.pictures.files import GPS_BYTES, corners, display_p3, encoded, exif, xmp
from tools.pictures.likeness import ssim
from tools.pictures.photograph import photograph

COLOUR = (200, 120, 60)
SIZES = {
    (1, 1): (1, 1),
    (2, 3): (2, 3),
    (6000, 40): (1200, 8),
    (1, 5000): (1, 1200),
    (65_500, 1): (1200, 1),
    (1201, 900): (1200, 899),
    (1400, 1399): (1200, 1199),
    (2017, 1513): (1200, 900),
}


@pytest.mark.parametrize("kind", ["jpeg", "png"])  # the others are decoded like a PNG, and do not go that thin
def test_any_size_fits_and_has_a_thumbnail(kind: str) -> None:
    for size, expected in SIZES.items():
        result = process(saved(Image.new("RGB", size, COLOUR), kind))
        photo, thumbnail = opened(result.photo), opened(result.thumbnail)
        assert (photo.size, thumbnail.size) == (expected, (200, 200)), size
        for image in (photo, thumbnail):
            assert_places(image, dict.fromkeys(((0, 0), (0.5, 0.5), (0.9999, 0), (0, 0.9999)), COLOUR))


@pytest.mark.parametrize("kind", list(SAVED))
def test_photo_is_progressive_and_upright_and_no_metadata_is_left(kind: str) -> None:
    by_kind: dict[str, dict[str, Any]] = {"jpeg": {"comment": GPS_BYTES, "dpi": (300, 300)}, "png": {"dpi": (300, 300)}}
    options = SAVED[kind] | by_kind.get(kind, {"xmp": xmp()})
    for size, profile in (((400, 300), None), ((1500, 1100), display_p3())):
        data = encoded(corners(size), **options, exif=exif(), icc_profile=profile)
        assert GPS_BYTES in data
        result = process(data)
        for made, is_progressive in ((result.photo, True), (result.thumbnail, False)):
            assert ("progressive" in opened(made).info) is is_progressive
            assert_clean(made)
        assert_upright(opened(process(saved(corners(size), kind)).thumbnail))


@pytest.mark.parametrize(("side", "kinds"), [(60, ("PNG", "WEBP", "HEIF")), (1300, ("PNG",))])
def test_transparency_becomes_white(side: int, kinds: tuple[str, ...]) -> None:
    clear = Image.new("RGBA", (side, side), (255, 0, 0, 0))
    clear.paste((0, 0, 255, 255), (0, 0, side // 2, side))
    palette = corners((side, side)).convert("P", palette=Image.Palette.ADAPTIVE)
    for kind in kinds:
        photo = opened(process(encoded(clear, kind, quality=95)).photo)
        assert_places(photo, {(0.25, 0.5): "blue", (0.75, 0.5): "white"})
    photo = opened(process(encoded(palette, "PNG", transparency=palette.getpixel((0, 0)))).photo)
    assert_places(photo, {(0.25, 0.25): "white", (0.75, 0.25): "lime"})
    grey = opened(process(encoded(Image.new("LA", (side, side), (40, 0)), "PNG")).photo)
    assert_colour(grey, (0.5, 0.5), "white")


@pytest.mark.parametrize(
    ("kind", "profile", "size"),
    [
        ("jpeg", None, (1300, 975)),  # shrunk by Lanczos, and below by a triangle
        ("jpeg", None, (2017, 1513)),
        ("jpeg", display_p3(), (2017, 1513)),
        ("png", display_p3(), (2017, 1513)),
    ],
)
def test_as_sharp_as_lanczos(kind: str, profile: bytes | None, size: tuple[int, int]) -> None:
    """Against the uncompressed full-size reduction; half a pixel of shift, or a soft filter, would fall far below."""
    picture = photograph(*size, noise=0.3)
    options: dict[str, Any] = SAVED[kind] | ({"icc_profile": profile} if profile else {})
    result = process(encoded(picture, **options))
    if profile:
        picture = picture.copy()
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        ImageCms.profileToProfile(picture, embedded, ImageCms.createProfile("sRGB"), inPlace=True)
    ideal = picture.resize(opened(result.photo).size, Image.Resampling.LANCZOS)
    assert ssim(opened(result.photo), ideal) > 0.95
    cover = ImageOps.fit(picture, (200, 200), Image.Resampling.LANCZOS)
    assert ssim(opened(result.thumbnail), cover) > 0.9


@pytest.mark.parametrize("kind", list(SAVED))
def test_only_a_heic_needs_libheif_and_is_no_corrupt_file_without_it(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    file = saved(corners(), kind)
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    if "heic" in kind:
        with pytest.raises(ImportError):
            process(file)
    else:
        assert_upright(opened(process(file).photo))
