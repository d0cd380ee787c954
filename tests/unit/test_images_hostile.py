"""Files that mean harm: each has its outcome, soon, with little memory, and without a word on the terminal."""

import random
import struct
import subprocess
import sys
import time
import zlib

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

type Outcomes = dict[str, tuple[bytes, str]]

# Peak memory never falls, so that the first file whose peak is too high is the one to look at.
MEASURE = """
import resource, struct, sys, threading, time
from after_hours.images.pipeline import process
from after_hours.images.rejection import Rejected
from PIL import Image
stdin = sys.stdin.buffer
contents = [stdin.read(struct.unpack(">I", length)[0]) for length in iter(lambda: stdin.read(4), b"")]
limit, before = Image.MAX_IMAGE_PIXELS, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for content in contents:
    began = time.thread_time()
    try:
        process(content)
        outcome = "photo"
    except Rejected as rejected:
        outcome = rejected.reason
    seconds = time.thread_time() - began
    print(outcome, seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
assert (threading.active_count(), Image.MAX_IMAGE_PIXELS) == (1, limit)
"""


def check(expected: Outcomes, *, megabytes: int, seconds: float = 3) -> None:
    """Process the files in a process of its own, which must print nothing else, not even a warning."""
    done = subprocess.run(
        # Started by a shell, not by us: Linux lets a process begin with the peak memory of the one that started it.
        ["/bin/sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-W", "always", "-c", MEASURE],
        input=b"".join(struct.pack(">I", len(data)) + data for data, _ in expected.values()),
        capture_output=True,
        check=False,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    lines = [line.split() for line in done.stdout.decode().splitlines()]
    measured = dict(zip(expected, lines, strict=True))
    assert {name: outcome for name, (outcome, *_) in measured.items()} == {
        name: outcome for name, (_, outcome) in expected.items()
    }
    slow = {name: took for name, (_, took, _) in measured.items() if float(took) > seconds}
    large = {name: peak for name, (*_, peak) in measured.items() if float(peak) > megabytes}
    assert (slow, large) == ({}, {})


def bombs() -> Outcomes:
    bomb = zlib.compress(bytes(200_000_000), 9)
    text = png_chunk(b"zTXt", b"comment\0\0" + bomb)
    profile = png_chunk(b"iCCP", b"profile\0\0" + bomb)
    small = (b"\0" + b"\x40\x50\x60" * 64) * 64
    assert len(text) < 300_000
    return {
        "text, which is not even inflated": (png(64, 64, small, text), "photo"),
        "a profile, inflated up to a limit and left out": (png(64, 64, small, profile), "photo"),
        "XMP": (png(64, 64, small, png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + bomb)), "photo"),
        "rows far beyond the picture": (png(64, 64, bytes(200_000_000)), "photo"),
        "rows of too large a picture": (png(30_000, 30_000, bytes(1_000_000)), "TOO_MANY_PIXELS"),
        "a size that is not the bitstream's": (heic_with_size(9000, 6600), "photo"),
        "scans": (jpeg_with_scans(5000), "CORRUPT"),
    }


def two_sizes() -> Outcomes:
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


def many_small_parts() -> Outcomes:
    """Each of these took hundreds of megabytes, or minutes."""
    jpeg, much, empty = encoded(corners()), 9_000_000, png_chunk(b"IDAT", b"")
    parts = {
        "exif": jpeg[:2] + EXIF_SEGMENT * (much // len(EXIF_SEGMENT)) + jpeg[2:],
        "comments": jpeg[:2] + NO_COMMENT * (much // 4) + jpeg[2:],
        "chunks": png(10, 10, bytes(310), empty * (much // len(empty))),
        "riff": riff((b"VP8 ", encoded(corners(), "WEBP")[20:]), *((b"none", b""),) * (much // 8)),
        "items": heic_of_one_exif(much),
        "extents": heic_by_hand(wide=8, version=1, index=8, each=60_000),
    }
    return {name: (data, "CORRUPT") for name, data in parts.items()}


def of_a_heic() -> Outcomes:
    """What a HEIC says of many images is not copied for each, and items of no length are not read to the end.

    libheif takes zero for empty, as some writers mean it.
    """
    profile = box(b"colr", b"prof", display_p3(), bytes(3_000_000))
    about = (b"Exif", bytes(4) + b"MM\0*" + bytes(8_000_000))
    return {
        "items of no length": (heic_by_hand((*((b"Exif", b""),) * 900, about)), "photo"),
        "one Exif of 900 images": (heic_by_hand((about,), images=900, described=900), "CORRUPT"),
        "one Exif of 12 images": (heic_by_hand((about,), images=12, described=12), "photo"),
        "one profile of 900 images": (heic_by_hand(images=900, properties=profile), "CORRUPT"),
        "one profile of 30 images": (heic_by_hand(images=30, properties=profile), "photo"),
        "900 images": (heic_by_hand(images=900), "photo"),
    }


def test_files_that_mean_harm_have_their_outcome_at_once_and_need_no_memory() -> None:
    """Those of a type each, bombs, files of two sizes (the decoder's is checked), and files of many small parts."""
    check({name: row for name, row in hostile().items() if row[1] != Reason.TOO_LARGE}, megabytes=30, seconds=1)
    check(bombs() | two_sizes() | many_small_parts(), megabytes=30)
    check(of_a_heic(), megabytes=200)


def test_memory_follows_the_output_and_the_largest_pictures_fit_in_the_function() -> None:
    check({"48 MP": (saved(Image.new("RGB", (8000, 6000), (90, 80, 70)), "jpeg"), "photo")}, megabytes=40)  # of 192
    largest = (("png", "RGBA", 7500), ("png", "P", 7500), ("lossless webp", "RGBA", 5000), ("jpeg", "CMYK", 7500))
    made = {f"{kind} {mode}": saved(Image.new(mode, (8000, height), 90), kind) for kind, mode, height in largest}
    check({name: (data, "photo") for name, data in made.items()}, megabytes=850, seconds=10)  # Python has some 40


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
