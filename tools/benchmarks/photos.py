"""Measure the image work of process_photo against sharp.

Bytes in, both JPEGs out, on the same files in one run. Both sides take turns, so that a busy machine slows both alike.
"""

import io
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image, ImageCms, ImageOps

from tools.benchmarks.measuring import table
from tools.local.progress import Progress
from tools.local.workspace import NODE_FOLDER, REPOSITORY
from tools.pictures.files import display_p3, encoded, exif
from tools.pictures.likeness import ssim
from tools.pictures.photograph import photograph

WORK = REPOSITORY / ".bench" / "photos"
TURNS = 7  # many short ones: a shared machine is slow for seconds at a time, and so for one side of a turn
WARM_UP, ROUNDS = 2, 5
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "67108864"}  # as process_photo has it
# Prints the CPU milliseconds and the peak memory in MB that a command takes. Run by a small process, because Linux lets
# a command begin with the peak memory of the process that started it.
USE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print((used.ru_utime + used.ru_stime) * 1000, used.ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024))
"""
OURS = """
import sys
from pathlib import Path
from after_hours.images.pipeline import process
file, rounds, output = sys.argv[1:]
data = Path(file).read_bytes()
for _ in range(int(rounds)):
    result = process(data)
Path(output).write_bytes(result.photo)
"""
# The start of each side's command. Its arguments are FILE ROUNDS OUTPUT.
SIDES = {
    "ours": [sys.executable, "-c", OURS],
    "sharp, as documented": [str(NODE_FOLDER / "node"), str(Path(__file__).with_name("sharp.mjs"))],
}
COLUMNS = "file | | CPU ms, best | CPU ms, median | MB | SSIM | bytes"
type Use = tuple[float, float]  # CPU milliseconds and MB

PHOTOS: dict[str, Callable[[], bytes]] = {
    "JPEG 8 MP": lambda: encoded(photograph(3264, 2448, seed=4), quality=93),
    "JPEG 12 MP": lambda: encoded(photograph(4032, 3024), quality=93),
    "JPEG 12 MP, upright by EXIF": lambda: encoded(photograph(4032, 3024), quality=93, exif=exif(6)),
    "JPEG 12 MP, Display P3": lambda: encoded(photograph(4032, 3024), quality=93, icc_profile=display_p3()),
    "JPEG 18 MP, wide": lambda: encoded(photograph(5640, 3172, seed=3), quality=92),
    "JPEG 24 MP": lambda: encoded(photograph(5712, 4284, seed=5), quality=92),
    "JPEG 48 MP": lambda: encoded(photograph(8064, 6048, noise=0.8), quality=90),
    # no noise and no fine texture: a photographic PNG with them would pass the 10 MB that an upload may have
    "PNG 12 MP": lambda: encoded(photograph(4032, 3024, noise=0, finest=16), "PNG", compress_level=6),
    "WebP 12 MP": lambda: encoded(photograph(4032, 3024), "WEBP", quality=88, method=2),
    "HEIC 12 MP": lambda: encoded(photograph(4032, 3024), "HEIF", quality=60, tile_size=512),
    "HEIC 48 MP": lambda: encoded(photograph(8064, 6048, noise=0.8), "HEIF", quality=50, tile_size=512),
}


def measure(progress: Progress, *, quick: bool) -> str:
    WORK.mkdir(parents=True, exist_ok=True)
    rows: list[list[str]] = []
    for title, make in PHOTOS.items():
        suffix = title.partition(" ")[0].lower()
        file = WORK / f"{title.lower().replace(',', '').replace(' ', '-')}.{suffix}"
        if not file.exists():
            file.write_bytes(make())
        sides = ["ours"] if suffix == "heic" else list(SIDES)  # sharp's package cannot read HEIC
        taken: dict[str, list[Use]] = {side: [] for side in sides}
        for _ in range(1 if quick else TURNS):
            for side in sides:
                taken[side].append(_use(side, file))
        rows += _rows(title, {side: _figures(file, side, uses) for side, uses in taken.items()})
        progress(title)
    return table(COLUMNS, rows)


def _rows(title: str, sides: dict[str, list[float]]) -> Iterator[list[str]]:
    """Yield a row for each side; that of sharp has our ratio in brackets, and for SSIM the gap."""
    for side, (*amounts, likeness, size) in sides.items():
        row = [f"{amount:.0f}" for amount in amounts] + [f"{likeness:.4f}"]
        if side != "ours":
            ours = sides["ours"]
            compared = [f"{own / amount:.2f}" for own, amount in zip(ours, amounts, strict=False)]
            compared.append(f"{ours[-2] - likeness:+.4f}")
            row = [f"{each} ({how})" for each, how in zip(row, compared, strict=True)]
        yield [title, side, *row, f"{size:,.0f}"]


def _figures(file: Path, side: str, uses: list[Use]) -> list[float]:
    """Return the figures of a side, in the order of COLUMNS."""
    cpu, peaks = zip(*uses, strict=True)
    photo = _output(side, file)
    return [min(cpu), statistics.median(cpu), statistics.median(peaks), _likeness(file, photo), photo.stat().st_size]


def _output(side: str, file: Path) -> Path:
    return WORK / f"{file.stem}_{side.partition(',')[0]}.jpg"


def _use(side: str, file: Path) -> Use:
    """Return the CPU of a photo in a warm process: what more photos take. And the peak memory of that process."""
    (cold, _), (warm, peak) = (_use_of_process(side, file, rounds) for rounds in (WARM_UP, WARM_UP + ROUNDS))
    return (warm - cold) / ROUNDS, peak


def _use_of_process(side: str, file: Path, rounds: int) -> Use:
    command = [*SIDES[side], str(file), str(rounds), str(_output(side, file))]
    environment = os.environ | (MALLOC if side == "ours" else {})
    done = subprocess.run(
        [sys.executable, "-c", USE, *command],
        cwd=REPOSITORY, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    milliseconds, peak = map(float, done.stdout.split())
    return milliseconds, peak


def _likeness(file: Path, output: Path) -> float:
    """Return the SSIM of a photo against a Lanczos reduction of the full picture that was never compressed again."""
    with Image.open(file) as image:
        whole = ImageOps.exif_transpose(image).convert("RGB")
        profile = image.info.get("icc_profile")
    if profile:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        ImageCms.profileToProfile(whole, source, ImageCms.createProfile("sRGB"), inPlace=True)
    with Image.open(output) as photo:
        return ssim(photo, whole.resize(photo.size, Image.Resampling.LANCZOS))
