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
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pi_heif
import PIL
from PIL import Image, ImageCms, ImageOps

from tools.benchmarks.measuring import Json, Progress, database, script
from tools.benchmarks.photos.files import HOSTILE, PHOTOS, make
from tools.pictures.likeness import ssim

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
WORK = ROOT / ".bench" / "photos"
BIN = Path(sys.executable).parent
WARM_UP = 2
TURNS = 7  # many short ones: a shared machine is slow for seconds at a time, and so for one side of a turn
ROUNDS_A_TURN = 5
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "67108864"}  # as process_photo has it
Measures = dict[str, Any]


def run(side: str, file: Path, rounds: int) -> Measures:
    """One process: what it printed, with its warm-up rounds still in."""
    output = str(WORK / f"{file.stem}_{side}")
    if side == "ours":
        command = script("photos/ours.py", str(file), str(rounds), output)
    else:
        command = [str(BIN / "node"), str(HERE / "sharp.mjs"), str(file), side, str(rounds), output]
    environment = os.environ | (MALLOC if side == "ours" else {})
    # Started by a shell, not by us: Linux lets a process begin with the peak memory of the one that started it.
    command = ["sh", "-c", '"$@"; exit $?', "sh", *command]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    measures: Measures = json.loads(done.stdout)
    return measures


def _measures(file: Path, sides: list[str], turns: int) -> dict[str, Measures]:
    results: dict[str, Measures] = {side: {"cpu": [], "first": [], "warm": [], "whole": []} for side in sides}
    for _ in range(turns):
        for side in sides:
            measured = run(side, file, WARM_UP + ROUNDS_A_TURN)
            results[side]["cpu"] += measured["cpu"][WARM_UP:]
            results[side]["first"].append(measured["firstPeak"] - measured["baseline"])
            results[side]["warm"].append(measured["peak"] - measured["baseline"])
            results[side]["whole"].append(measured["peak"])
    return {
        side: {
            "cpu_best_ms": min(result["cpu"]),
            "cpu_median_ms": statistics.median(result["cpu"]),
            "memory_first_mb": statistics.median(result["first"]),
            "memory_warm_mb": statistics.median(result["warm"]),
            "memory_process_mb": statistics.median(result["whole"]),
            **quality(file, WORK / f"{file.stem}_{side}"),
        }
        for side, result in results.items()
    }


def quality(file: Path, output: Path) -> Measures:
    """SSIM of both results against a Lanczos reduction of the full picture that was never compressed again."""
    with Image.open(file) as image:
        whole = ImageOps.exif_transpose(image).convert("RGB")
        profile = image.info.get("icc_profile")
    if profile:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        ImageCms.profileToProfile(whole, source, ImageCms.createProfile("sRGB"), inPlace=True)
    photo, thumbnail = (Image.open(f"{output}{suffix}.jpg") for suffix in ("", "_thumb"))
    reduced = whole.resize(photo.size, Image.Resampling.LANCZOS)
    return {
        "photo_ssim": ssim(photo, reduced),
        "thumbnail_ssim": max(ssim(thumbnail, cover) for cover in covers(whole, thumbnail.size)),
        "photo_bytes": Path(f"{output}.jpg").stat().st_size,
    }


def covers(whole: Image.Image, size: tuple[int, int]) -> list[Image.Image]:
    """The middle of a picture, cut exactly (as we do) or at whole pixels after shrinking (as sharp does).

    Neither is better, and half a pixel between them costs more SSIM than any filter: the one that is closer counts.
    """
    scale = max(size[0] / whole.width, size[1] / whole.height)
    shrunk = whole.resize((round(whole.width * scale), round(whole.height * scale)), Image.Resampling.LANCZOS)
    spare = shrunk.width - size[0], shrunk.height - size[1]
    corners = {(spare[0] // 2, spare[1] // 2), (-(-spare[0] // 2), -(-spare[1] // 2))}
    return [
        ImageOps.fit(whole, size, Image.Resampling.LANCZOS),
        *(shrunk.crop((left, top, left + size[0], top + size[1])) for left, top in corners),
    ]


def banned_look(hashes: int) -> Measures:
    """The look among so many banned hashes, and reading them alone: the fastest of each, in milliseconds, in turns."""
    look = "SELECT banned FROM after_hours_banned_photo(array_fill(repeat('0', 16), ARRAY[12]), 0)"
    reading = "SELECT max(octet_length(photo_hash)) FROM banned_photo_hashes"
    best = dict.fromkeys((look, reading), float("inf"))
    with database() as served, closing(served.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO banned_photo_hashes (photo_hash)"
            " SELECT substr(md5(n::text), 1, 16) FROM generate_series(1, %s) AS n",
            (hashes,),
        )
        for _ in range(20):
            for statement in best:
                began = time.perf_counter()
                cursor.execute(statement)
                best[statement] = min(best[statement], (time.perf_counter() - began) * 1000)
    return {"hashes": hashes, "look_ms": best[look], "reading_ms": best[reading]}


def table(results: dict[str, dict[str, Measures]]) -> str:
    head = "| file | | CPU ms (best, median) | memory MB (first, warm, whole process) | SSIM photo, thumbnail | bytes |"
    lines = [head, "|---|---|---|---|---|---|"]
    names = {"ours": "ours", "single": "sharp, single decode", "documented": "sharp, as documented"}
    for title, sides in results.items():
        for side, m in sides.items():
            lines.append(
                f"| {title} | {names[side]} | {m['cpu_best_ms']:.0f}, {m['cpu_median_ms']:.0f} | "
                f"{m['memory_first_mb']:.1f}, {m['memory_warm_mb']:.1f}, "
                f"{m['memory_process_mb']:.0f} | "
                f"{m['photo_ssim']:.4f}, {m['thumbnail_ssim']:.4f} | {m['photo_bytes']:,} |"
            )
    return "\n".join(lines)


def verdicts(results: dict[str, dict[str, Measures]]) -> str:
    """Ours as a ratio to single-decode sharp, and to sharp as documented."""
    lines = [
        "| file | CPU best | CPU median | memory, first photo | memory, warm | process | SSIM photo | SSIM thumbnail |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for title, sides in results.items():
        if "single" not in sides:
            continue
        ours, single, documented = (sides[side] for side in ("ours", "single", "documented"))
        ratios = [
            f"{ours[key] / single[key]:.2f} ({ours[key] / documented[key]:.2f})"
            for key in ("cpu_best_ms", "cpu_median_ms", "memory_first_mb", "memory_warm_mb", "memory_process_mb")
        ]
        gaps = [
            f"{ours[key] - single[key]:+.4f} ({ours[key] - documented[key]:+.4f})"
            for key in ("photo_ssim", "thumbnail_ssim")
        ]
        lines.append(f"| {title} | {' | '.join(ratios + gaps)} |")
    return "\n".join(lines)


def extremes(results: dict[str, Measures]) -> str:
    lines = ["| file | becomes | CPU s | memory MB, whole process |", "|---|---|---|---|"]
    for title, m in results.items():
        lines.append(f"| {title} | {m['outcome']} | {m['cpu'][0] / 1000:.2f} | {m['peak']:.0f} |")
    return "\n".join(lines)


def measure(progress: Progress) -> Json:
    WORK.mkdir(parents=True, exist_ok=True)
    photos, hostile = make(PHOTOS, WORK), make(HOSTILE, WORK)
    total = len(photos) + len(hostile) + 1
    results: Json = {"results": {}, "hostile": {}}
    for done, (title, file) in enumerate(photos.items(), 1):
        sides = ["ours"] if file.suffix == ".heic" else ["ours", "single", "documented"]
        results["results"][title] = _measures(file, sides, 1 if progress.quick else TURNS)
        progress.tell(done, total, title)
    for done, (title, file) in enumerate(hostile.items(), len(photos) + 1):
        results["hostile"][title] = run("ours", file, rounds=1)
        progress.tell(done, total, title)
    results["banned"] = banned_look(10_000 if progress.quick else 100_000)
    progress.tell(total, total, "banned photos")
    sharp = json.loads((ROOT / "package.json").read_text())["devDependencies"]["sharp"]
    versions = f"Pillow {PIL.__version__}, pi-heif {pi_heif.__version__}, sharp {sharp} on Node"
    return results | {"setting": f"{versions} (one thread, no cache)"}


def section(results: Json) -> str:
    banned = results["banned"]
    report = (
        f"{results['setting']}\n\n"
        "**Ours as a ratio to single-decode sharp, and in brackets to sharp as documented**\n\n"
        f"{verdicts(results['results'])}\n\n**Measured**\n\n{table(results['results'])}\n\n"
        f"**Files at the limits**\n\n{extremes(results['hostile'])}\n\n"
        f"**Banned photos**: among {banned['hashes']:,} hashes, one statement of {banned['look_ms']:.0f} ms, "
        f"{banned['look_ms'] / banned['reading_ms']:.1f} times reading them alone."
    )
    return (HERE / "page.md").read_text().replace("{{report}}", report)
