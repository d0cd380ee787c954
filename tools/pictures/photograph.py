"""Photographs made in code, with a natural spectrum, the same pixels on every run."""

from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Pixels = np.ndarray[Any, np.dtype[np.float32]]


def _texture(random: np.random.Generator, width: int, height: int, *, finest: int, slope: float) -> Pixels:
    """Smooth noise in octaves down to `finest` pixels, each weaker by `slope`: 1/f, as natural scenes have it."""
    total = np.zeros((height, width), np.float32)
    cell, weight = 2 ** int(np.log2(max(width, height)) - 1), 1.0
    while cell >= finest:
        grid = random.standard_normal((height // cell + 3, width // cell + 3)).astype(np.float32)
        octave = Image.fromarray(grid).resize(
            (width, height), Image.Resampling.BICUBIC, box=(1, 1, 1 + width / cell, 1 + height / cell)
        )
        total += weight * np.asarray(octave)
        cell //= 2
        weight *= slope
    return total


def _scene(
    random: np.random.Generator, width: int, height: int, unit: float, face: tuple[float, float, float, float]
) -> Image.Image:
    """Draw the scene in front of the camera. `unit` is a thousandth of the longer side, in pixels."""
    canvas = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(canvas)
    for row in range(height):  # a background that shades from window light to a dark room
        t = row / height
        draw.line((0, row, width, row), fill=(int(176 - 92 * t), int(164 - 84 * t), int(150 - 60 * t)))
    for _ in range(70):  # furniture, foliage, buildings: flat shapes with hard edges
        x, y = random.uniform(-0.1, 1.0) * width, random.uniform(-0.1, 1.0) * height
        span = unit * random.lognormal(4.2, 0.7)
        corners = [
            (x + span * np.cos(a) * random.uniform(0.5, 1.2), y + span * np.sin(a) * random.uniform(0.5, 1.2))
            for a in np.sort(random.uniform(0, 2 * np.pi, int(random.integers(3, 9))))
        ]
        draw.polygon(corners, fill=tuple(int(c) for c in random.uniform(25, 225, 3)))
    draw.ellipse(face, fill=(214, 164, 138))
    for _ in range(900):  # hair and grass: thin curved strokes
        x, y = random.uniform(0, width), random.uniform(0, height * 0.5)
        angle, bend = random.uniform(0, np.pi), random.uniform(-0.12, 0.12)
        shade = int(random.uniform(20, 190))
        points = [(x, y)]
        for _ in range(12):
            x, y = x + 9 * unit * np.cos(angle), y + 9 * unit * np.sin(angle)
            angle += bend
            points.append((x, y))
        draw.line(
            points, fill=(shade, int(shade * 0.85), int(shade * 0.7)), width=max(1, int(unit * random.uniform(0.3, 1)))
        )
    return canvas


@cache
def photograph(width: int, height: int, *, seed: int = 1, noise: float = 1.0, finest: int = 2) -> Image.Image:
    """RGB picture with the features of a phone's: soft skin-like shading, 1/f texture, hard edges, hair, sensor noise.

    The noise grows with brightness and is a little correlated, as demosaicing leaves it.

    `noise` scales the sensor noise, `finest` is the size in pixels of the smallest texture. The same arguments give the
    same pixels in every process.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    unit = max(width, height) / 1000
    face = (width * 0.34, height * 0.18, width * 0.68, height * 0.86)
    canvas = _scene(random, width, height, unit, face)
    pixels = np.asarray(canvas.filter(ImageFilter.GaussianBlur(0.9))).astype(np.float32)  # no lens is sharper
    detail = _texture(random, width, height, finest=finest, slope=0.95)
    focus = _texture(random, width, height, finest=max(8, int(60 * unit)), slope=0.6)  # leaves here, a wall there
    strength = np.clip(9 + 8 * focus, 1.5, 28)
    skin = Image.new("L", (width, height))
    ImageDraw.Draw(skin).ellipse(face, fill=255)
    strength *= 1 - np.asarray(skin.filter(ImageFilter.BoxBlur(8 * unit))) / np.float32(290)
    pixels += (detail * strength)[:, :, None] * np.array((1.0, 0.95, 0.8), np.float32)
    _add_noise(random, pixels, noise)
    return Image.fromarray(np.clip(pixels + 0.5, 0, 255).astype(np.uint8))


def _add_noise(random: np.random.Generator, pixels: Pixels, noise: float) -> None:
    """Add sensor noise in place, in bands of rows, so that 48 MP fits in memory."""
    rows = 512
    for top in range(0, len(pixels), rows):
        band = pixels[top : top + rows]
        grain = random.standard_normal(band.shape).astype(np.float32)
        grain[:, 1:] = 0.75 * grain[:, 1:] + 0.45 * grain[:, :-1]
        grain[1:] = 0.75 * grain[1:] + 0.45 * grain[:-1]
        band += grain * (noise * np.sqrt(1.0 + np.clip(band, 0, 255) / 40))
