import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from after_hours.images import colour
from after_hours.images.pipeline import process
from PIL import Image, ImageCms

from tests.support.images import SAVED, assert_colour, assert_upright, opened, saved
from tools.pictures import FOLDER
from tools.pictures.files import corners, display_p3, encoded, png_chunk
from tools.pictures.photograph import photograph

Floats = np.ndarray[Any, np.dtype[np.float64]]

# x and y of red, green, blue and white, by the codes of ITU-T H.273
D65 = (0.3127, 0.3290)
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), D65)
PRIMARIES = {
    1: SRGB,
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65),
}
COLOURS = [(205, 92, 70), (60, 150, 90), (70, 80, 190), (230, 200, 40), (128, 128, 128), (250, 250, 250), (30, 22, 40)]


def to_xyz(primaries: tuple[tuple[float, float], ...]) -> Floats:
    *rgb, white = (np.array((x / y, 1, (1 - x - y) / y)) for x, y in primaries)
    columns = np.stack(rgb, axis=1)
    return columns * np.linalg.solve(columns, white)


def srgb_light(values: Floats) -> Floats:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def srgb_value(light: Floats) -> Floats:
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light.clip(0) ** (1 / 2.4) - 0.055)


def video_value(light: Floats) -> Floats:
    return np.where(light < 0.018, light * 4.5, 1.099 * light.clip(0) ** 0.45 - 0.099)


def power_value(gamma: float) -> Callable[[Floats], Floats]:
    return lambda light: light ** (1 / gamma)


CURVES: dict[int, Callable[[Floats], Floats]] = {
    13: srgb_value,
    14: video_value,
    1: video_value,
    8: power_value(1),
    4: power_value(2.2),
}


def lab(srgb: Floats) -> Floats:
    """CIE L*a*b* of sRGB colours of 0 to 1, under D65."""
    ratio = srgb_light(srgb) @ to_xyz(SRGB).T / to_xyz(SRGB).sum(axis=1)
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.stack((116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])), axis=-1)


def stored(primaries: int, transfer: int) -> Image.Image:
    """The COLOURS in patches of 200 x 200, in the numbers of another colour space."""
    light = srgb_light(np.array(COLOURS) / 255) @ to_xyz(SRGB).T @ np.linalg.inv(to_xyz(PRIMARIES[primaries])).T
    values = CURVES[transfer](light.clip(0, 1))
    return patches(np.rint(values * 255))


def patches(values: Floats) -> Image.Image:
    return Image.fromarray(values[None].astype(np.uint8)).resize((200 * len(COLOURS), 200), Image.Resampling.NEAREST)


def furthest(data: bytes) -> float:
    """The largest colour difference (CIE 1976) of the photo's patches from what they are."""
    photo = np.asarray(opened(process(data).photo).convert("RGB"), np.float64) / 255
    width = photo.shape[1] / len(COLOURS)
    got = np.stack([photo[20:-20, int((i + 0.25) * width) : int((i + 0.75) * width)].mean((0, 1)) for i in range(7)])
    return float(np.linalg.norm(lab(got) - lab(np.array(COLOURS) / 255), axis=-1).max())


@pytest.mark.parametrize("kind", [kind for kind in SAVED if kind != "webp"])  # which is 2 off by itself
def test_p3_by_icc(kind: str) -> None:
    profile = ImageCms.ImageCmsProfile(io.BytesIO(display_p3()))
    srgb = patches(np.array(COLOURS, np.float64))
    p3 = ImageCms.profileToProfile(srgb, ImageCms.createProfile("sRGB"), profile, outputMode="RGB")
    assert p3 is not None
    p3.info = {}  # else it is saved with the profile whatever is asked for
    options = SAVED[kind] | {"icc_profile": display_p3()}
    assert furthest(encoded(p3, **options)) < 2
    assert furthest(saved(p3, kind)) > 4, "else this proves nothing"


@pytest.mark.parametrize(("primaries", "transfer"), [(12, 13), (9, 14), (9, 4)])
def test_heic_by_nclx(primaries: int, transfer: int) -> None:
    nclx = {
        "color_primaries": primaries,
        "transfer_characteristics": transfer,
        "matrix_coefficients": 6,
        "full_range_flag": 1,
    }
    image = stored(primaries, transfer)
    assert furthest(encoded(image, "HEIF", quality=100, chroma=444, nclx_profile=nclx, **nclx)) < 2
    assert furthest(encoded(image, "HEIF", quality=100, chroma=444)) > 4


@pytest.mark.parametrize(("primaries", "transfer"), [(12, 13), (9, 14), (12, 4), (9, 8)])
def test_png_by_cicp(primaries: int, transfer: int) -> None:
    image = stored(primaries, transfer)
    others = (png_chunk(b"gAMA", struct.pack(">I", 30_000)), png_chunk(b"sRGB", b"\0"))
    codes = png_chunk(b"cICP", bytes((primaries, transfer, 0, 1)))
    assert furthest(with_chunks(image, *others, codes)) < 2
    assert furthest(with_chunks(image)) > 4


def test_png_by_gamma() -> None:
    light = srgb_light(np.array(COLOURS) / 255)
    for gamma in (1.0, 2.6):
        chunk = png_chunk(b"gAMA", struct.pack(">I", round(100_000 / gamma)))
        assert furthest(with_chunks(patches(np.rint(255 * light ** (1 / gamma))), chunk)) < 2
        grey = Image.new("L", (100, 100), round(255 * srgb_light(np.array(128 / 255)).item() ** (1 / gamma)))
        assert_colour(opened(process(with_chunks(grey, chunk)).photo), (0.5, 0.5), (128, 128, 128), within=1)


def test_other_words_for_srgb_change_nothing() -> None:
    picture = photograph(320, 240)
    photo = process(with_chunks(picture))
    gamma, srgb = png_chunk(b"gAMA", struct.pack(">I", 60_000)), png_chunk(b"sRGB", b"\0")
    for chunks in (
        (png_chunk(b"gAMA", struct.pack(">I", 45_455)),),
        (srgb, gamma),
        (png_chunk(b"cICP", b"\1\x0d\0\1"),),
        (png_chunk(b"cICP", b"\1\1\0\1"),),
        (png_chunk(b"cICP", b"\xff\xff\0\1"),),
        (png_chunk(b"gAMA", bytes(4)),),
    ):
        assert process(with_chunks(picture, *chunks)) == photo, chunks
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert process(encoded(picture, icc_profile=profile)) == process(encoded(picture))


def test_broken_and_implausible_colour_profiles_are_left_out() -> None:
    for profile in (
        b"broken",
        display_p3()[:200],
        display_p3().replace(b"RGB ", b"CMYK"),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
        colour.icc(colour.curve(2.2), (0,) * 9),
        colour.icc(colour.curve(2.2), (0, 0, 0, 0.4, 0.7, 0.1, 0.1, 0.1, 0.7)),
        colour.icc(colour.curve(0)),
        colour.icc(colour.curve(50)),
    ):
        assert_upright(opened(process(encoded(corners(), icc_profile=profile, quality=95)).photo))
    for kind in ("PNG", "WEBP", "HEIF"):
        assert_upright(opened(process(encoded(corners(), kind, icc_profile=b"broken", quality=95)).photo))


def with_chunks(image: Image.Image, *chunks: bytes) -> bytes:
    data = encoded(image, "PNG")
    return data[:33] + b"".join(chunks) + data[33:]


# --- colour against brightness ----------------------------------------------------------------------------------------


def bars(size: tuple[int, int]) -> Image.Image:
    """Red and blue of about the same brightness: bars down in the upper half, across in the lower."""
    image = Image.new("RGB", size, (220, 30, 30))
    pitch = max(size) / 17
    for i in range(0, 40, 2):
        image.paste((60, 60, 230), (round(i * pitch), 0, round((i + 1) * pitch), size[1] // 2))
    for i in range(0, 40, 2):
        top = size[1] // 2 + round(i * pitch / 2)
        image.paste((60, 60, 230), (0, top, size[0], top + round(pitch / 2)))
    return image


def edges(image: Image.Image) -> list[float]:
    """Where red turns into blue or back, in pixels: down the left of the lower half, and along the top."""
    redness = np.asarray(image.convert("YCbCr"), np.float64)[..., 2]
    height, width = redness.shape
    lines = (redness[: height // 3].mean(0), redness[height * 5 // 9 :, width // 4 : width // 3].mean(1))
    found: list[float] = []
    for number, line in enumerate(lines):
        middle = (line.min() + line.max()) / 2
        before = np.flatnonzero(np.diff(line > middle))
        found += list(10_000 * number + before + (middle - line[before]) / (line[before + 1] - line[before]))
    return found


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        *(("jpeg", size) for size in ((4000, 2250), (1300, 1800), (1001, 801), (599, 399))),
        ("png", (2250, 4000)),
        *((kind, (1001, 801)) for kind in ("png", "webp", "heic")),
    ],
)
def test_colour_stays_on_brightness(kind: str, size: tuple[int, int]) -> None:
    data = saved(bars(size), kind)
    photo = opened(process(data).photo)
    plain = opened(data, kind).resize(photo.size, Image.Resampling.LANCZOS)
    wanted = edges(opened(encoded(plain, quality=85)))  # with the same halving of colour, which moves edges both ways
    got = edges(photo)
    assert len(got) == len(wanted) > 15
    assert max(abs(one - other) for one, other in zip(got, wanted, strict=True)) < 0.15


def test_colour_bars_of_an_odd_size() -> None:
    """Neither column nor row is further from the original than others."""
    data = (FOLDER / "odd-size-colour-bars.png").read_bytes()
    original = np.asarray(opened(data, "png").convert("RGB"), np.float64)
    error = np.abs(np.asarray(opened(process(data).photo).convert("RGB"), np.float64) - original)
    for axis in (0, 1):
        fifths = [part.mean() for part in np.array_split(error, 5, axis)]
        assert max(fifths) - min(fifths) < 1
