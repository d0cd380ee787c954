import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from after_hours.images.isolation import Processed
from after_hours.images.pipeline import process
from PIL import Image, ImageEnhance, ImageOps

from tests.support.images import opened, saved
from tools.pictures import FOLDER
from tools.pictures.files import corners, display_p3, encoded, exif, turned_away
from tools.pictures.photograph import photograph


def distance(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


def nearest(photo: Processed, banned: str) -> int:
    """In how many bits the photo differs from a banned one, however it is looked at.

    Three of four hashes are of a turned picture. after_hours_banned_photo asks them to be two bits nearer.
    """
    return min(distance(look, banned) + 2 * (place % 4 > 0) for place, look in enumerate(photo.may_be_banned_by))


def test_the_hash_is_that_of_the_npm_package(tmp_path: Path) -> None:
    """But for a picture whose rows are all alike: its coefficients are 0, and the bits what rounding made of that."""
    picture = photograph(640, 480)
    files = [
        *(saved(photograph(640, 480, seed=seed), kind) for seed, kind in enumerate(("jpeg", "png", "webp"))),
        *(saved(photograph(*size), "jpeg") for size in ((333, 777), (1201, 801), (97, 71))),
        saved(corners((1600, 1200)), "jpeg"),
        encoded(turned_away(picture, 6), quality=95, exif=exif(6)),
        encoded(picture, quality=95, icc_profile=display_p3()),
        encoded(picture.convert("L"), quality=95, progressive=True),
        encoded(photograph(640, 480, seed=8, noise=3), quality=60),
        (FOLDER / "jpeg-without-end-marker.jpg").read_bytes() + b"\xff\xd9",
    ]
    paths = [tmp_path / f"{number}.bin" for number in range(len(files))]
    for path, content in zip(paths, files, strict=True):
        path.write_bytes(content)
    command = [Path(sys.executable).with_name("node"), Path(__file__).with_name("sharp_phash.mjs"), *paths]
    wanted = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    got = [process(content).photo_hash for content in files]
    assert all(re.fullmatch("[0-9a-f]{16}", value) for value in got)
    assert max(distance(ours, theirs) for ours, theirs in zip(got, wanted, strict=True)) <= 4
    assert len(set(got)) > len(files) / 2, "else everything looks alike"


def cropped(image: Image.Image) -> Image.Image:
    """By 2 % at each side."""
    width, height = image.size
    return image.crop((width // 50, height // 50, width - width // 50, height - height // 50))


def shown(image: Image.Image) -> Image.Image:
    return opened(process(encoded(image)).photo)


# An alteration, and whether the plain hash is still close: under ten bits.
ALTERED: dict[str, tuple[Callable[[Image.Image], Image.Image], bool]] = {
    "smaller": (lambda image: image.resize((image.width // 3, image.height // 3)), True),
    "stretched": (lambda image: image.resize((image.width, image.height // 2)), True),
    "cropped": (cropped, True),
    "brighter": (lambda image: ImageEnhance.Brightness(image).enhance(1.1), True),
    "shown twice": (lambda image: shown(shown(image)), True),
    "mirrored": (ImageOps.mirror, False),
    "upside down": (ImageOps.flip, False),
    "turned by half": (lambda image: image.transpose(Image.Transpose.ROTATE_180), False),
    "mirrored and cropped": (lambda image: cropped(ImageOps.mirror(image)), False),
    "white border": (lambda image: ImageOps.expand(image, 40, "white"), False),
    "narrow black border": (lambda image: ImageOps.expand(image, 12, "black"), True),
    "border and mirrored": (lambda image: ImageOps.mirror(ImageOps.expand(image, 40, "white")), False),
    "white bar below": (
        lambda image: ImageOps.pad(image, (image.width, image.height + 90), color="white", centering=(0, 0)),
        False,
    ),
}


@pytest.mark.parametrize("how", ALTERED)
def test_an_altered_photo_is_close_however_it_is_looked_at(how: str) -> None:
    alter, is_close_by_itself = ALTERED[how]
    for seed, kind in enumerate(("JPEG", "WEBP")):
        picture = photograph(640, 480, seed=seed)
        original = process(encoded(picture)).photo_hash
        altered = process(encoded(alter(picture), kind, quality=50))
        assert nearest(altered, original) < 10
        assert (distance(altered.photo_hash, original) < 10) is is_close_by_itself
        assert len(altered.may_be_banned_by) in {4, 8, 12, 16}, "after_hours_banned_photo takes fours, and no more"


def test_a_crop_is_seen_through_and_other_photos_are_far_away() -> None:
    """The plain hashes are up to 11 bits apart."""
    pictures = [photograph(320, 240, seed=seed) for seed in range(15)]
    originals = [process(encoded(picture)) for picture in pictures]
    crops = [process(encoded(cropped(picture), quality=85)) for picture in pictures]
    assert max(nearest(crop, original.photo_hash) for original, crop in zip(originals, crops, strict=True)) < 8
    assert max(distance(one.photo_hash, other.photo_hash) for one, other in zip(originals, crops, strict=True)) >= 8
    assert min(nearest(one, other.photo_hash) for one in originals for other in originals if one is not other) >= 10


def test_a_picture_without_content_is_never_banned() -> None:
    flat, noise = Image.new("RGB", (640, 480), "teal"), Image.effect_noise((640, 480), 3)
    for picture in (flat, noise, Image.linear_gradient("L").resize((640, 480)), Image.new("RGB", (5000, 1), "teal")):
        result = process(encoded(picture, "PNG"))
        assert result.may_be_banned_by == ()
        assert re.fullmatch("[0-9a-f]{16}", result.photo_hash)
