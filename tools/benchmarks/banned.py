"""How many altered photos are still found among banned ones, and how many other photos are taken for one of them.

    make bench PART=banned [PICTURES=/folder/of/photographs]

Without a folder, photographs made in code are compared; docs/decisions/banned-photos.md has figures of real ones.
"""

import io
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle, permutations
from pathlib import Path

import numpy as np
from after_hours.images.fingerprint import fingerprints
from PIL import Image, ImageOps

from tools.pictures.photograph import photograph

_FEWER_BITS = 10  # of 64, that two hashes of one picture differ in
_NEARER_BY = (0, 2, 2, 2)  # bits, of a picture as it is, and turned
_SIDE = 800  # pixels: enough for a hash
_MADE = 60
_ENDINGS = {".jpg", ".jpeg", ".png", ".webp"}


def _cropped(image: Image.Image, share: float) -> Image.Image:
    across, down = round(image.width * share), round(image.height * share)
    return image.crop((across, down, image.width - across, image.height - down))


def _bordered(image: Image.Image, share: float, colour: str) -> Image.Image:
    return ImageOps.expand(image, (round(image.width * share), round(image.height * share)), colour)


EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "as it is": lambda image: image,
    "mirrored": ImageOps.mirror,
    "upside down": ImageOps.flip,
    "turned by half": lambda image: image.rotate(180),
    "cropped by 2 % a side": lambda image: _cropped(image, 0.02),
    "mirrored, and cropped by 2 %": lambda image: _cropped(ImageOps.mirror(image), 0.02),
    "white border of 5 %": lambda image: _bordered(image, 0.05, "white"),
    "black border of 2 %": lambda image: _bordered(image, 0.02, "black"),
    "turned by 1°": lambda image: _cropped(image.rotate(1, Image.Resampling.BICUBIC), 0.012),
    "turned by 2°": lambda image: _cropped(image.rotate(2, Image.Resampling.BICUBIC), 0.03),
    "cropped by 4 %": lambda image: _cropped(image, 0.04),
    "cropped by 8 %": lambda image: _cropped(image, 0.08),
}


def main() -> None:
    folder = os.environ.get("PICTURES")
    pictures = list(_read(Path(folder)) if folder else (photograph(640, 480, seed=seed) for seed in range(_MADE)))
    known = [(picture, *fingerprints(picture)) for picture in pictures]
    compared = [(picture, photo_hash, looks) for picture, photo_hash, looks in known if looks]
    print(f"{len(pictures)} pictures, of which {len(pictures) - len(compared)} have too little content to be compared")
    print("\n| change | plain hash | all looks |\n|---|---|---|")
    for name, edit in EDITS.items():
        plain = found = 0
        for picture, photo_hash, _ in compared:
            altered, altered_looks = fingerprints(_compressed(edit(picture)))
            plain += _apart(photo_hash, [altered]) < _FEWER_BITS
            found += _apart(photo_hash, altered_looks) < _FEWER_BITS
        print(f"| {name} | {plain / len(compared):.0%} | {found / len(compared):.0%} |")
    _print_alarms("all", [looks for *_, looks in compared])
    # Eight looks: as it is, and before a crop.
    _print_alarms("those without a border or a plain background", [looks for *_, looks in compared if len(looks) == 8])


def _print_alarms(which: str, looks: list[tuple[str, ...]]) -> None:
    """Print how many pairs are taken for one picture, and how many innocent photos would be, among many banned ones.

    Few pairs are so near. So a parabola through the logarithms of the numbers of pairs that are 14 to 24 bits apart
    tells how many would be; the estimate gives an order of magnitude only.
    """
    apart = Counter(_apart(other[0], own) for own, other in permutations(looks, 2))
    pairs = apart.total()
    bits = np.array([bits for bits in range(14, 25) if apart[bits]])
    counts = np.array([apart[int(each)] for each in bits])
    curve = np.polynomial.Polynomial.fit(bits, np.log(counts), 2, w=np.sqrt(counts))
    expected = float(np.exp(curve(np.arange(_FEWER_BITS))).sum()) / pairs
    alarms = sum(apart[bits] for bits in range(_FEWER_BITS))
    print(f"\nOf {which}, {alarms} of {pairs:,} pairs are taken for one picture; with 10,000 banned photos")
    print(f"some {10_000 * expected:.2%} of innocent ones would be taken for one of them.")


def _read(folder: Path) -> Iterator[Image.Image]:
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in _ENDINGS):
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture).convert("RGB")
        upright.thumbnail((_SIDE, _SIDE))
        yield upright


def _compressed(picture: Image.Image) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=85)
    return Image.open(file).convert("RGB")


def _apart(banned: str, looks: Iterable[str]) -> int:
    """Return how far a picture is from a banned one, in bits, as after_hours_banned_photo compares them."""
    return min((int(look, 16) ^ int(banned, 16)).bit_count() + nearer for look, nearer in zip(looks, cycle(_NEARER_BY)))


if __name__ == "__main__":
    main()
