"""Files in `tools/pictures/odd`: what each comes to, size and colours, or the reason of its rejection."""

from typing import cast

import pytest
from after_hours.images.pipeline import process
from after_hours.images.rejection import Rejected

from tests.support.images import opened
from tools.pictures import FOLDER

type Colour = tuple[int, int, int]
type Outcome = str | tuple[tuple[int, int], dict[tuple[int, int], Colour]]

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
# Left and an ellipse there, right and a box there
SCENE = {(20, 20): (200, 60, 60), (80, 100): (40, 60, 220), (300, 20): (20, 130, 60), (240, 100): (235, 235, 235)}
TURNED = {(199 - y, x): colour for (x, y), colour in SCENE.items()}  # clockwise


def scene(left: Colour, right: Colour, box: Colour) -> Outcome:
    return (320, 200), {(20, 20): left, (300, 20): right, (240, 100): box}


OUTCOMES: dict[str, Outcome] = {
    "png-grey-4-bit-transparent.png": scene(WHITE, BLACK, WHITE),
    "png-grey-16-bit-transparent.png": scene(WHITE, BLACK, WHITE),
    "png-colour-16-bit-transparent.png": scene(WHITE, (52, 120, 188), WHITE),
    "png-linear-profile-named-srgb.png": ((320, 200), SCENE),
    "heic-header-three-rows-taller.heic": ((320, 200), SCENE),
    "heic-header-size-as-turned.heic": ((200, 320), TURNED),
    "png-short-trns.png": ((320, 200), SCENE),
    "png-iccp-unknown-method.png": ((320, 200), SCENE),
    "png-gamma-of-nine-bytes.png": ((320, 200), SCENE),
    "png-gamma-out-of-range.png": ((320, 200), SCENE),
    "jpeg-rgb-short-jfif.jpg": ((320, 200), SCENE),
    "jpeg-half-with-end-marker.jpg": "CORRUPT",
    "jpeg-header-twice-as-tall.jpg": "CORRUPT",
    "jpeg-second-half-zeros.jpg": "CORRUPT",
    "png-second-half-zeros.png": "CORRUPT",
    "webp-second-half-zeros.webp": "CORRUPT",
    "heic-second-half-zeros.heic": "CORRUPT",
    "heic-turned-by-exif-only.heic": ((320, 200), SCENE),
    "heic-range-said-twice.heic": ((320, 200), SCENE),
    "png-hdr-pq.png": ((320, 200), SCENE),
    "png-apple-cgbi.png": "UNSUPPORTED_TYPE",
    "jpeg-arithmetic-100-scans.jpg": "UNSUPPORTED_TYPE",
}


def test_every_file_has_its_outcome() -> None:
    assert {path.name for path in (FOLDER / "odd").iterdir()} == OUTCOMES.keys()


@pytest.mark.parametrize("name", OUTCOMES)
def test_outcome(name: str) -> None:
    assert outcome((FOLDER / "odd" / name).read_bytes(), OUTCOMES[name]) == OUTCOMES[name]


def outcome(content: bytes, wanted: Outcome) -> Outcome:
    """What becomes of a file; its colours are the wanted ones where they are within 10 of them."""
    try:
        photo = opened(process(content).photo).convert("RGB")
    except Rejected as rejected:
        return rejected.reason.value
    colours: dict[tuple[int, int], Colour] = {}
    for at, expected in {} if isinstance(wanted, str) else wanted[1].items():
        found = cast("Colour", photo.getpixel(at)) if at[0] < photo.width and at[1] < photo.height else (-99,) * 3
        close = all(abs(a - b) <= 10 for a, b in zip(found, expected, strict=True))
        colours[at] = expected if close else found
    return photo.size, colours
