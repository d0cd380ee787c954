from typing import Any

import pytest
from after_hours.images.pipeline import process
from PIL import Image

from tests.support.images import assert_colour, assert_upright, opened
from tools.pictures.files import corners, display_p3, encoded


@pytest.mark.parametrize("side", [200, 3000])
@pytest.mark.parametrize("profile", [None, display_p3()])
def test_cmyk_and_grey_jpegs(side: int, profile: bytes | None) -> None:
    options: dict[str, Any] = {"icc_profile": profile} if profile else {}
    cmyk = process(encoded(corners((side, side)).convert("CMYK"), quality=95, **options))
    assert_upright(opened(cmyk.photo))
    grey = process(encoded(Image.new("L", (side, side), 90), quality=95, **options))
    assert_colour(opened(grey.photo), (0.5, 0.5), (90, 90, 90))


def test_jpeg_stored_as_rgb() -> None:
    """Adobe's segment says so, or the names of the components do."""
    data = encoded(corners((2600, 2000)), keep_rgb=True, quality=95)
    segment = data.index(b"\xff\xee\0\x0eAdobe")
    for rgb in (data, data[:segment] + data[segment + 16 :]):
        assert_upright(opened(process(rgb).photo))


@pytest.mark.parametrize(
    "options", [{"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 1}, {"optimize": True}]
)
def test_kinds_of_jpeg(options: dict[str, Any]) -> None:
    assert_upright(opened(process(encoded(corners((2601, 2001)), quality=95, **options)).photo))
