"""Measure the image work of process_photo against sharp.

Bytes in, both JPEGs out, on the same files in one run. CPU time is user + system of a warm process; both sides take
turns, so that a busy machine slows both alike. Memory is the peak of a fresh process: above its baseline with libraries
loaded, after its first photo and after all rounds; and in total, with runtime and libraries.
"""

import io
import json
import os
import statistics
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image, ImageCms, ImageOps

from tools.benchmarks.measuring import script, table
from tools.local.progress import Progress
from tools.local.workspace import NODE_FOLDER, REPOSITORY
from tools.pictures.files import display_p3, encoded, exif
from tools.pictures.likeness import ssim
from tools.pictures.photograph import photograph

WORK = REPOSITORY / ".bench" / "photos"
WARM_UP = 2
TURNS = 7  # many short ones: a shared machine is slow for seconds at a time, and so for one side of a turn
ROUNDS_A_TURN = 5
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "67108864"}  # as process_photo has it
SIDES = {"ours": "ours", "documented": "sharp, as documented", "single": "sharp, single decode"}
COLUMNS = "file | | CPU ms, best | CPU ms, median | MB, first photo | MB, warm | MB, process | SSIM | bytes"
type Measures = dict[str, Any]

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
        taken: dict[str, list[Measures]] = {side: [] for side in sides}
        for _ in range(1 if quick else TURNS):
            for side in sides:
                taken[side].append(_run(side, file))
        rows += _rows(title, {side: _figures(file, side, runs) for side, runs in taken.items()})
        progress(title)
    return table(COLUMNS, rows)


def _rows(title: str, sides: dict[str, list[float]]) -> Iterator[list[str]]:
    """Yield a row for each side; those of sharp have our ratio in brackets, and for SSIM the gap."""
    for side, figures in sides.items():
        *amounts, likeness, size = figures
        ours = sides["ours"]
        row = [f"{amount:.0f}" for amount in amounts] + [f"{likeness:.4f}"]
        if side != "ours":
            compared = [f"{own / amount:.2f}" for own, amount in zip(ours, amounts, strict=False)]
            compared.append(f"{ours[-2] - likeness:+.4f}")
            row = [f"{each} ({how})" for each, how in zip(row, compared, strict=True)]
        yield [title, SIDES[side], *row, f"{size:,.0f}"]


def _figures(file: Path, side: str, runs: list[Measures]) -> list[float]:
    """Return the figures of a side, in the order of COLUMNS."""
    cpu = [each for run in runs for each in run["cpu"][WARM_UP:]]
    over_baseline = [[run[peak] - run["baseline"] for run in runs] for peak in ("firstPeak", "peak")]
    whole = [run["peak"] for run in runs]
    photo = WORK / f"{file.stem}_{side}.jpg"
    return [
        min(cpu),
        *map(statistics.median, (cpu, *over_baseline, whole)),
        _likeness(file, photo),
        photo.stat().st_size,
    ]


def _run(side: str, file: Path) -> Measures:
    """Run one process, and return the figures that it printed, those of its warm-up rounds among them."""
    arguments = (str(file), str(WARM_UP + ROUNDS_A_TURN), str(WORK / f"{file.stem}_{side}"))
    if side == "ours":
        command = script("process_photos.py", *arguments)
    else:
        command = [str(NODE_FOLDER / "node"), str(Path(__file__).with_name("sharp.mjs")), *arguments, side]
    environment = os.environ | (MALLOC if side == "ours" else {})
    # Started by a shell, not by us: Linux lets a process begin with the peak memory of the one that started it.
    command = ["sh", "-c", '"$@"; exit $?', "sh", *command]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, capture_output=True, text=True)
    measures: Measures = json.loads(done.stdout)
    return measures


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
