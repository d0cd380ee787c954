"""Files that mean harm: each has its outcome, soon, with little memory, and without a word on the terminal."""

import gzip
import random
import struct
import subprocess
import sys
import time

from after_hours.images.pipeline import process
from after_hours.images.rejection import Rejected
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.support.images import assert_clean, files, opened, saved
from tools.pictures import FOLDER
from tools.pictures.files import corners, display_p3, encoded, exif, xmp
from tools.pictures.photograph import photograph

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


# Files by name, each with a reason or "photo". The folder that a stored one is in says what becomes of it.
type Expected = dict[str, tuple[bytes, str]]
STORED: Expected = {
    path.stem: (gzip.decompress(path.read_bytes()), path.parent.name) for path in FOLDER.glob("hostile/*/*.gz")
}


def check(expected: Expected, *, megabytes: int, seconds: float = 3) -> None:
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


def test_files_that_mean_harm_have_their_outcome_at_once_and_need_no_memory() -> None:
    copied = {name: row for name, row in STORED.items() if "copied" in name}  # metadata and items of many images
    check({name: row for name, row in STORED.items() if name not in copied}, megabytes=30)
    check(copied, megabytes=200)


def test_memory_follows_the_output_and_the_largest_pictures_fit_in_the_function() -> None:
    check({"48 MP": (saved(Image.new("RGB", (8000, 6000), (90, 80, 70)), "jpeg"), "photo")}, megabytes=40)  # of 192
    largest = {"png": saved(Image.new("RGBA", (8000, 7500), 90), "png")}
    largest |= {"webp": saved(Image.new("RGBA", (8000, 5000), 90), "lossless webp")}
    check({kind: (data, "photo") for kind, data in largest.items()}, megabytes=850, seconds=10)  # Python has some 40


MAGIC = (b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x40\0\0\0WEBPVP8X", b"\0\0\0\x18ftypheic")
SMALL = photograph(97, 71)
SEEDS = [
    *files(SMALL).values(),
    encoded(SMALL, exif=exif(6), icc_profile=display_p3(), progressive=True),
    encoded(SMALL.convert("P"), "PNG", exif=exif(6), transparency=3),
    encoded(SMALL.convert("RGBA"), "WEBP", exif=exif(6), xmp=xmp()),
    encoded(SMALL, "WEBP", save_all=True, append_images=[corners((97, 71))]),
    encoded(SMALL.convert("CMYK"), icc_profile=display_p3()),
    encoded(SMALL, "HEIF", tile_size=64, icc_profile=display_p3()),
    (FOLDER / "heic" / "iloc-of-version-1.heic").read_bytes(),
]


def mutated(seed: bytes, number: int, changes: int, near_the_start: bool) -> bytes:
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
    return bytes(data)


@given(
    st.builds(bytes.__add__, st.sampled_from(MAGIC), st.binary(max_size=400))
    | st.builds(mutated, st.sampled_from(SEEDS), st.integers(0, 2**32), st.integers(1, 8), st.booleans())
)
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_become_a_clean_photo_or_are_rejected_soon(data: bytes) -> None:
    """In processor time, so that a busy machine does not count."""
    before = time.thread_time()
    try:
        result = process(data)
    except Rejected:
        return
    finally:
        assert time.thread_time() - before < 3
    assert_clean(result.photo)
    assert opened(result.thumbnail).size == (200, 200)
