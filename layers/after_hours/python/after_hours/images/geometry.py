"""Size and orientation. All bands of a picture are resized alike, so that colour and brightness stay in register."""

import contextlib

from PIL import Image, ImageOps

PHOTO_SIDE = 1200  # pixels


def fitted(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size, in pixels, at which a picture of `size` fits in the photo. It is never enlarged.

    >>> fitted((4000, 3000))
    (1200, 900)
    """
    scale = max(1.0, max(size) / PHOTO_SIDE)
    return max(1, round(size[0] / scale)), max(1, round(size[1] / scale))


def shrunk(image: Image.Image) -> Image.Image:
    """Fit the picture into the photo: average whole pixels first, for speed, and finish with Lanczos, for sharpness."""
    return image.resize(fitted(image.size), Image.Resampling.LANCZOS, reducing_gap=1.6)


def upright(image: Image.Image) -> Image.Image:
    """Turn the picture as its EXIF asks, else its XMP; where they cannot be read, leave it as it is."""
    with contextlib.suppress(Exception):  # hostile EXIF can make Pillow raise anything
        ImageOps.exif_transpose(image, in_place=True)  # turned before Pillow rewrites EXIF, which may fail
    return image
