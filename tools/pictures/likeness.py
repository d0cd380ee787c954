"""How close a small picture comes to the ideal reduction: SSIM, as Wang et al. (2004) define it."""

from typing import Any

import numpy as np
from PIL import Image

Plane = np.ndarray[Any, np.dtype[np.float64]]

_RADIUS, _SIGMA = 5, 1.5
_WINDOW = np.exp(-(np.arange(-_RADIUS, _RADIUS + 1) ** 2) / (2 * _SIGMA**2))
_WINDOW /= _WINDOW.sum()


def _blur(plane: Plane) -> Plane:
    """Gaussian window of 11 x 11, sigma 1.5, only where it fits whole."""
    height, width = (side - 2 * _RADIUS for side in plane.shape)
    across = sum((weight * plane[:, i : i + width] for i, weight in enumerate(_WINDOW)), np.zeros(1))
    return sum((weight * across[i : i + height] for i, weight in enumerate(_WINDOW)), np.zeros(1))


def ssim(one: Image.Image, other: Image.Image) -> float:
    """Mean structural similarity of the luma of two pictures of one size, 1.0 for equal ones."""
    if one.size != other.size:
        raise ValueError(f"{one.size} against {other.size}")
    a, b = (np.asarray(image.convert("L"), np.float64) for image in (one, other))
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_a, mean_b = _blur(a), _blur(b)
    variance_a, variance_b = _blur(a * a) - mean_a**2, _blur(b * b) - mean_b**2
    covariance = _blur(a * b) - mean_a * mean_b
    likeness = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return float(np.mean(likeness / ((mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2))))
