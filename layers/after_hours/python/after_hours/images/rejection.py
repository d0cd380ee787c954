"""Reasons for which a file does not become a photo. No Pillow is needed here, since most functions do not have it."""

import contextlib
from collections.abc import Callable
from enum import StrEnum

MAX_PIXELS = 60_000_000  # phones make 48 and 50 MP
_MAX_SIDE = 65_535  # pixels, the most that a JPEG can have
_ZEROS = bytes(64)


class Reason(StrEnum):
    UNSUPPORTED_TYPE = "UNSUPPORTED_TYPE"
    CORRUPT = "CORRUPT"
    TOO_MANY_PIXELS = "TOO_MANY_PIXELS"
    TOO_LARGE = "TOO_LARGE"
    EMPTY = "EMPTY"
    NOT_ALLOWED = "NOT_ALLOWED"  # it looks like a photo that the main app has banned


class Rejected(Exception):
    """The file will never become a photo, however often it is tried."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


def check_size(size: tuple[int, int], max_pixels: int = MAX_PIXELS) -> None:
    """Raise `Rejected` for a picture of `size` (width, height) that is too large to decode."""
    if size[0] * size[1] > max_pixels or max(size) > _MAX_SIDE:
        raise Rejected(Reason.TOO_MANY_PIXELS)


def check_end(data: bytes, decode: Callable[[bytes], object]) -> None:
    """Raise `Rejected` if zeros at the end replace lost data, as in a copy that broke off.

    Zeros may also be padding, and then the picture decodes without them, or a plain area, and then it needs them all.
    """
    if data.endswith(_ZEROS) and not _can(decode, data.rstrip(b"\0")) and _can(decode, data[: -len(_ZEROS)]):
        raise Rejected(Reason.CORRUPT)


def _can(decode: Callable[[bytes], object], data: bytes) -> bool:
    with contextlib.suppress(OSError, Rejected):
        decode(data)
        return True
    return False
