"""What no colour at a place can show: how sharp a photo is, where its colours are, and what changes nothing."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from after_hours.images import colour
from after_hours.images.hevc import size_and_range
from after_hours.images.pipeline import process
from PIL import Image, ImageCms, ImageOps

from tests.support.images import SAVED, assert_upright, opened, saved
from tools.pictures.files import corners, display_p3, encoded, png_with
from tools.pictures.likeness import ssim
from tools.pictures.photograph import photograph


@pytest.mark.parametrize(
    ("kind", "profile", "size"),
    [
        ("jpeg", None, (1300, 975)),  # shrunk by Lanczos, and below by a triangle
        ("jpeg", display_p3(), (1600, 1201)),
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


def bars(size: tuple[int, int]) -> Image.Image:
    """Red and blue of about the same brightness: bars down in the upper half, across in the lower."""
    image = Image.new("RGB", size, (220, 30, 30))
    pitch = max(size) / 17
    for i in range(0, 40, 2):
        image.paste((60, 60, 230), (round(i * pitch), 0, round((i + 1) * pitch), size[1] // 2))
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
        ("jpeg", (4000, 2250)),
        ("jpeg", (599, 399)),
        ("png", (1125, 2000)),
        ("webp", (1001, 801)),
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


def test_other_words_for_srgb_change_nothing() -> None:
    picture = photograph(320, 240)
    photo = process(encoded(picture, "PNG"))
    chunks: tuple[dict[str, bytes], ...] = (
        {"gAMA": struct.pack(">I", 45_455)},
        {"sRGB": b"\0", "gAMA": struct.pack(">I", 60_000)},
        {"cICP": b"\1\x0d\0\1"},
        {"cICP": b"\1\1\0\1"},
        {"cICP": b"\xff\xff\0\1"},
        {"gAMA": bytes(4)},
    )
    assert [each for each in chunks if process(png_with(picture, **each)) != photo] == []
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert process(encoded(picture, icc_profile=profile)) == process(encoded(picture))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF"])
def test_broken_and_implausible_colour_profiles_are_left_out(kind: str) -> None:
    profiles = (
        b"broken",
        display_p3()[:200],
        display_p3().replace(b"RGB ", b"CMYK"),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
        colour.icc(colour.curve(2.2), (0,) * 9),
        colour.icc(colour.curve(2.2), (0, 0, 0, 0.4, 0.7, 0.1, 0.1, 0.1, 0.7)),
        colour.icc(colour.curve(0)),
        colour.icc(colour.curve(50)),
    )
    for profile in profiles if kind == "JPEG" else profiles[:1]:
        assert_upright(opened(process(encoded(corners(), kind, icc_profile=profile, quality=95)).photo))


# The box hvcC of a HEIC of 64 by 48 pixels in full range: its sequence parameter set (ITU-T H.265, 7.3.2.2).
CONFIGURATIONS = {
    "one layer": "2100010040420101ffffffffffffffffffffffffa02083177fc226ff",
    "two layers": "2100010040420103ffffffffffffffffffffffffc000ffffffffffffffffffffffffa02083177fc23016ff",
    "a shape of its own": "2100010040420101ffffffffffffffffffffffffa02083177fc23ff000000006ff",
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_size_and_range_of_a_heic_are_found_behind_layers_and_shapes(name: str) -> None:
    assert size_and_range(bytes.fromhex(CONFIGURATIONS[name])) == ((64, 48), True)
