"""Where a picture ends: files that are cut off, and files with something behind."""

import random

import pytest
from after_hours.images.pipeline import process
from after_hours.images.rejection import Reason, Rejected
from PIL import Image, ImageChops

from tests.support.images import SAVED, assert_upright, opened
from tools.pictures.files import corners, encoded, png_chunk
from tools.pictures.photograph import photograph

FORMS: dict[str, dict[str, object]] = SAVED | {
    "progressive jpeg": {"kind": "JPEG", "quality": 95, "progressive": True},
    "jpeg with restarts": {"kind": "JPEG", "quality": 90, "restart_marker_rows": 1},
    "webp with alpha": {"kind": "WEBP", "quality": 90, "mode": "RGBA"},
    "heic in tiles": {"kind": "HEIF", "quality": 90, "tile_size": 64},
}
JPEG_MARKERS = b"\xff\xc0\0\x11\x08" + bytes(12) + b"\xff\xda\0\x08\x01\x01\0\0\x3f\0\xff\xc4\0\x04ab"
BEHIND = {
    "zeros": bytes(5000),
    "odd bytes": b"\x01\x02\x03",
    "jpeg markers": JPEG_MARKERS * 300,
    "jpeg scans": b"\xff\xda\0\x0c\x03\x01\0\x02\x11\x03\x11\0\x3f\0" * 5000,
    "png chunks": (png_chunk(b"IDAT", b"x" * 99) + png_chunk(b"IHDR", bytes(13))) * 9000,
    "riff chunks": b"none\0\0\0\0" * 20_000,
    "boxes": (b"\0\0\0\x6bfree" + bytes(99)) * 3000 + b"\0\0\0\x3ameta" + bytes(50) + b"\0\0\0\3free",
    "another photo": encoded(photograph(160, 120)),
}
# How long the end of a form is that a file may lack, and what would then count as the picture's own.
ENDS = {form: (2, "another photo") for form in FORMS if "jpeg" in form} | {"png": (12, "png chunks")}


def made(form: str, image: Image.Image) -> bytes:
    options = dict(FORMS[form])
    return encoded(image.convert(str(options.pop("mode", "RGB"))), **options)  # type: ignore[arg-type]


def is_corrupt(data: bytes) -> bool:
    try:
        process(data)
    except Rejected as rejected:
        return rejected.reason == Reason.CORRUPT
    return False


@pytest.mark.parametrize("form", FORMS)
def test_what_lies_behind_a_picture_changes_nothing(form: str) -> None:
    """Even where the picture's own end is missing."""
    data = made(form, photograph(160, 120))
    photo, (end, its_own) = process(data), ENDS.get(form, (0, ""))
    for name, behind in BEHIND.items():
        assert process(data + behind) == photo, name
        if end and name != its_own:
            assert process(data[:-end] + behind) == photo, f"no end, but {name}"


@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_lacks_rows_is_refused_whatever_took_their_place(form: str) -> None:
    data = made(form, photograph(320, 240, noise=3 if "jpeg" in form else 1))
    cuts = {f"{tenth} tenths": data[: len(data) * tenth // 10] for tenth in (1, 3, 5, 7, 9)}
    if "jpeg" in form:  # with the end marker; one byte may be the filling of the last block
        cuts |= {f"but {bytes_} bytes": data[:-bytes_] for bytes_ in (4, 100)}
    for at in (len(data) // 3, len(data) * 4 // 5) if form != "heic" else ():  # zeros: a file of tools/pictures/odd
        part, lost = data[:at], len(data) - at
        cuts[f"zeros from {at}"] = part + bytes(lost)
        if "webp" not in form:
            cuts[f"noise from {at}"] = part + random.Random(at).randbytes(lost)
            cuts[f"zeros and an end marker from {at}"] = part + bytes(lost - 2) + b"\xff\xd9"
        if "webp" not in form and (form != "progressive jpeg" or at < len(data) // 2):  # the next test says why
            cuts[f"an end marker at {at}"] = part + b"\xff\xd9"
    assert [name for name, cut in cuts.items() if not is_corrupt(cut)] == []


def test_a_progressive_jpeg_that_only_lacks_the_last_bit_of_its_colours_is_a_photo() -> None:
    data = made("progressive jpeg", photograph(640, 480))
    whole, cut = (opened(process(file).photo) for file in (data, data[: len(data) * 4 // 5] + b"\xff\xd9"))
    assert max(high for _, high in ImageChops.difference(whole, cut).getextrema()) <= 20  # type: ignore[misc]


def test_a_plain_picture_may_end_in_zeros() -> None:
    grey = encoded(Image.new("L", (1600, 800), 128), optimize=True)
    assert grey.endswith(bytes(5000) + b"\xff\xd9")
    teal = encoded(Image.new("RGB", (1600, 1200), "teal"), "WEBP")
    assert teal.endswith(bytes(64))
    for data in (grey, teal, teal + bytes(1000)):
        low, high = opened(process(data).photo).convert("L").getextrema()
        assert high - low <= 2  # type: ignore[operator]


def test_a_file_may_be_cut_behind_its_picture() -> None:
    png, webp = encoded(corners(), "PNG"), encoded(corners(), "WEBP", quality=95, xmp=bytes(1000))
    for missing in (1, 4, 13, 16):  # IEND, and the checksum of the rows before it, which nothing else may stand for
        assert process(png[:-missing]) == process(png)
    for missing in (500, 1008):
        assert_upright(opened(process(webp[:-missing]).photo))
