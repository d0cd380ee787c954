"""What an HEVC bitstream says of itself, in sets of parameters that few encoders write (ITU-T H.265, 7.3.2.2)."""

import pytest
from after_hours.images.hevc import size_and_range


def golomb(number: int) -> str:
    digits = f"{number + 1:b}"
    return "0" * (len(digits) - 1) + digits


def configuration(layers: str, shape: str) -> bytes:
    """Return a hvcC of 64 by 48 pixels in full range, with these bits where layers and the pixels' shape are told."""
    size = golomb(0) + golomb(1) + golomb(64) + golomb(48) + "0"
    until_usability = golomb(0) * 3 + "0" + golomb(0) * 9 + "0000" + golomb(0) + "0" + "00"
    usability = "1" + shape + "0" + "1" + "1011"
    bits = "0000" + layers + size + until_usability + usability
    bits += "1" * (-len(bits) % 8)
    return b"\x21\0\x01\0\x40\x42\x01" + int(bits, 2).to_bytes(len(bits) // 8)


ONE_LAYER = "000" + "1" + "1" * 96
TWO_LAYERS = "001" + "1" + "1" * 96 + "11" + "00" * 7 + "1" * 96
USUAL_SHAPE, OWN_SHAPE = "0", "1" + "1" * 8 + "0" * 32


@pytest.mark.parametrize("layers", [ONE_LAYER, TWO_LAYERS])
@pytest.mark.parametrize("shape", [USUAL_SHAPE, "1" + "00000001", OWN_SHAPE])
def test_size_and_range_are_found_behind_layers_and_shapes(layers: str, shape: str) -> None:
    assert size_and_range(configuration(layers, shape)) == ((64, 48), True)
