"""How many altered photos are still found among banned ones, and how many other photos are taken for one of them.

    make bench PART=banned [PICTURES=/folder/of/photographs]

Without a folder, photographs made in code are compared; docs/decisions/banned-photos.md has figures of real ones.
"""

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from after_hours.images.fingerprint import fingerprints
from PIL import Image, ImageOps

from pictures.photograph import photograph

_FEWER_BITS = 10  # of 64, that two hashes of one picture differ in
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
    known = [fingerprints(picture) for picture in pictures]
    banned = [photo_hash for photo_hash, looks in known if looks]
    print(f"{len(pictures)} pictures, of which {len(pictures) - len(banned)} have too little content to be compared")
    print("\n| change | plain hash | all looks |\n|---|---|---|")
    for name, edit in EDITS.items():
        plain = found = 0
        for picture, (photo_hash, looks) in zip(pictures, known, strict=True):
            if looks:
                altered, altered_looks = fingerprints(_compressed(edit(picture)))
                plain += _alike(altered, photo_hash)
                found += any(_alike(look, photo_hash) for look in altered_looks)
        print(f"| {name} | {plain / len(banned):.0%} | {found / len(banned):.0%} |")
    alarms = [
        sum(any(_alike(look, other) for look in looks) for position, other in enumerate(banned) if position != own)
        for own, looks in enumerate(looks for _, looks in known if looks)
    ]
    print(f"\nTaken for another: {sum(alarms)} of {len(banned) * (len(banned) - 1)} pairs")


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


def _alike(one: str, other: str) -> bool:
    return (int(one, 16) ^ int(other, 16)).bit_count() < _FEWER_BITS


if __name__ == "__main__":
    main()
