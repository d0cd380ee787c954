"""What an HEVC bitstream says of itself, in its sequence parameter set (ITU-T H.265, 7.3.2.2 and E.2.1)."""

import io
import re

# What stands in hvcC before the first sequence parameter set: kind of the list, number, length, header of the unit
_PARAMETERS = re.compile(rb"[\x21\x61\xa1\xe1]\0...\x42\x01", re.DOTALL)
_MOST = 1000  # bytes of a set that are read; it has some 50
_SUBSAMPLED = {1: (2, 2), 2: (2, 1)}  # pixels across and down for each sample of colour, by chroma_format_idc


class _Bits(io.StringIO):
    def number(self, count: int) -> int:
        return int(self.read(count) or "0", 2)

    def golomb(self, count: int = 1) -> int:
        """Return the last of so many numbers in Exp-Golomb code, ue(v)."""
        number = 0
        for _ in range(count):
            zeros = self.getvalue().index("1", self.tell()) - self.tell()
            number = self.number(2 * zeros + 1) - 1
        return number


def size_and_range(configuration: bytes) -> tuple[tuple[int, int], bool]:
    """Return width and height, and whether values have their full range, of the box hvcC (ISO/IEC 14496-15, 8.3.3).

    The range counts as limited where the set does not say it, and where the set has scaling lists, samples without
    compression or references: encoders of stills write none of them. Raises IndexError or ValueError for a broken box.
    """
    content = _PARAMETERS.split(configuration, 1)[1][:_MOST].replace(b"\0\0\3", b"\0\0")  # the 3 keeps start codes out
    bits = _Bits("".join(f"{byte:08b}" for byte in content))
    bits.number(4)
    layers = bits.number(3)  # beyond the first
    bits.number(1 + 96)  # profile and level
    for has_profile, has_level in [(bits.number(1), bits.number(1)) for _ in range(8 if layers else 0)]:
        bits.number(88 * has_profile + 8 * has_level)
    chroma = bits.golomb(2)
    bits.number(chroma == 3)  # noqa: PLR2004 (colour in full: whether it is coded apart)
    width, height = bits.golomb(), bits.golomb()
    across, down = _SUBSAMPLED.get(chroma, (1, 1))
    if bits.number(1):  # what is coded beyond the picture: left, right, top and bottom
        width -= across * (bits.golomb() + bits.golomb())
        height -= down * (bits.golomb() + bits.golomb())
    return (width, height), _is_full_range(bits, layers)


def _is_full_range(bits: _Bits, layers: int) -> bool:
    bits.golomb(3)  # depths, and the length of numbers of pictures
    bits.golomb(3 * (layers + 1 if bits.number(1) else 1) + 6)  # buffers, and sizes of blocks
    has_lists, _, _, has_samples = (bits.number(1) for _ in range(4))
    if has_lists or has_samples or bits.golomb() or bits.number(1):
        return False
    bits.number(2)
    if not bits.number(1):  # no VUI
        return False
    if bits.number(1) and bits.number(8) == 255:  # noqa: PLR2004 (a shape of pixels that is no usual one)
        bits.number(32)
    if bits.number(1):  # overscan
        bits.number(1)
    return bool(bits.number(1) and bits.number(4) & 1)
