"""The table of input files: each becomes a photo of this size and these colours, or is refused for this reason.

Files that cost memory or time are in `tools/pictures/hostile`; test_images_hostile.py has their outcomes.
test_images.py has what no colour at a place can show.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from after_hours.images.pipeline import process
from after_hours.images.rejection import Rejected
from PIL import Image

from tests.support.images import SAVED, UPRIGHT, Places, assert_clean, assert_places, opened, saved
from tools.pictures import FOLDER
from tools.pictures.files import GPS_BYTES, corners, display_p3, encoded, exif, xmp

type Size = tuple[int, int]
type Make = Callable[[], bytes]
type Photo = tuple[Size, Places]
type Outcome = str | Photo

WHITE, BLACK, TEAL, ORANGE = (255, 255, 255), (0, 0, 0), (0, 128, 128), (200, 120, 60)


def plain(colour: tuple[int, int, int], size: Size = (40, 30)) -> Photo:
    return size, dict.fromkeys(((0, 0), (0.5, 0.5), (0.9999, 0.9999)), colour)


def upright(size: Size = (400, 300)) -> Photo:
    return size, UPRIGHT


# --- files in tools/pictures -----------------------------------------------------------------------------------------

# Left and an ellipse there, right and a box there
SCENE: Places = {
    (0.0625, 0.1): (200, 60, 60), (0.25, 0.5): (40, 60, 220), (0.9375, 0.1): (20, 130, 60), (0.75, 0.5): (235, 235, 235)
}  # fmt: skip
TURNED: Places = {(0.995 - y, x): colour for (x, y), colour in SCENE.items()}  # clockwise
FOUR_QUARTERS: Places = {(0.1, 0.1): (220, 30, 30), (0.1, 0.9): (30, 41, 221), (0.9, 0.1): (30, 200, 41)}


def scene(left: tuple[int, int, int], right: tuple[int, int, int], box: tuple[int, int, int]) -> Photo:
    return (320, 200), {(0.0625, 0.1): left, (0.9375, 0.1): right, (0.75, 0.5): box}


COLOURS = ("#cd5c46", "#3c965a", "#4650be", "#e6c828", "#808080", "#fafafa", "#1e1628")
PATCHES: Photo = (1120, 160), {((i + 0.5) / 7, 0.5): colour for i, colour in enumerate(COLOURS)}
HALF_WHITE: Outcome = (40, 30), {(0.25, 0.5): WHITE, (0.75, 0.5): (0x80, 0x80, 0x80)}
PATCH = plain(TEAL, (64, 64))

STORED: dict[str, Outcome] = {
    "jpeg-without-end-marker.jpg": ((320, 240), FOUR_QUARTERS),
    "progressive-jpeg-video-behind.jpg": ((320, 240), FOUR_QUARTERS),
    "heic-only-mif1-brand.heic": ((320, 240), FOUR_QUARTERS),
    "png-rotated-by-xmp-only.png": ((120, 160), {(0.1, 0.1): (58, 58, 58), (0.9, 0.1): (87, 87, 87)}),
    "odd-size-colour-bars.png": ((599, 399), {}),
    "odd/png-grey-4-bit-transparent.png": scene(WHITE, BLACK, WHITE),
    "odd/png-grey-16-bit-transparent.png": scene(WHITE, BLACK, WHITE),
    "odd/png-colour-16-bit-transparent.png": scene(WHITE, (52, 120, 188), WHITE),
    "odd/png-linear-profile-named-srgb.png": ((320, 200), SCENE),
    "odd/heic-header-three-rows-taller.heic": ((320, 200), SCENE),
    "odd/heic-header-size-as-turned.heic": ((200, 320), TURNED),
    "odd/png-short-trns.png": ((320, 200), SCENE),
    "odd/png-iccp-unknown-method.png": ((320, 200), SCENE),
    "odd/png-gamma-of-nine-bytes.png": ((320, 200), SCENE),
    "odd/png-gamma-out-of-range.png": ((320, 200), SCENE),
    "odd/jpeg-rgb-short-jfif.jpg": ((320, 200), SCENE),
    "odd/jpeg-half-with-end-marker.jpg": "CORRUPT",
    "odd/jpeg-header-twice-as-tall.jpg": "CORRUPT",
    "odd/jpeg-second-half-zeros.jpg": "CORRUPT",
    "odd/png-second-half-zeros.png": "CORRUPT",
    "odd/webp-second-half-zeros.webp": "CORRUPT",
    "odd/heic-second-half-zeros.heic": "CORRUPT",
    "odd/heic-turned-by-exif-only.heic": ((320, 200), SCENE),
    "odd/heic-range-said-twice.heic": ((320, 200), SCENE),
    "odd/png-hdr-pq.png": ((320, 200), SCENE),
    "odd/png-apple-cgbi.png": "UNSUPPORTED_TYPE",
    "odd/jpeg-arithmetic-100-scans.jpg": "UNSUPPORTED_TYPE",
    "png/16-bits-grey.png": plain((0xB4, 0xB4, 0xB4)),
    "png/16-bits.png": plain((0xC8, 0x64, 0x32)),
    "png/16-bits-grey-opaque.png": plain((0xB4, 0xB4, 0xB4)),
    "png/16-bits-clear.png": plain(WHITE),
    "png/grey-clear.png": plain(WHITE),
    "png/grey-gamma-2.6.png": plain((128, 128, 128)),
    "png/2-bits-grey.png": plain((85, 85, 85)),
    "png/1-bit-palette.png": plain(ORANGE),
    "png/4-bits-clear-palette.png": plain(WHITE),
    "png/transparent-grey.png": HALF_WHITE,
    "png/2-bits-transparent.png": plain(WHITE),
    "png/4-bits-odd-bits-in-the-key.png": plain(WHITE),
    "png/transparent-colour.png": HALF_WHITE,
    "png/palette-and-checksum-differ.png": "CORRUPT",
    "png/suggested-palette.png": plain(ORANGE),
    "png/interlaced.png": plain((0x20, 0x80, 0xC0), (1, 1)),
    "heic/iloc-of-version-0.heic": PATCH,
    "heic/iloc-of-version-1.heic": PATCH,
    "heic/iloc-of-version-2.heic": PATCH,
    "heic/mdat-up-to-the-end.heic": PATCH,
    "heic/a-large-box-behind.heic": PATCH,
    # The film's `iloc` would make libheif copy, and `meta` boxes behind the first are not the picture's.
    "heic/film-before.heic": PATCH,
    "heic/film-before-meta-alone.heic": PATCH,
    "heic/film-behind.heic": PATCH,
    "heic/film-behind-meta-alone.heic": PATCH,
    "heic/a-sequence.heic": upright((640, 480)),
    "heic/an-unknown-brand.heic": upright(),
    "heic/tiles.heic": ((1200, 120), {(0.5, 0.5): TEAL}),
    "heic/grey-tiles.heic": ((640, 480), {(0.75, 0.75): WHITE}),
    "heic/tiles-thumbnails-and-alpha.heic": ((640, 480), {(0.75, 0.75): WHITE}),
    "heic/tiles-of-16-megapixels.heic": "TOO_MANY_PIXELS",
    "heic/avif-that-says-heic.heic": "UNSUPPORTED_TYPE",
    "heic/a-primary-item-of-another-codec.heic": "UNSUPPORTED_TYPE",
    # pi_heif makes text of both, and crashed where that failed.
    "heic/a-kind-that-is-no-text.heic": "CORRUPT",
    "heic/a-content-type-that-is-no-text.heic": "CORRUPT",
    # The PATCHES in other colour spaces, by the codes of ITU-T H.273 for primaries (12: Display P3, 9: BT.2020) and
    # transfer (13: sRGB, 14: video, 4: gamma 2.2, 8: linear).
    **dict.fromkeys((f"colour/{path.name}" for path in FOLDER.glob("colour/*")), PATCHES),
    # EXIF of each orientation, or XMP where there is none, in every mode. JPEGs are shrunk on their way to 1200 x 900.
    **{f"turned/{path.name}": upright() for path in FOLDER.glob("turned/*")},
    **{f"turned/{path.name}": upright((1200, 900)) for path in FOLDER.glob("turned/*.jpg")},
    "turned/exif-9.jpg": upright(),
    "turned/exif-that-points-nowhere.jpg": upright(),
    "turned/grey.jpg": ((1200, 900), {}),
    "turned/grey-16-bit.png": ((400, 300), {}),
}


# --- files made here -------------------------------------------------------------------------------------------------

FITTED: dict[Size, Size] = {
    (1, 1): (1, 1), (2, 3): (2, 3), (65_500, 1): (1200, 1), (1201, 900): (1200, 899), (1400, 1399): (1200, 1199),
    (2017, 1513): (1200, 900),
}  # fmt: skip


def of_one_colour(kind: str, size: Size) -> bytes:
    return saved(Image.new("RGB", size, ORANGE), kind)


def with_metadata(kind: str, profile: bytes | None) -> bytes:
    by_kind: dict[str, dict[str, Any]] = {"jpeg": {"comment": GPS_BYTES, "dpi": (300, 300)}, "png": {"dpi": (300, 300)}}
    options = SAVED[kind] | by_kind.get(kind, {"xmp": xmp()})
    data = encoded(corners(), **options, exif=exif(), icc_profile=profile)
    assert GPS_BYTES in data
    return data


def half_transparent(kind: str, side: int) -> bytes:
    image = Image.new("RGBA", (side, side), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, side // 2, side))
    return encoded(image, kind, quality=95)


BLUE_ON_WHITE: Places = {(0.25, 0.5): "blue", (0.75, 0.5): WHITE}
OF_ANY_KIND: dict[str, tuple[Make, Outcome]] = {
    **{f"jpeg of {size}": (partial(of_one_colour, "jpeg", size), plain(ORANGE, fit)) for size, fit in FITTED.items()},
    "png of 2017 x 1513": (partial(of_one_colour, "png", (2017, 1513)), plain(ORANGE, (1200, 900))),
    **{f"{kind} with metadata": (partial(with_metadata, kind, None), upright()) for kind in SAVED},
    **{f"{kind} with a profile": (partial(with_metadata, kind, display_p3()), upright()) for kind in SAVED},
    **{
        f"{kind}, half transparent": (partial(half_transparent, kind, 60), ((60, 60), BLUE_ON_WHITE))
        for kind in ("PNG", "WEBP", "HEIF")
    },
    "large PNG, half transparent": (partial(half_transparent, "PNG", 1300), ((1200, 1200), BLUE_ON_WHITE)),
}


def jpeg(mode: str = "RGB", **options: Any) -> bytes:
    return encoded(corners((2600, 2000)).convert(mode), quality=95, **options)


def rgb_by_names() -> bytes:
    """A JPEG in RGB without Adobe's segment: the names of its components say so."""
    data = jpeg(keep_rgb=True)
    segment = data.index(b"\xff\xee\0\x0eAdobe")
    return data[:segment] + data[segment + 16 :]


def animated() -> bytes:
    black = Image.new("RGB", (1600, 1200), "black")
    return encoded(corners((1600, 1200)), "WEBP", save_all=True, append_images=[black], duration=100, quality=95)


def large_webp(height: int) -> bytes:
    return encoded(Image.new("RGB", (10_000, height), "teal"), "WEBP", quality=10, method=0)


LARGE = upright((1200, 923))
OF_A_KIND: dict[str, tuple[Make, Outcome]] = {
    "small CMYK": (lambda: encoded(corners((200, 200)).convert("CMYK"), quality=95), upright((200, 200))),
    "CMYK, with a profile of RGB": (partial(jpeg, "CMYK", icc_profile=display_p3()), LARGE),
    "grey JPEG": (lambda: encoded(Image.new("L", (3000, 3000), 90), quality=95), plain((90, 90, 90), (1200, 1200))),
    "RGB by Adobe's segment": (partial(jpeg, keep_rgb=True), LARGE),
    "RGB by its components": (rgb_by_names, LARGE),
    "progressive JPEG": (partial(jpeg, progressive=True), LARGE),
    "first frame of an animated WebP": (animated, upright((1200, 900))),
    "WebP of 40 megapixels": (partial(large_webp, 4000), plain(TEAL, (1200, 480))),
    # Pillow would need a gigabyte for 60.
    "WebP of more than 40 megapixels": (partial(large_webp, 4001), "TOO_MANY_PIXELS"),
}

FILES: dict[str, tuple[Make, Outcome]] = {
    **{name: ((FOLDER / name).read_bytes, outcome) for name, outcome in STORED.items()},
    **OF_ANY_KIND,
    **OF_A_KIND,
}


@pytest.mark.parametrize("name", FILES)
def test_outcome(name: str) -> None:
    make, outcome = FILES[name]
    if isinstance(outcome, str):
        with pytest.raises(Rejected) as rejected:
            process(make())
        assert rejected.value.reason == outcome
        return
    made, (size, places) = process(make()), outcome
    photo, thumbnail = opened(made.photo), opened(made.thumbnail)
    assert (photo.size, thumbnail.size) == (size, (200, 200))
    assert ("progressive" in photo.info, "progressive" in thumbnail.info) == (True, False)
    assert_places(photo, places)
    if places is UPRIGHT:
        assert_places(thumbnail, places)
    assert_clean(made.photo)
    assert_clean(made.thumbnail)


def test_every_stored_file_is_in_the_table() -> None:
    others = {".py", ".pyc", ".gz"}
    stored = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.*") if path.suffix not in others}
    assert stored - {"display-p3.icc"} == STORED.keys()
