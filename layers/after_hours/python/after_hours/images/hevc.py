"""What an HEVC bitstream says of itself, in its sequence parameter set (ITU-T H.265, 7.3.2.2 and E.2.1)."""

import re

# What stands in hvcC before the first sequence parameter set: kind of the list, number, length, header of the unit
_PARAMETERS = re.compile(rb"[\x21\x61\xa1\xe1]\0...\x42\x01", re.DOTALL)
_MOST = 1000  # bytes of a set that are read; it has some 50
_SUBSAMPLED = {1: (2, 2), 2: (2, 1)}  # pixels across and down for each sample of colour, by chroma_format_idc
_OWN_SHAPE = 255  # of pixels


class _Bits:
    def __init__(self, unit: bytes) -> None:
        content = unit.replace(b"\0\0\3", b"\0\0")  # the third byte keeps start codes out
        self._bits = "".join(f"{byte:08b}" for byte in content)
        self._at = 0

    def read(self, count: int) -> int:
        """Return the next bits as a number."""
        self._at += count
        return int(self._bits[self._at - count : self._at] or "0", 2)

    def golomb(self, count: int = 1) -> int:
        """Return the last of so many numbers in Exp-Golomb code, ue(v)."""
        number = 0
        for _ in range(count):
            zeros = self._bits.index("1", self._at) - self._at
            number = self.read(2 * zeros + 1) - 1
        return number


def size_and_range(configuration: bytes) -> tuple[tuple[int, int], bool]:
    """Return width and height, and whether values have their full range, of the box hvcC (ISO/IEC 14496-15, 8.3.3).

    The range counts as limited where the set does not say it, and where the set has scaling lists, samples without
    compression or references: encoders of stills write none of them. Raises IndexError or ValueError for a broken box.
    """
    bits = _Bits(_PARAMETERS.split(configuration, 1)[1][:_MOST])
    bits.read(4)
    layers = bits.read(3)  # beyond the first
    bits.read(1 + 96)  # profile and level
    for has_profile, has_level in [(bits.read(1), bits.read(1)) for _ in range(8 if layers else 0)]:
        bits.read(88 * has_profile + 8 * has_level)
    chroma = bits.golomb(2)
    bits.read(chroma == 3)  # noqa: PLR2004 (colour in full: whether it is coded apart)
    width, height = bits.golomb(), bits.golomb()
    across, down = _SUBSAMPLED.get(chroma, (1, 1))
    if bits.read(1):  # what is coded beyond the picture: left, right, top and bottom
        width -= across * (bits.golomb() + bits.golomb())
        height -= down * (bits.golomb() + bits.golomb())
    return (width, height), _is_full_range(bits, layers)


def _is_full_range(bits: _Bits, layers: int) -> bool:
    bits.golomb(3)  # depths, and the length of numbers of pictures
    bits.golomb(3 * (layers + 1 if bits.read(1) else 1) + 6)  # buffers, and sizes of blocks
    has_lists, _, _, has_samples = (bits.read(1) for _ in range(4))
    if has_lists or has_samples or bits.golomb() or bits.read(1):
        return False
    bits.read(2)
    if not bits.read(1):  # no VUI
        return False
    if bits.read(1) and bits.read(8) == _OWN_SHAPE:
        bits.read(32)
    if bits.read(1):  # overscan
        bits.read(1)
    return bool(bits.read(1) and bits.read(4) & 1)
