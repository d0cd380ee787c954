"""WebP decoded straight to a smaller size, by the libwebp that Pillow's wheel brings.

Pillow itself reaches only libwebp's animation decoder, which holds four full-size RGBA copies of a still photo (192 MB
for 12 MP). libwebp can shrink while it decodes and hand over the luma and chroma planes. These are its documented
structures (`webp/decode.h`); a libwebp with others refuses them itself, and then Pillow's own decoder has to do.
"""

import contextlib
import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path

from PIL import Image, _webp

_ABI_VERSION = 0x0209
_MODE_YUV = 11
_OK, _OUT_OF_MEMORY = 0, 1


class _Features(ctypes.Structure):
    _fields_ = (
        ("width", ctypes.c_int),
        ("height", ctypes.c_int),
        ("has_alpha", ctypes.c_int),
        ("has_animation", ctypes.c_int),
        ("format", ctypes.c_int),
        ("pad", ctypes.c_uint32 * 5),
    )


class _Planes(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("y", "u", "v", "a")),
        *((f"{name}_stride", ctypes.c_int) for name in ("y", "u", "v", "a")),
        *((f"{name}_size", ctypes.c_size_t) for name in ("y", "u", "v", "a")),
    )


class _Output(ctypes.Structure):
    _fields_ = (
        ("colorspace", ctypes.c_int),
        ("width", ctypes.c_int),
        ("height", ctypes.c_int),
        ("is_external_memory", ctypes.c_int),
        ("planes", _Planes),
        ("pad", ctypes.c_uint32 * 4),
        ("private_memory", ctypes.c_void_p),
    )


class _Options(ctypes.Structure):
    _fields_ = (
        ("bypass_filtering", ctypes.c_int),
        ("no_fancy_upsampling", ctypes.c_int),
        ("use_cropping", ctypes.c_int),
        ("crop", ctypes.c_int * 4),
        ("use_scaling", ctypes.c_int),
        ("scaled_width", ctypes.c_int),
        ("scaled_height", ctypes.c_int),
        ("use_threads", ctypes.c_int),
        ("dithering_strength", ctypes.c_int),
        ("flip", ctypes.c_int),
        ("alpha_dithering_strength", ctypes.c_int),
        ("pad", ctypes.c_uint32 * 5),
    )


class _Config(ctypes.Structure):
    _fields_ = (("input", _Features), ("output", _Output), ("options", _Options))


@cache
def _library() -> ctypes.CDLL | None:
    """The library in the Pillow wheel; None where Pillow was built in another way or the structures differ."""
    # Named after its content (libwebp-51b0b3f7.so.7.2.0), so otherwise on each architecture.
    for file in (Path(_webp.__file__).parent.parent / "pillow.libs").glob("libwebp-*.so*"):
        with contextlib.suppress(OSError, AttributeError):  # cannot be loaded; has no such function
            library = ctypes.CDLL(str(file))
            library.WebPInitDecoderConfigInternal.argtypes = (ctypes.c_void_p, ctypes.c_int)
            library.WebPDecode.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p)
            library.WebPFreeDecBuffer.argtypes = (ctypes.c_void_p,)
            library.WebPFreeDecBuffer.restype = None
            if library.WebPInitDecoderConfigInternal(ctypes.byref(_Config()), _ABI_VERSION):
                return library
    return None


def available() -> bool:
    """Whether `planes` can be called here; else Pillow's own decoder has to do."""
    return _library() is not None


def _full_range(offset: int, span: int, centre: int) -> Callable[[int], float]:
    """WebP keeps luma in 16-235 and chroma in 16-240, JPEG both in 0-255."""
    return lambda value: (value - offset) * 255 / span + centre


def planes(data: bytes, size: tuple[int, int]) -> tuple[Image.Image, Image.Image, Image.Image]:
    """Decode a still, opaque WebP to luma of `size` pixels and two chroma planes of half that, in JPEG's ranges.

    Raises ValueError for a file that cannot be decoded, MemoryError when there is no room.
    """
    library = _library()
    config = _Config()
    if library is None or not library.WebPInitDecoderConfigInternal(ctypes.byref(config), _ABI_VERSION):
        raise ValueError("no libwebp with the known structures")
    config.output.colorspace = _MODE_YUV
    config.options.use_scaling = 1
    config.options.scaled_width, config.options.scaled_height = size
    try:
        status = library.WebPDecode(data, len(data), ctypes.byref(config))
        if status == _OUT_OF_MEMORY:
            raise MemoryError
        if status != _OK:
            raise ValueError(f"libwebp status {status}")
        decoded = config.output.planes
        half = (size[0] + 1) // 2, (size[1] + 1) // 2
        return (
            _borrow(decoded.y, decoded.y_stride, decoded.y_size, size).point(_full_range(16, 219, 0)),
            _borrow(decoded.u, decoded.u_stride, decoded.u_size, half).point(_full_range(128, 224, 128)),
            _borrow(decoded.v, decoded.v_stride, decoded.v_size, half).point(_full_range(128, 224, 128)),
        )
    finally:
        library.WebPFreeDecBuffer(ctypes.byref(config.output))


def _borrow(address: int, stride: int, length: int, size: tuple[int, int]) -> Image.Image:
    """A view on libwebp's memory: to be copied, as `point` does, before that is freed."""
    memory = (ctypes.c_ubyte * length).from_address(address)
    return Image.frombuffer("L", size, memory, "raw", "L", stride, 1)  # type: ignore[arg-type]  # any buffer will do
