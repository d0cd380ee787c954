"""What a HEIC says in boxes, and an HEVC bitstream in its sets of parameters (ITU-T H.265, 7.3.2.2)."""

import pytest
from after_hours.images.hevc import size_and_range
from after_hours.images.pipeline import process

from tests.support.images import assert_colour, opened
from tools.pictures.heic import box, heic_by_hand


def test_a_film_before_or_behind_the_picture_is_not_read() -> None:
    """Its `iloc` would make libheif copy, and `meta` boxes behind the first are not the picture's."""
    whole = heic_by_hand()
    evil = heic_by_hand(((b"Exif", bytes(4) + b"MM\0*" + bytes(5000)),) * 900)
    meta = evil[evil.index(b"meta") - 4 : evil.index(b"mdat") - 4]
    pixels, place = whole.index(b"mdat") - 4, whole.index(b"iloc") + 16
    for film in (box(b"moov", box(b"trak", meta)), meta):
        further = (int.from_bytes(whole[place : place + 4]) + len(film)).to_bytes(4)  # where the pixels are then
        before = whole[:place] + further + whole[place + 4 : pixels] + film + whole[pixels:]
        for data in (before, whole + film):
            assert_colour(opened(process(data).photo), (0.5, 0.5), "teal")


def golomb(number: int) -> str:
    digits = f"{number + 1:b}"
    return "0" * (len(digits) - 1) + digits


ONE_LAYER = "000" + "1" + "1" * 96
TWO_LAYERS = "001" + "1" + "1" * 96 + "11" + "00" * 7 + "1" * 96
USUAL_SHAPE, KNOWN_SHAPE, OWN_SHAPE = "0", "1" + "00000001", "1" + "1" * 8 + "0" * 32


@pytest.mark.parametrize(
    ("layers", "shape"), [(ONE_LAYER, USUAL_SHAPE), (TWO_LAYERS, KNOWN_SHAPE), (ONE_LAYER, OWN_SHAPE)]
)
def test_size_and_range_are_found_behind_layers_and_shapes(layers: str, shape: str) -> None:
    """In a hvcC of 64 by 48 pixels in full range, with these bits for its layers and for the shape of its pixels."""
    size = golomb(0) + golomb(1) + golomb(64) + golomb(48) + "0"
    until_usability = golomb(0) * 3 + "0" + golomb(0) * 9 + "0000" + golomb(0) + "0" + "00"
    usability = "1" + shape + "0" + "1" + "1011"
    bits = "0000" + layers + size + until_usability + usability
    bits += "1" * (-len(bits) % 8)
    configuration = b"\x21\0\x01\0\x40\x42\x01" + int(bits, 2).to_bytes(len(bits) // 8)
    assert size_and_range(configuration) == ((64, 48), True)
