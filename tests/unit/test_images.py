import io
import sys
from typing import Any

import pytest
from after_hours.images.pipeline import process
from PIL import Image, ImageCms, ImageOps

from tests.support.images import SAVED, assert_clean, assert_colour, assert_upright, opened, saved
from tools.pictures.files import GPS_BYTES, corners, display_p3, encoded, exif, xmp
from tools.pictures.likeness import ssim
from tools.pictures.photograph import photograph


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
    result = process(saved(Image.new("RGB", size, (200, 120, 60)), kind))
    photo, thumbnail = opened(result.photo), opened(result.thumbnail)
    assert opened(result.photo).size == photo.size == expected
    assert thumbnail.size == (200, 200)
    for image in (photo, thumbnail):
        for at in ((0, 0), (0.5, 0.5), (0.9999, 0), (0, 0.9999), (0.9999, 0.9999)):
            assert_colour(image, at, (200, 120, 60))


@pytest.mark.parametrize("size", [(5000, 1), (1, 5000), (65_500, 1)])
def test_a_picture_of_one_pixel_s_height_or_width_becomes_a_photo(size: tuple[int, int]) -> None:
    for kind in ("JPEG", "PNG"):  # the others do not go that thin
        result = process(encoded(Image.new("RGB", size, (200, 120, 60)), kind, quality=95))
        assert max(opened(result.photo).size) == 1200
        assert_colour(opened(result.thumbnail), (0.5, 0.5), (200, 120, 60))


@pytest.mark.parametrize("kind", list(SAVED))
@pytest.mark.parametrize("size", [(400, 300), (2600, 1950)])
def test_photo_is_progressive_and_the_pixels_are_where_they_were(kind: str, size: tuple[int, int]) -> None:
    result = process(saved(corners(size), kind))
    photo = opened(result.photo)
    assert photo.info["progressive"]
    assert_upright(photo)
    assert_upright(opened(result.thumbnail))
    assert "progressive" not in opened(result.thumbnail).info


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF"])
@pytest.mark.parametrize("size", [(300, 200), (1500, 1000)])
def test_no_trace_of_metadata_is_left(kind: str, size: tuple[int, int]) -> None:
    image = photograph(*size)
    by_kind: dict[str, dict[str, Any]] = {
        "JPEG": {"comment": GPS_BYTES, "dpi": (300, 300), "xmp": xmp()},
        "PNG": {"dpi": (300, 300)},
        "WEBP": {"xmp": xmp()},
        "HEIF": {"xmp": xmp()},
    }
    data = encoded(image, kind, exif=exif(), icc_profile=display_p3(), **by_kind[kind])
    assert GPS_BYTES in data
    result = process(data)
    assert_clean(result.photo)
    assert_clean(result.thumbnail)


@pytest.mark.parametrize("side", [60, 2500])
def test_transparency_becomes_white(side: int) -> None:
    clear = Image.new("RGBA", (side, side), (255, 0, 0, 0))
    clear.paste((0, 0, 255, 255), (0, 0, side // 2, side))
    palette = corners((side, side)).convert("P", palette=Image.Palette.ADAPTIVE)
    index = palette.getpixel((0, 0))
    for kind in ("PNG", "WEBP", "HEIF"):
        photo = opened(process(encoded(clear, kind, quality=95)).photo)
        assert_colour(photo, (0.25, 0.5), "blue")
        assert_colour(photo, (0.75, 0.5), "white")
    photo = opened(process(encoded(palette, "PNG", transparency=index)).photo)
    assert_colour(photo, (0.25, 0.25), "white")
    assert_colour(photo, (0.75, 0.25), "lime")
    grey = opened(process(encoded(Image.new("LA", (side, side), (40, 0)), "PNG")).photo)
    assert_colour(grey, (0.5, 0.5), "white")


@pytest.mark.parametrize("kind", list(SAVED))
@pytest.mark.parametrize("profile", [None, display_p3()])
@pytest.mark.parametrize("size", [(1300, 975), (2017, 1513)])
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


def test_48_megapixels_pass() -> None:
    data = encoded(Image.new("RGB", (8160, 6144), (90, 80, 70)), quality=60)
    result = process(data)
    assert opened(result.photo).size == (1200, 904)


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
