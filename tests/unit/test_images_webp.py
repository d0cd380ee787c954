import pytest
from after_hours.images.pipeline import process
from after_hours.images.rejection import Rejected
from PIL import Image

from tests.support.images import assert_upright, opened
from tools.pictures.files import corners, encoded


def test_animated_webp_gives_its_first_frame() -> None:
    first, second = corners((1600, 1200)), Image.new("RGB", (1600, 1200), "black")
    data = encoded(first, "WEBP", save_all=True, append_images=[second], duration=100, quality=95)
    assert_upright(opened(process(data).photo))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_webp_is_allowed_fewer_pixels(mode: str) -> None:
    """Pillow would need a gigabyte for 60 MP of it."""
    for height, expected in ((4000, "photo"), (4001, "TOO_MANY_PIXELS")):
        data = encoded(Image.new(mode, (10_000, height), "teal"), "WEBP", quality=10, method=0)
        try:
            assert opened(process(data).photo).size == (1200, 480)
            outcome = "photo"
        except Rejected as rejected:
            outcome = rejected.reason
        assert outcome == expected
