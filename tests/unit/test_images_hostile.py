import random
import struct
import subprocess
import sys
import threading
import time
import warnings
import zlib

import pytest
from after_hours.images.pipeline import process
from after_hours.images.rejection import Reason, Rejected
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.support.images import assert_clean, files, opened, saved
from tools.pictures.files import corners, display_p3, encoded, exif, png, png_chunk, xmp
from tools.pictures.heic import box, heic_by_hand, heic_of_one_exif, heic_with_size, with_bitstream_size
from tools.pictures.hostile import EXIF_SEGMENT, NO_COMMENT, hostile, jpeg_with_scans, riff, with_size
from tools.pictures.photograph import photograph

OF_THEIR_CONTENT = [name for name, (_, reason) in hostile().items() if reason != Reason.TOO_LARGE]


@pytest.mark.parametrize("name", OF_THEIR_CONTENT)
def test_hostile_file_is_rejected(name: str) -> None:
    data, reason = hostile()[name]
    before = time.thread_time()
    with pytest.raises(Rejected) as rejected:
        process(data)
    assert rejected.value.reason == reason
    assert time.thread_time() - before < 1


MEASURE = """
import resource, sys
from after_hours.images.pipeline import process
from after_hours.images.rejection import Rejected
data = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    process(data)
    print("photo", end=" ")
except Rejected as rejected:
    print(rejected.reason, end=" ")
unit = 1024**2 if sys.platform == "darwin" else 1024
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / unit)
"""


def run_alone(data: bytes) -> tuple[str, float]:
    """Outcome and peak memory in MB of a process of its own. It must print nothing else, not even a warning."""
    done = subprocess.run(
        # Started by a shell, not by us: Linux lets a process begin with the peak memory of the one that started it.
        ["/bin/sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-W", "always", "-c", MEASURE],
        input=data,
        capture_output=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stderr == b""
    outcome, peak = done.stdout.decode().split()
    return outcome, float(peak)


def test_bombs_need_no_memory() -> None:
    bomb = zlib.compress(bytes(200_000_000), 9)
    text = png_chunk(b"zTXt", b"comment\0\0" + bomb)
    xmp = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + bomb)
    profile = png_chunk(b"iCCP", b"profile\0\0" + bomb)
    small = (b"\0" + b"\x40\x50\x60" * 64) * 64
    assert len(text) < 300_000
    for data, expected in (
        (png(64, 64, small, text), "photo"),  # text is not even inflated
        (png(64, 64, small, profile), "photo"),  # inflated up to a limit, and left out
        (png(64, 64, small, xmp), "photo"),
        (png(64, 64, bytes(200_000_000)), "photo"),  # rows far beyond the picture are not inflated
        (png(30_000, 30_000, bytes(1_000_000)), "TOO_MANY_PIXELS"),
        (heic_with_size(9000, 6600), "photo"),
        (jpeg_with_scans(5000), "CORRUPT"),
    ):
        outcome, peak = run_alone(data)
        assert (outcome, peak < 30) == (expected, True), peak


def two_sizes() -> dict[str, tuple[bytes, str]]:
    """Files of which one part says that the picture is small, and another that it is huge."""
    jpeg, large = encoded(photograph(320, 240)), with_size(encoded(photograph(320, 240)), (60_000, 900))
    frame, scan = jpeg.index(b"\xff\xc0"), jpeg.index(b"\xff\xda")
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0))
    row = (b"\0" + b"\x40\x50\x60" * 64) * 64
    lossless = (b"VP8L", b"\x2f" + struct.pack("<I", 16_382 << 14 | 16_382) + bytes(10))
    lossy = (b"VP8 ", encoded(photograph(64, 64), "WEBP")[20:])
    canvas = (b"VP8X", bytes(4) + b"\x3f\0\0\x3f\0\0")
    wide = (b"VP8X", bytes(4) + b"\xfe\x3f\0\xfe\x3f\0")
    return {
        "jpeg, small first": (jpeg[:scan] + large[frame : frame + 19] + jpeg[scan:], "CORRUPT"),
        "jpeg, large first": (jpeg[:frame] + large[frame : frame + 19] + jpeg[frame:], "CORRUPT"),
        "png, small first": (png(64, 64, row, header), "photo"),  # the first counts, for the decoder as well
        "png, large first": (png(20_000, 20_000, row, png(64, 64, b"")[8:33]), "TOO_MANY_PIXELS"),
        "webp, VP8L before VP8": (riff(lossless, lossy), "TOO_MANY_PIXELS"),
        "webp, VP8 before VP8L": (riff(lossy, lossless), "photo"),
        "webp, a small canvas": (riff(canvas, lossless), "CORRUPT"),
        "webp, two of a small canvas": (riff(canvas, lossless, lossy), "CORRUPT"),
        "webp, a large canvas": (riff(wide, lossy), "TOO_MANY_PIXELS"),
        "heic, small": (heic_with_size(64, 64, (1024, 1024)), "photo"),
        "heic, large": (heic_with_size(30_000, 30_000), "photo"),
        "heic, small for its bitstream": (with_bitstream_size(heic_with_size(64, 64), 9000, 7000), "TOO_MANY_PIXELS"),
    }


@pytest.mark.parametrize("name", two_sizes())
def test_two_sizes_in_one_file(name: str) -> None:
    """The one that the decoder reads is the one that is checked."""
    data, expected = two_sizes()[name]
    outcome, peak = run_alone(data)
    assert (outcome, peak < 30) == (expected, True), peak


def test_many_small_parts_need_neither_memory_nor_time() -> None:
    """Each of these took hundreds of megabytes, or minutes."""
    jpeg, much = encoded(corners()), 9_000_000
    webp_file = encoded(corners(), "WEBP")
    empty = png_chunk(b"IDAT", b"")
    for name, data in {
        "exif": jpeg[:2] + EXIF_SEGMENT * (much // len(EXIF_SEGMENT)) + jpeg[2:],
        "comments": jpeg[:2] + NO_COMMENT * (much // 4) + jpeg[2:],
        "chunks": png(10, 10, bytes(310), empty * (much // len(empty))),
        "riff": riff((b"VP8 ", webp_file[20:]), *((b"none", b""),) * (much // 8)),
        "items": heic_of_one_exif(much),
        "extents": heic_by_hand(wide=8, version=1, index=8, each=60_000),
    }.items():
        before = time.thread_time()
        with pytest.raises(Rejected):
            process(data)
        assert time.thread_time() - before < 0.5, name
        outcome, peak = run_alone(data)
        assert (outcome, peak < 30) == ("CORRUPT", True), (name, peak)


def test_what_a_heic_says_of_many_images_is_not_copied_for_each() -> None:
    profile = box(b"colr", b"prof", display_p3(), bytes(3_000_000))
    exif = (b"Exif", bytes(4) + b"MM\0*" + bytes(8_000_000))
    for data, expected in (
        (heic_by_hand((exif,), images=900, described=900), "CORRUPT"),
        (heic_by_hand((exif,), images=12, described=12), "photo"),
        (heic_by_hand(images=900, properties=profile), "CORRUPT"),
        (heic_by_hand(images=30, properties=profile), "photo"),
        (heic_by_hand(images=900), "photo"),
    ):
        outcome, peak = run_alone(data)
        assert (outcome, peak < 200) == (expected, True), peak


def test_items_of_no_length_in_a_heic_are_not_read_to_the_end() -> None:
    """Why they count for nothing: libheif takes zero for empty, as some writers mean it."""
    data = heic_by_hand((*((b"Exif", b""),) * 900, (b"Exif", bytes(4) + b"MM\0*" + bytes(5_000_000))))
    outcome, peak = run_alone(data)
    assert (outcome, peak < 60) == ("photo", True), peak


def test_memory_of_a_jpeg_follows_the_output() -> None:
    outcome, peak = run_alone(saved(Image.new("RGB", (8000, 6000), (90, 80, 70)), "jpeg"))
    assert (outcome, peak < 40) == ("photo", True), peak  # 192 MB in full


@pytest.mark.parametrize(
    ("kind", "mode", "size"),
    [
        ("png", "RGBA", (8000, 7500)),
        ("png", "P", (8000, 7500)),
        ("webp", "RGBA", (8000, 5000)),
        ("lossless webp", "RGB", (8000, 5000)),
        ("jpeg", "CMYK", (8000, 7500)),
    ],
)
def test_the_largest_pictures_fit_in_the_function(kind: str, mode: str, size: tuple[int, int]) -> None:
    outcome, peak = run_alone(saved(Image.new(mode, size, 90), kind))
    assert (outcome, peak < 850) == ("photo", True), peak  # beside some 40 MB of Python and libraries


def test_nothing_is_printed_and_no_thread_is_left(capfd: pytest.CaptureFixture[str]) -> None:
    limit, threads = Image.MAX_IMAGE_PIXELS, threading.active_count()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for data in files(photograph(640, 480)).values():
            process(data)
        for data in (hostile()[name][0] for name in OF_THEIR_CONTENT):
            with pytest.raises(Rejected):
                process(data)
    assert not caught
    assert capfd.readouterr() == ("", "")
    assert limit == Image.MAX_IMAGE_PIXELS
    assert threading.active_count() == threads


def processed_or_rejected(data: bytes) -> None:
    """Nothing else, and soon: in processor time, so that a busy machine does not count."""
    before = time.thread_time()
    try:
        result = process(data)
    except Rejected:
        return
    finally:
        assert time.thread_time() - before < 3
    assert_clean(result.photo)
    assert opened(result.thumbnail).size == (200, 200)


MAGIC = [
    b"",
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"RIFF\x40\0\0\0WEBPVP8 ",
    b"RIFF\x40\0\0\0WEBPVP8X",
    b"\0\0\0\x18ftypheic",
]


@given(st.sampled_from(MAGIC), st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_random_bytes(magic: bytes, rest: bytes) -> None:
    processed_or_rejected(magic + rest)


SEEDS = [
    *files(photograph(97, 71)).values(),
    encoded(photograph(97, 71), exif=exif(6), icc_profile=display_p3(), progressive=True),
    encoded(photograph(97, 71).convert("P"), "PNG", exif=exif(6), transparency=3),
    encoded(photograph(97, 71).convert("RGBA"), "WEBP", exif=exif(6), xmp=xmp()),
    encoded(photograph(97, 71), "WEBP", save_all=True, append_images=[corners((97, 71))]),
    encoded(photograph(97, 71).convert("CMYK"), icc_profile=display_p3()),
    encoded(photograph(97, 71), "HEIF", tile_size=64, icc_profile=display_p3()),
    heic_by_hand(((b"Exif", bytes(4) + exif()[6:]),), version=1, wide=8, index=4),
]


@given(st.sampled_from(SEEDS), st.integers(0, 2**32), st.integers(1, 12), st.booleans())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_mutated_files(seed: bytes, number: int, changes: int, near_the_start: bool) -> None:
    chance, data = random.Random(number), bytearray(seed)
    for _ in range(changes):
        at = chance.randrange(min(len(data), 300) if near_the_start else len(data))
        match chance.randrange(4):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                data[at] ^= 1 << chance.randrange(8)
            case 2:
                del data[at : at + chance.randrange(1, 30)]
            case _:
                data[at:at] = data[at : at + chance.randrange(1, 30)]
        if not data:
            break
    processed_or_rejected(bytes(data))
