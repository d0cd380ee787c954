"""The table of input files: each becomes a photo of this size and these colours, or is refused for this reason.

Files that cost memory or time are in `tools/pictures/hostile.py`; test_images_hostile.py has their outcomes.
test_images.py has what no colour at a place can show.
"""

import struct
import zlib
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import pytest
from after_hours.images.pipeline import process
from after_hours.images.rejection import Rejected
from PIL import Image, PngImagePlugin

from tests.support.images import SAVED, UPRIGHT, Places, assert_clean, assert_places, opened, saved
from tools.pictures import FOLDER
from tools.pictures.files import (
    GPS_BYTES,
    corners,
    display_p3,
    encoded,
    exif,
    png,
    png_chunk,
    png_with,
    turned_away,
    xmp,
)
from tools.pictures.heic import beside_a_film, branded, heic_by_hand, in_tiles, mdat_to_the_end
from tools.pictures.photograph import photograph

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


STORED: dict[str, Outcome] = {
    "jpeg-without-end-marker.jpg": ((320, 240), FOUR_QUARTERS),
    "progressive-jpeg-video-behind.jpg": ((320, 240), FOUR_QUARTERS),
    "heic-only-mif1-brand.heic": ((320, 240), FOUR_QUARTERS),
    "png-rotated-by-xmp-only.png": ((120, 160), {(0.1, 0.1): (58, 58, 58), (0.9, 0.1): (87, 87, 87)}),
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
}


# --- every kind ------------------------------------------------------------------------------------------------------

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


# --- colours ---------------------------------------------------------------------------------------------------------

COLOURS = "cd5c46 3c965a 4650be e6c828 808080 fafafa 1e1628"
PATCHES: Photo = (1120, 160), {((i + 0.5) / 7, 0.5): f"#{colour}" for i, colour in enumerate(COLOURS.split())}
# The same by the codes of ITU-T H.273 for primaries (12: Display P3, 9: BT.2020) and transfer (13: sRGB, 14: video,
# 4: gamma 2.2, 8: linear), computed from its formulas.
AS_STORED = {
    (12, 13): "bf634d 559460 4850b7 e1c94d 808080 fafafa 1d1627",
    (12, 4): "be634e 569360 4951b6 e0c84e 7f7f7f fafafa 221d2b",
    (9, 14): "a55b3e 588652 4443ae d4c342 737373 f9f9f9 0d0a17",
    (9, 4): "ac694e 669061 5453b5 d7c852 7f7f7f fafafa 221d2b",
    (9, 8): "6b2413 22491e 161578 af9515 373737 f4f4f4 030205",
}
LINEAR = "9c1b10 0c4e1a 101483 ca9305 373737 f4f4f4 030205"


def patches(colours: str) -> Image.Image:
    return Image.frombytes("RGB", (7, 1), bytes.fromhex(colours)).resize(PATCHES[0], Image.Resampling.NEAREST)


def p3_by_icc(kind: str) -> bytes:
    return encoded(patches(AS_STORED[12, 4]), **SAVED[kind], icc_profile=display_p3())


def by_nclx(primaries: int, transfer: int) -> bytes:
    nclx = {"color_primaries": primaries, "transfer_characteristics": transfer, "matrix_coefficients": 6}
    nclx |= {"full_range_flag": 1}
    image = patches(AS_STORED[primaries, transfer])
    return encoded(image, "HEIF", quality=100, chroma=444, nclx_profile=nclx, **nclx)


def by_cicp(primaries: int, transfer: int) -> bytes:
    others, codes = {"gAMA": struct.pack(">I", 30_000), "sRGB": b"\0"}, bytes((primaries, transfer, 0, 1))
    return png_with(patches(AS_STORED[primaries, transfer]), **others, cICP=codes)


def by_gamma(image: Image.Image, gamma: float) -> bytes:
    return png_with(image, gAMA=struct.pack(">I", round(100_000 / gamma)))


IN_COLOUR: dict[str, tuple[Make, Outcome]] = {
    # A WebP is further off than these by itself.
    **{f"P3 by ICC, {kind}": (partial(p3_by_icc, kind), PATCHES) for kind in SAVED if kind != "webp"},
    **{f"nclx {codes}": (partial(by_nclx, *codes), PATCHES) for codes in ((12, 13), (9, 14), (9, 4))},
    **{f"cICP {codes}": (partial(by_cicp, *codes), PATCHES) for codes in ((12, 13), (9, 14), (12, 4), (9, 8))},
    "gamma 1": (partial(by_gamma, patches(LINEAR), 1), PATCHES),
    "grey of gamma 2.6": (partial(by_gamma, Image.new("L", (40, 30), 141), 2.6), plain((128, 128, 128))),
}


# --- PNG, JPEG, WebP and HEIC ----------------------------------------------------------------------------------------


def png_of(samples: str, *values: int, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG of 40 x 30 pixels that all have these samples."""
    return png(40, 30, (b"\0" + struct.pack(f">{samples}", *values) * 40) * 30, depth=depth, colour=colour)


def few_bits(depth: int, *extra: bytes, colour: int) -> bytes:
    """A PNG whose every pixel is 1."""
    row = b"\0" + bytes([sum(1 << i for i in range(0, 8, depth))]) * (40 * depth // 8)
    return png(40, 30, row * 30, *extra, depth=depth, colour=colour)


def half_clear(colour: int, key: bytes) -> bytes:
    """A PNG whose left half has the transparent colour."""
    transparency = png_chunk(b"tRNS", b"".join(bytes((0, sample)) for sample in key))
    return png(40, 30, (b"\0" + key * 20 + b"\x80" * len(key) * 20) * 30, transparency, colour=colour)


def interlaced() -> bytes:
    """Adam7 of one pixel."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 1))
    body = png_chunk(b"IDAT", zlib.compress(b"\0\x20\x80\xc0"))
    return b"\x89PNG\r\n\x1a\n" + header + body + png_chunk(b"IEND", b"")


PALETTE = png_chunk(b"PLTE", bytes((10, 20, 30, 200, 120, 60)))
HALF_WHITE: Outcome = (40, 30), {(0.25, 0.5): WHITE, (0.75, 0.5): (0x80, 0x80, 0x80)}
PNGS: dict[str, tuple[Make, Outcome]] = {
    "16 bits, grey": (partial(png_of, "H", 0xB4FF, depth=16, colour=0), plain((0xB4, 0xB4, 0xB4))),
    "16 bits": (partial(png_of, "3H", 0xC800, 0x6400, 0x3200, depth=16), plain((0xC8, 0x64, 0x32))),
    "16 bits, grey, opaque": (partial(png_of, "2H", 0xB4FF, 0xFFFF, depth=16, colour=4), plain((0xB4, 0xB4, 0xB4))),
    "16 bits, clear": (partial(png_of, "4H", 0xC800, 0x6400, 0x3200, 0, depth=16, colour=6), plain(WHITE)),
    "grey, clear": (partial(png_of, "2B", 40, 0, colour=4), plain(WHITE)),
    "2 bits, grey": (partial(few_bits, 2, colour=0), plain((85, 85, 85))),
    "1 bit, palette": (partial(few_bits, 1, PALETTE, colour=3), plain((200, 120, 60))),
    "4 bits, clear palette": (partial(few_bits, 4, PALETTE, png_chunk(b"tRNS", b"\xff\0"), colour=3), plain(WHITE)),
    "transparent grey": (partial(half_clear, 0, b"\x40"), HALF_WHITE),
    "2 bits, transparent": (partial(few_bits, 2, png_chunk(b"tRNS", b"\0\1"), colour=0), plain(WHITE)),
    "4 bits, odd bits in what is transparent": (
        partial(few_bits, 4, png_chunk(b"tRNS", b"\xff\xf1"), colour=0),
        plain(WHITE),
    ),
    "transparent colour": (partial(half_clear, 2, b"\x40\x50\x60"), HALF_WHITE),
    "palette and checksum differ": (partial(few_bits, 1, PALETTE[:-1] + b"\0", colour=3), "CORRUPT"),
    "suggested palette": (
        lambda: png(40, 30, (b"\0" + b"\xc8\x78\x3c" * 40) * 30, png_chunk(b"PLTE", bytes(range(30)))),
        plain((200, 120, 60)),
    ),
    "interlaced": (interlaced, plain((0x20, 0x80, 0xC0), (1, 1))),
}


def cmyk(*, side: int, **profile: Any) -> bytes:
    return encoded(corners((side, side)).convert("CMYK"), quality=95, **profile)


def jpeg(**options: Any) -> bytes:
    return encoded(corners((2600, 2000)), quality=95, **options)


def rgb_by_names() -> bytes:
    """A JPEG in RGB without Adobe's segment: the names of its components say so."""
    data = jpeg(keep_rgb=True)
    segment = data.index(b"\xff\xee\0\x0eAdobe")
    return data[:segment] + data[segment + 16 :]


LARGE = upright((1200, 923))
JPEGS: dict[str, tuple[Make, Outcome]] = {
    "CMYK": (partial(cmyk, side=200), upright((200, 200))),
    "CMYK, with a profile of RGB": (partial(cmyk, side=3000, icc_profile=display_p3()), upright((1200, 1200))),
    "grey": (lambda: encoded(Image.new("L", (3000, 3000), 90), quality=95), plain((90, 90, 90), (1200, 1200))),
    "RGB by Adobe's segment": (partial(jpeg, keep_rgb=True), LARGE),
    "RGB by its components": (rgb_by_names, LARGE),
    "progressive": (partial(jpeg, progressive=True), LARGE),
}


def animated() -> bytes:
    black = Image.new("RGB", (1600, 1200), "black")
    return encoded(corners((1600, 1200)), "WEBP", save_all=True, append_images=[black], duration=100, quality=95)


def large_webp(height: int) -> bytes:
    return encoded(Image.new("RGB", (10_000, height), "teal"), "WEBP", quality=10, method=0)


WEBPS: dict[str, tuple[Make, Outcome]] = {
    "animated: its first frame": (animated, upright((1200, 900))),
    "40 megapixels": (partial(large_webp, 4000), plain(TEAL, (1200, 480))),
    "more than 40 megapixels": (partial(large_webp, 4001), "TOO_MANY_PIXELS"),  # Pillow would need a gigabyte for 60
}

ABOUT = (b"Exif", bytes(4) + exif()[6:])
PATCH = plain(TEAL, (64, 64))


def heif(mode: str, **options: Any) -> bytes:
    return encoded(corners((640, 480)).convert(mode), "HEIF", quality=95, **options)


HEICS: dict[str, tuple[Make, Outcome]] = {
    "iloc of version 0": (partial(heic_by_hand, (ABOUT,), version=0, wide=4), PATCH),
    "iloc of version 1": (partial(heic_by_hand, (ABOUT,), version=1, wide=8, index=8), PATCH),
    "iloc of version 2": (partial(heic_by_hand, (ABOUT,), version=2, wide=4, index=4), PATCH),
    "tiles, thumbnails and alpha": (
        partial(heif, "RGBA", tile_size=64, thumbnails=[128, 64], icc_profile=display_p3()),
        ((640, 480), {(0.75, 0.75): WHITE}),
    ),
    "grey tiles": (partial(heif, "L", tile_size=64, exif=exif(), xmp=b""), ((640, 480), {(0.75, 0.75): WHITE})),
    "a sequence": (partial(heif, "RGB", save_all=True, append_images=[corners((64, 64))] * 3), upright((640, 480))),
    "mdat up to the end": (mdat_to_the_end, PATCH),
    "a large box behind": (lambda: heic_by_hand() + struct.pack(">I4sQ", 1, b"free", 24) + bytes(8), PATCH),
    "an unknown brand": (lambda: branded(b"xxxx", encoded(corners(), "HEIF", quality=95)), upright()),
    "AVIF that says it is HEIC": (lambda: branded(b"heic", encoded(photograph(64, 48), "AVIF")), "UNSUPPORTED_TYPE"),
    "a primary item of another codec": (lambda: heic_by_hand().replace(b"hvc1", b"av01"), "UNSUPPORTED_TYPE"),
    # pi_heif makes text of both, and crashed where that failed.
    "a kind that is no text": (lambda: heic_by_hand(((b"Exif", exif()),)).replace(b"Exif", b"Ex\xfff"), "CORRUPT"),
    "a content type that is no text": (
        lambda: heic_by_hand(((b"mime", exif()),)).replace(b"mime\0\0", b"mime\0\xff"), "CORRUPT"
    ),
    **{
        f"a film, {before=}, {bare=}": (partial(beside_a_film, is_before=before, is_bare=bare), PATCH)
        for before, bare in product((False, True), repeat=2)
    },
    "tiles": (in_tiles, ((1200, 120), {(0.5, 0.5): TEAL})),
    "tiles of 16 megapixels": (partial(in_tiles, 4096, 4096), "TOO_MANY_PIXELS"),
}  # fmt: skip


# --- which way is up -------------------------------------------------------------------------------------------------


def turned(kind: str, orientation: int, mode: str = "RGB", **options: Any) -> bytes:
    """A picture of 400 x 300, or a JPEG that is shrunk on its way to 1200 x 900."""
    upright = corners((1600, 1200) if kind == "JPEG" else (400, 300))
    options = options or {"exif": exif(orientation)}
    return encoded(turned_away(upright, orientation).convert(mode), kind, quality=95, **options)


def turned_by_xmp(kind: str, orientation: int, **options: Any) -> bytes:
    if kind != "PNG":
        return turned(kind, orientation, xmp=xmp(orientation), **options)
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp(orientation).decode(), **options)
    return turned(kind, orientation, pnginfo=text)


def compressed_behind_the_rows() -> bytes:
    data = turned_by_xmp("PNG", 8, zip=True)
    at, end = data.index(b"iTXt") - 4, data.index(b"IDAT") - 4
    return data[:at] + data[end:-12] + data[at:end] + data[-12:]


def png_of_two_minds() -> bytes:
    data = turned("PNG", 6)
    at = data.index(b"IDAT") - 4
    return data[:at] + png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(3)) + data[at:]


def with_exif(content: bytes) -> bytes:
    data = encoded(corners(), quality=95)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + data[2:]


UP = {"JPEG": upright((1200, 900))} | dict.fromkeys(("PNG", "WEBP", "HEIF"), upright())
BY_EXIF = (
    ("JPEG", 1), ("PNG", 2), ("WEBP", 3), ("HEIF", 4), ("JPEG", 5), ("PNG", 6), ("WEBP", 7), ("HEIF", 8)
)  # fmt: skip
BY_XMP = (("JPEG", 5), ("JPEG", 3), ("PNG", 6), ("WEBP", 8), ("HEIF", 7))
MODES = (
    ("JPEG", "CMYK"), ("JPEG", "L"), ("PNG", "RGBA"), ("PNG", "P"), ("PNG", "I;16"), ("WEBP", "RGBA"), ("HEIF", "RGBA"),
)  # fmt: skip
EXTENSION = b"\xff\xe1\0\x28http://ns.adobe.com/xmp/extension/\0abc"
ORIENTATIONS: dict[str, tuple[Make, Outcome]] = {
    **{f"EXIF {n}, {kind}": (partial(turned, kind, n), UP[kind]) for kind, n in BY_EXIF},
    **{f"XMP {n}, {kind}": (partial(turned_by_xmp, kind, n), UP[kind]) for kind, n in BY_XMP},
    # What is known of a picture has to get as far as where it is turned, in every mode.
    **{f"EXIF 6, {kind} in {mode}": (partial(turned, kind, 6, mode), (UP[kind][0], {})) for kind, mode in MODES},
    "EXIF before XMP, JPEG": (partial(turned, "JPEG", 6, exif=exif(6), xmp=xmp(3)), UP["JPEG"]),
    "EXIF before XMP, PNG": (png_of_two_minds, UP["PNG"]),
    "compressed XMP behind the rows": (compressed_behind_the_rows, UP["PNG"]),
    "XMP in several segments": (partial(turned_by_xmp, "JPEG", 6, extra=EXTENSION * 20), UP["JPEG"]),
    "EXIF 9": (lambda: encoded(corners(), quality=95, exif=exif(9)), upright()),
    "EXIF that points nowhere": (partial(with_exif, b"Exif\0\0MM\0*" + struct.pack(">I", 2**31)), upright()),
}

SECTIONS = {
    "any": OF_ANY_KIND, "colour": IN_COLOUR, "PNG": PNGS, "JPEG": JPEGS, "WebP": WEBPS, "HEIC": HEICS,
    "turned": ORIENTATIONS,
}  # fmt: skip
FILES: dict[str, tuple[Make, Outcome]] = {
    **{name: ((FOLDER / name).read_bytes, outcome) for name, outcome in STORED.items()},
    **{f"{kind}: {name}": row for kind, rows in SECTIONS.items() for name, row in rows.items()},
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


def test_every_odd_file_is_in_the_table() -> None:
    assert {f"odd/{path.name}" for path in (FOLDER / "odd").iterdir()} <= STORED.keys()
