"""Size and range of an HEVC picture, from its sequence parameter set (ITU-T H.265, 7.3.2.2 and E.2.1)."""

import io
import re

# The bytes before the first sequence parameter set in hvcC: kind of the list, number, length, header of the NAL unit
_PARAMETERS = re.compile(rb"[\x21\x61\xa1\xe1]\0...\x42\x01", re.DOTALL)
_MOST = 1000  # bytes of a set that are read; it has some 50
_SUBSAMPLED = {1: (2, 2), 2: (2, 1)}  # pixels across and down for each sample of colour, by chroma_format_idc


class _Bits(io.StringIO):
    def number(self, count: int) -> int:
        return int(self.read(count) or "0", 2)

    def golomb(self, count: int = 1) -> int:
        """Return the last of `count` numbers in Exp-Golomb code, ue(v) (9.2)."""
        number = 0
        for _ in range(count):
            zeros = self.getvalue().index("1", self.tell()) - self.tell()
            number = self.number(2 * zeros + 1) - 1
        return number


def size_and_range(configuration: bytes) -> tuple[tuple[int, int], bool]:
    """Return width and height, and whether values have their full range, of the box hvcC (ISO/IEC 14496-15, 8.3.3).

    The range counts as limited if the set does not state it, or has scaling lists, uncompressed samples or references,
    which encoders of stills do not write. Raises IndexError or ValueError for a broken box.
    """
    content = _PARAMETERS.split(configuration, 1)[1][:_MOST].replace(b"\0\0\3", b"\0\0")  # emulation prevention, 7.4.2
    bits = _Bits("".join(f"{byte:08b}" for byte in content))
    bits.number(4)
    layers = bits.number(3)  # beyond the first
    bits.number(1 + 96)  # profile and level
    for has_profile, has_level in [(bits.number(1), bits.number(1)) for _ in range(8 if layers else 0)]:
        bits.number(88 * has_profile + 8 * has_level)
    chroma = bits.golomb(2)
    bits.number(chroma == 3)  # noqa: PLR2004 (4:4:4: whether the colours are coded separately)
    width, height = bits.golomb(), bits.golomb()
    across, down = _SUBSAMPLED.get(chroma, (1, 1))
    if bits.number(1):  # the margins that are cut off: left, right, top and bottom
        width -= across * (bits.golomb() + bits.golomb())
        height -= down * (bits.golomb() + bits.golomb())
    return (width, height), _is_full_range(bits, layers)


def _is_full_range(bits: _Bits, layers: int) -> bool:
    bits.golomb(3)  # bit depths, and the length of picture order counts
    bits.golomb(3 * (layers + 1 if bits.number(1) else 1) + 6)  # buffers, and sizes of blocks
    has_lists, _, _, has_samples = (bits.number(1) for _ in range(4))
    if has_lists or has_samples or bits.golomb() or bits.number(1):
        return False
    bits.number(2)
    if not bits.number(1):  # no VUI
        return False
    if bits.number(1) and bits.number(8) == 255:  # noqa: PLR2004 (another aspect ratio: width and height follow)
        bits.number(32)
    if bits.number(1):  # overscan
        bits.number(1)
    return bool(bits.number(1) and bits.number(4) & 1)
