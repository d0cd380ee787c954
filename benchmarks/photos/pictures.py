"""The files that both sides are measured on, made once and kept."""

from collections.abc import Callable
from pathlib import Path

from tests import photos

MAKERS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "JPEG 12 MP": ("jpg", lambda: photos.encoded(photos.photograph(4032, 3024), quality=93)),
    "JPEG 12 MP, upright by EXIF": (
        "jpg",
        lambda: photos.encoded(photos.photograph(4032, 3024), quality=93, exif=photos.exif(6)),
    ),
    "JPEG 18 MP, wide": ("jpg", lambda: photos.encoded(photos.photograph(5640, 3172, seed=3), quality=92)),
    "JPEG 48 MP": ("jpg", lambda: photos.encoded(photos.photograph(8064, 6048, noise=0.8), quality=90)),
    "JPEG 12 MP, Display P3": (
        "jpg",
        lambda: photos.encoded(photos.photograph(4032, 3024), quality=93, icc_profile=photos.display_p3()),
    ),
    "PNG 12 MP": (
        "png",
        # no noise and no fine texture: a photographic PNG with them would pass the 10 MB that an upload may have
        lambda: photos.encoded(photos.photograph(4032, 3024, noise=0, finest=16), "PNG", compress_level=6),
    ),
    "WebP 12 MP": ("webp", lambda: photos.encoded(photos.photograph(4032, 3024), "WEBP", quality=88, method=2)),
    "HEIC 12 MP": (
        "heic",
        lambda: photos.encoded(photos.photograph(4032, 3024), "HEIF", quality=60, tile_size=512),
    ),
}


def make(folder: Path) -> dict[str, Path]:
    """The files by title. Remove the folder to have them made anew."""
    paths = {}
    for title, (suffix, maker) in MAKERS.items():
        path = folder / f"{title.lower().replace(',', '').replace(' ', '-')}.{suffix}"
        if not path.exists():
            print(f"making {path.name}", flush=True)
            path.write_bytes(maker())
        paths[title] = path
    return paths
