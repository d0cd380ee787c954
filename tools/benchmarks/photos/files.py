"""The files that are measured, made once and kept: photos, and hostile files at the limits of what is decoded."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pillow_heif
from PIL import Image

from tools.pictures.files import display_p3, encoded, exif, png, png_chunk
from tools.pictures.heic import heic_by_hand
from tools.pictures.hostile import EXIF_SEGMENT, NO_COMMENT, riff
from tools.pictures.photograph import photograph

type Makers = dict[str, tuple[str, Callable[[], bytes]]]  # by title: the suffix, and how to make it

PHOTOS: Makers = {
    "JPEG 8 MP": ("jpg", lambda: encoded(photograph(3264, 2448, seed=4), quality=93)),
    "JPEG 12 MP": ("jpg", lambda: encoded(photograph(4032, 3024), quality=93)),
    "JPEG 12 MP, upright by EXIF": ("jpg", lambda: encoded(photograph(4032, 3024), quality=93, exif=exif(6))),
    "JPEG 12 MP, Display P3": ("jpg", lambda: encoded(photograph(4032, 3024), quality=93, icc_profile=display_p3())),
    "JPEG 18 MP, wide": ("jpg", lambda: encoded(photograph(5640, 3172, seed=3), quality=92)),
    "JPEG 24 MP": ("jpg", lambda: encoded(photograph(5712, 4284, seed=5), quality=92)),
    "JPEG 48 MP": ("jpg", lambda: encoded(photograph(8064, 6048, noise=0.8), quality=90)),
    # no noise and no fine texture: a photographic PNG with them would pass the 10 MB that an upload may have
    "PNG 12 MP": ("png", lambda: encoded(photograph(4032, 3024, noise=0, finest=16), "PNG", compress_level=6)),
    "WebP 12 MP": ("webp", lambda: encoded(photograph(4032, 3024), "WEBP", quality=88, method=2)),
    "HEIC 12 MP": ("heic", lambda: encoded(photograph(4032, 3024), "HEIF", quality=60, tile_size=512)),
    "HEIC 48 MP": ("heic", lambda: encoded(photograph(8064, 6048, noise=0.8), "HEIF", quality=50, tile_size=512)),
}

LARGEST, WEBP = (9000, 6666), (8000, 5000)  # pixels: the limits of WebP and of the others


def plain(mode: str, size: tuple[int, int] = LARGEST) -> Image.Image:
    return Image.linear_gradient("L").resize(size).convert(mode)


def heic(mode: str) -> bytes:
    """With 10 bits of each colour."""
    bands = len(mode.partition(";")[0])
    row = b"".join(struct.pack("<H", 64 * (x % 1000)) * bands for x in range(LARGEST[0]))
    file = io.BytesIO()
    pillow_heif.encode(mode, LARGEST, row * LARGEST[1], file, quality=20)
    return file.getvalue()


def many_scans() -> bytes:
    """A hundred scans of the most pixels: the first again and again, then the others."""
    data = encoded(plain("L"), progressive=True, quality=5)
    first = data.index(b"\xff\xda")
    second = data.index(b"\xff\xc4", first)
    return data[:first] + data[first:second] * 90 + data[second:]


HOSTILE: Makers = {
    "JPEG 60 MP, progressive, 4:4:4": ("jpg", lambda: encoded(plain("RGB"), progressive=True, subsampling=0)),
    "JPEG 60 MP, progressive, CMYK": ("jpg", lambda: encoded(plain("CMYK"), progressive=True)),
    "JPEG 60 MP, progressive, without its end": (
        "jpg",
        lambda: encoded(plain("RGB"), progressive=True, subsampling=0)[:-2],
    ),
    "JPEG 60 MP, 99 scans": ("jpg", many_scans),
    "JPEG of countless comments": ("jpg", lambda: b"\xff\xd8" + NO_COMMENT * 2_000_000),
    "JPEG of countless EXIFs": ("jpg", lambda: b"\xff\xd8" + EXIF_SEGMENT * 500_000),
    "PNG 60 MP, transparent": ("png", lambda: encoded(plain("RGBA"), "PNG")),
    "PNG 60 MP, 16 bits": ("png", lambda: png(*LARGEST, bytes(6 * LARGEST[0] + 1) * LARGEST[1], depth=16)),
    "PNG of 200 MB of text": (
        "png",
        lambda: png(1, 1, bytes(4), png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(200_000_000)))),
    ),
    "PNG of countless chunks": ("png", lambda: png(1, 1, bytes(4), png_chunk(b"IDAT", b"") * 800_000)),
    "WebP 40 MP, transparent": ("webp", lambda: encoded(plain("RGBA", WEBP), "WEBP", method=0, quality=20)),
    "WebP 40 MP, lossless": ("webp", lambda: encoded(Image.new("RGB", WEBP, "teal"), "WEBP", method=0, lossless=True)),
    "WebP of countless chunks": ("webp", lambda: riff((b"VP8X", bytes(10)), *((b"none", b""),) * 1_000_000)),
    "HEIC 60 MP": ("heic", lambda: encoded(plain("RGB"), "HEIF", quality=20)),
    "HEIC 60 MP, 10 bits": ("heic", lambda: heic("RGB;16")),
    "HEIC 60 MP, 10 bits, transparent": ("heic", lambda: heic("RGBA;16")),
    "HEIC of 12 images with 8 MB of EXIF": (
        "heic",
        lambda: heic_by_hand(((b"Exif", bytes(4) + b"MM\0*" + bytes(8_000_000)),), images=12, described=12),
    ),
    "HEIC of countless pieces": ("heic", lambda: heic_by_hand(each=60_000)),
}


def make(makers: Makers, folder: Path) -> dict[str, Path]:
    """Return the files by title, made if they are missing. Remove the folder to have them made anew."""
    paths = {}
    for title, (suffix, maker) in makers.items():
        path = folder / f"{title.lower().replace(',', '').replace(':', '').replace(' ', '-')}.{suffix}"
        if not path.exists():
            print(f"making {path.name}", flush=True)
            path.write_bytes(maker())
        paths[title] = path
    return paths
