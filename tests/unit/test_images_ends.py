"""Where a picture ends: files that are cut off, and files with something behind."""

import io
import random
import struct
from collections.abc import Callable

import pytest
from after_hours.images.pipeline import process
from after_hours.images.rejection import Reason, Rejected
from PIL import Image, ImageChops

from tests.support.images import SAVED, assert_upright, opened, saved
from tools.pictures import FOLDER
from tools.pictures.files import corners, encoded, png_chunk
from tools.pictures.heic import box
from tools.pictures.photograph import photograph

FORMS: dict[str, dict[str, object]] = SAVED | {
    "progressive jpeg": {"kind": "JPEG", "quality": 95, "progressive": True},
    "jpeg with restarts": {"kind": "JPEG", "quality": 90, "restart_marker_rows": 1},
    "grey jpeg": {"kind": "JPEG", "quality": 90, "progressive": True, "mode": "L"},
    "webp with alpha": {"kind": "WEBP", "quality": 90, "mode": "RGBA"},
    "heic in tiles": {"kind": "HEIF", "quality": 90, "tile_size": 64},
}


def made(form: str, image: Image.Image) -> bytes:
    options = dict(FORMS[form])
    return encoded(image.convert(str(options.pop("mode", "RGB"))), **options)  # type: ignore[arg-type]


def randbytes(length: int) -> bytes:
    return random.Random(length).randbytes(length)


def noise(length: int) -> bytes:
    return Image.effect_noise((length, 1), 90).tobytes()


BEHIND = {
    "zeros": bytes(5000),
    "odd bytes": b"\x01\x02\x03",
    "a trailer as some phones write it": b"\0\0\x01\x0a" + bytes(12) + b"Image_UTC_Data1700000000000SEFH" + b"SEFT",
    "jpeg markers": (b"\xff\xc0\0\x11\x08" + bytes(12) + b"\xff\xda\0\x08\x01\x01\0\0\x3f\0\xff\xc4\0\x04ab") * 300,
    "scans without number": b"\xff\xda\0\x0c\x03\x01\0\x02\x11\x03\x11\0\x3f\0" * 500,
    "png chunks": (png_chunk(b"IDAT", b"x" * 99) + png_chunk(b"IHDR", bytes(13))) * 9000,
    "riff chunks": b"none\0\0\0\0" * 20_000,
    "boxes": box(b"free", bytes(99)) * 3000 + box(b"meta", bytes(50)) + struct.pack(">I4s", 3, b"free"),
    "a film": box(b"ftyp", b"mp42\0\0\0\0isom") + box(b"mdat", noise(300_000)) + box(b"moov", bytes(300)),
    "another photo": encoded(photograph(320, 240)),
    "noise": noise(400_000),
}


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("form", FORMS)
def test_what_lies_behind_a_picture_changes_nothing(form: str, behind: str) -> None:
    data = made(form, photograph(320, 240))
    assert process(data + BEHIND[behind]) == process(data)


@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_is_cut_in_its_rows_is_refused(form: str) -> None:
    data = made(form, photograph(640, 480))
    for tenth in range(1, 10):
        with pytest.raises(Rejected) as rejected:
            process(data[: len(data) * tenth // 10])
        assert rejected.value.reason == Reason.CORRUPT, tenth


@pytest.mark.parametrize("lost", [bytes, randbytes, lambda _: b"\xff\xd9"], ids=["zeros", "random bytes", "nothing"])
@pytest.mark.parametrize("form", [form for form in FORMS if "jpeg" in form or form == "png"])
def test_a_file_whose_second_part_was_lost_is_refused_whatever_took_its_place(
    form: str, lost: Callable[[int], bytes]
) -> None:
    data = made(form, photograph(640, 480))
    places = [len(data) // 3, len(data) // 2, len(data) * 4 // 5]
    if form in {"progressive jpeg", "grey jpeg"} and lost(2) == b"\xff\xd9":
        places.pop()  # the next test says why
    for at in places:
        for end in (b"", b"\xff\xd9"):
            with pytest.raises(Rejected) as rejected:
                process(data[:at] + lost(len(data) - at - len(end)) + end)
            assert rejected.value.reason == Reason.CORRUPT, at


def test_a_progressive_jpeg_that_only_lacks_the_last_bit_of_its_colours_is_a_photo() -> None:
    data = made("progressive jpeg", photograph(640, 480))
    whole, cut = (opened(process(file).photo) for file in (data, data[: len(data) * 4 // 5] + b"\xff\xd9"))
    assert max(high for _, high in ImageChops.difference(whole, cut).getextrema()) <= 20  # type: ignore[misc]


@pytest.mark.parametrize("form", [form for form in FORMS if "webp" in form])
def test_zeros_in_the_second_part_of_a_webp_are_lost_data(form: str) -> None:
    data = made(form, photograph(640, 480))
    for at in (len(data) // 3, len(data) * 4 // 5):
        with pytest.raises(Rejected):
            process(data[:at] + bytes(len(data) - at))


def test_a_plain_picture_may_end_in_zeros() -> None:
    grey = encoded(Image.new("L", (1600, 800), 128), optimize=True)
    assert grey.endswith(bytes(5000) + b"\xff\xd9")
    teal = encoded(Image.new("RGB", (1600, 1200), "teal"), "WEBP")
    assert teal.endswith(bytes(64))
    for data in (grey, teal, teal + bytes(1000)):
        low, high = opened(process(data).photo).convert("L").getextrema()
        assert high - low <= 2  # type: ignore[operator]


@pytest.mark.parametrize("form", [form for form in FORMS if "jpeg" in form])
@pytest.mark.parametrize("missing", [4, 10, 100])  # with the marker; one byte may be the filling of the last block
def test_a_jpeg_without_its_last_rows_is_refused(form: str, missing: int) -> None:
    with pytest.raises(Rejected):
        process(made(form, photograph(640, 480, noise=3))[:-missing])


@pytest.mark.parametrize("behind", ["", *(name for name in BEHIND if name != "another photo")])
@pytest.mark.parametrize("form", [form for form in FORMS if "jpeg" in form])
def test_a_jpeg_without_its_end_marker(form: str, behind: str) -> None:
    data = made(form, photograph(320, 240))
    assert data.endswith(b"\xff\xd9")
    assert process(data[:-2] + BEHIND.get(behind, b"")) == process(data)


def test_a_png_without_its_end() -> None:
    data = encoded(corners(), "PNG")
    for missing in (1, 4, 12, 13, 16):  # IEND, and the checksum of the rows before it, which nothing else may stand for
        assert process(data[:-missing]) == process(data)
        for name, behind in BEHIND.items():
            if missing <= 12 and name != "png chunks":  # those would be the picture's
                assert process(data[:-missing] + behind) == process(data), (missing, name)


def test_a_webp_that_is_cut_behind_its_picture() -> None:
    data = encoded(corners(), "WEBP", quality=95, xmp=bytes(1000))
    assert_upright(opened(process(data[:-500]).photo))
    assert_upright(opened(process(data[:-1008]).photo))


def test_scans_behind_a_whole_picture_are_not_read() -> None:
    """A progressive picture is whole when the last bit of each coefficient has come."""
    data = encoded(photograph(320, 240), progressive=True, quality=90)
    last = data.rindex(b"\xff\xda")
    assert process(data[:-2] + data[last:-2] * 5000) == process(data)


@pytest.mark.parametrize(
    "name", ["jpeg-without-end-marker.jpg", "progressive-jpeg-video-behind.jpg", "heic-only-mif1-brand.heic"]
)
def test_files_as_programs_write_them(name: str) -> None:
    content = (FOLDER / name).read_bytes()
    for data in (content, content + noise(1000)):
        photo = opened(process(data).photo)
        assert photo.size == (320, 240)
        assert_same(photo, "jpeg-without-end-marker.jpg")


def assert_same(photo: Image.Image, name: str) -> None:
    """The three show one picture; its JPEG with the end put back is what it looks like."""
    wanted = Image.open(io.BytesIO((FOLDER / name).read_bytes() + b"\xff\xd9"))
    pairs = zip(photo.resize((8, 6)).tobytes(), wanted.convert("RGB").resize((8, 6)).tobytes(), strict=True)
    assert max(abs(one - other) for one, other in pairs) < 8


def test_saved_forms_are_what_they_say() -> None:
    assert saved(corners(), "jpeg") == made("jpeg", corners())
