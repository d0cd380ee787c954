"""Pictures made in code, the same on every run: photographs with a natural spectrum, and files that mean harm."""

import io
import struct
import zlib
from functools import cache
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image, ImageDraw, ImageFilter
from PIL.TiffImagePlugin import IFDRational

pillow_heif.register_heif_opener()  # for saving; what is tested opens files in its own way

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


@cache
def photograph(width: int, height: int, *, seed: int = 1, noise: float = 1.0, finest: int = 2) -> Image.Image:
    """RGB picture with what a phone's photo has: soft skin-like shading, 1/f texture, hard edges, hair, sensor noise.

    The noise grows with brightness and is a little correlated, as demosaicing leaves it.

    `noise` scales the sensor noise, `finest` is the size in pixels of the smallest texture. The same arguments give the
    same pixels in every process.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    canvas = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(canvas)
    unit = max(width, height) / 1000
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
    face = (width * 0.34, height * 0.18, width * 0.68, height * 0.86)
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
    pixels = np.asarray(canvas.filter(ImageFilter.GaussianBlur(0.9))).astype(np.float32)  # no lens is sharper
    detail = _texture(random, width, height, finest=finest, slope=0.95)
    focus = _texture(random, width, height, finest=max(8, int(60 * unit)), slope=0.6)  # leaves here, a wall there
    strength = np.clip(9 + 8 * focus, 1.5, 28)
    skin = Image.new("L", (width, height))
    ImageDraw.Draw(skin).ellipse(face, fill=255)
    strength *= 1 - np.asarray(skin.filter(ImageFilter.BoxBlur(8 * unit))) / np.float32(290)
    pixels += (detail * strength)[:, :, None] * np.array((1.0, 0.95, 0.8), np.float32)
    rows = 512
    for top in range(0, height, rows):  # in bands, so that 48 MP fits in memory
        band = pixels[top : top + rows]
        grain = random.standard_normal(band.shape).astype(np.float32)
        grain[:, 1:] = 0.75 * grain[:, 1:] + 0.45 * grain[:, :-1]
        grain[1:] = 0.75 * grain[1:] + 0.45 * grain[:-1]
        band += grain * (noise * np.sqrt(1.0 + np.clip(band, 0, 255) / 40))
    return Image.fromarray(np.clip(pixels + 0.5, 0, 255).astype(np.uint8))


# --- files ------------------------------------------------------------------------------------------------------------

GPS_BYTES = b"52.3702,4.8952"


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif(orientation: int = 1) -> bytes:
    """EXIF with an orientation, a camera, and the place where the picture was taken."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x010F] = "After Hours Phone"
    degrees = (IFDRational(52), IFDRational(22), IFDRational(12))
    tags.get_ifd(0x8825).update({1: "N", 2: degrees, 3: "E", 4: degrees, 27: GPS_BYTES})
    return tags.tobytes()


def xmp() -> bytes:
    return b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><place>' + GPS_BYTES + b"</place></x:xmpmeta>"


def corners(size: tuple[int, int] = (400, 300)) -> Image.Image:
    """Red, green, blue and white quarters (from the top left, by rows): shows which way is up, and mirrored."""
    image = Image.new("RGB", size, "white")
    half = size[0] // 2, size[1] // 2
    for colour, at in (("red", (0, 0)), ("lime", (half[0], 0)), ("blue", (0, half[1]))):
        image.paste(colour, (*at, at[0] + half[0], at[1] + half[1]))
    return image


def turned_away(image: Image.Image, orientation: int) -> Image.Image:
    """The pixels as a camera stores them that notes `orientation` for an upright `image`."""
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    return image if undo is None else image.transpose(undo)


@cache
def display_p3() -> bytes:
    """An ICC version 2 profile with the primaries of Display P3, adapted to D50, with gamma 2.2 for its curve."""
    primaries = {
        b"rXYZ": (0.51512, 0.24120, -0.00105),
        b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.15710, 0.06657, 0.78407),
        b"wtpt": (0.96420, 1.0, 0.82491),
    }
    tags = {
        tag: b"XYZ " + bytes(4) + b"".join(struct.pack(">i", round(value * 65536)) for value in values)
        for tag, values in primaries.items()
    }
    gamma = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256)) + bytes(2)
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma)
    name = b"Display P3\0"
    tags[b"desc"] = b"desc" + bytes(4) + struct.pack(">I", len(name)) + name + bytes(78 + 1)
    tags[b"cprt"] = b"text" + bytes(4) + b"none\0" + bytes(3)
    position, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for tag, content in tags.items():
        padded = content + bytes(-len(content) % 4)
        table += tag + struct.pack(">II", position + len(body), len(content))
        body += padded
    header = struct.pack(">I4sI4s4s4s", position + len(body), bytes(4), 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">iii", 63190, 65536, 54061) + bytes(48)
    assert len(header) == 128
    return header + struct.pack(">I", len(tags)) + table + body


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, rows: bytes, *extra: bytes, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG written by hand: `rows` are the filtered rows before compression, `extra` whole chunks before them."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    body = png_chunk(b"IDAT", zlib.compress(rows, 9))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + body + png_chunk(b"IEND", b"")


def heic_with_size(width: int, height: int) -> bytes:
    """A HEIC of 64 x 64 that says it had other dimensions."""
    data = encoded(Image.new("RGB", (64, 64), "teal"), "HEIF")
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", width, height) + data[at + 8 :]


def jpeg_with_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again: a few bytes each, a walk over the picture each."""
    data = encoded(Image.new("L", (64, 64), 90), progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * count + b"\xff\xd9"


def box(kind: bytes, *content: bytes) -> bytes:
    """A box of an ISO media file."""
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full_box(kind: bytes, version: int, *content: bytes) -> bytes:
    return box(kind, bytes((version, 0, 0, 0)), *content)


def iloc(items: list[tuple[int, int]], version: int = 0, wide: int = 4, index: int = 0, each: int = 1) -> bytes:
    """Where the items' bytes are, in every layout: `wide` and `index` are sizes of fields, `each` counts extents."""
    index = index if version else 0
    number = ">I" if version == 2 else ">H"
    body = bytes((wide << 4 | wide, wide << 4 | index)) + struct.pack(number, len(items))
    for i, (start, length) in enumerate(items):
        body += struct.pack(number, i + 1) + bytes(4 if version else 2) + start.to_bytes(wide)
        body += struct.pack(">H", each) + (bytes(index + wide) + length.to_bytes(wide)) * each
    return full_box(b"iloc", version, body)


@cache
def heic_by_hand(
    items: tuple[tuple[bytes, bytes], ...] = (),
    *,
    images: int = 1,
    described: int = 1,
    properties: bytes = b"",
    **layout: int,
) -> bytes:
    """A HEIC by hand: the same 64 x 64 again as so many images, then `items` by type and content.

    What is the same is stored once. All items belong to the first `described` images; `properties` are those of every
    image, beside the usual ones, and `layout` is for `iloc`.
    """
    plain = encoded(Image.new("RGB", (64, 64), "teal"), "HEIF")
    own = [
        plain[(at := plain.index(kind) - 4) : at + int.from_bytes(plain[at : at + 4])] for kind in (b"hvcC", b"ispe")
    ]
    own += [properties] if properties else []
    pixels = plain[plain.index(b"mdat") + 4 :]
    every = ((b"hvc1", pixels),) * images + items
    places: dict[bytes, int] = {}
    end = 0
    for _, content in every:
        if content not in places:
            places[content] = end
            end += len(content)
    names = (full_box(b"infe", 2, struct.pack(">HH4s", i, 0, kind), b"\0\0") for i, (kind, _) in enumerate(every, 1))
    uses = (struct.pack(">HB", i + 1, len(own)) + bytes(range(1, len(own) + 1)) for i in range(images))
    to = struct.pack(f">H{described}H", described, *range(1, described + 1))
    parts = (
        full_box(b"hdlr", 0, bytes(4), b"pict", bytes(13)),
        full_box(b"pitm", 0, b"\0\1"),
        full_box(b"iinf", 0, struct.pack(">H", len(every)), *names),
        box(b"iprp", box(b"ipco", *own), full_box(b"ipma", 0, struct.pack(">I", images), *uses)),
        full_box(b"iref", 0, *(box(b"cdsc", struct.pack(">H", images + i + 1), to) for i in range(len(items)))),
    )
    start, head = 0, b""
    for _ in range(2):  # once to know how long it is
        located = iloc([(start + places[content], len(content)) for _, content in every], **layout)
        head = box(b"ftyp", b"heic", bytes(4), b"mif1heic") + full_box(b"meta", 0, *parts, located)
        start = len(head) + 8
    return head + box(b"mdat", *places)


def heic_of_one_exif(size: int, times: int = 900) -> bytes:
    """One piece of Exif that so many items name."""
    return heic_by_hand(((b"Exif", bytes(4) + b"MM\0*" + bytes(size)),) * times)


EXIF_SEGMENT = b"\xff\xe1\0\x12Exif\0\0MM\0*\0\0\0\x08\0\0"
NO_COMMENT = b"\xff\xfe\0\2"


def hostile() -> dict[str, tuple[bytes, str]]:
    """Files that must not become photos: by name, the bytes and the reason of the rejection."""
    small = Image.new("RGB", (64, 48), "olive")
    jpeg = encoded(photograph(320, 240))
    tiff, gif = encoded(small, "TIFF"), encoded(small, "GIF")
    webp = encoded(photograph(320, 240), "WEBP")
    heic = encoded(small, "HEIF")
    whole_png = encoded(photograph(320, 240), "PNG")
    return {
        "nothing": (b"", "EMPTY"),
        "one byte too many": (jpeg + bytes(10 * 1024 * 1024 + 1 - len(jpeg)), "TOO_LARGE"),
        "text": (b"just words, no picture", "UNSUPPORTED_TYPE"),
        "html": (b"<!doctype html><script>alert(1)</script>", "UNSUPPORTED_TYPE"),
        "svg": (b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', "UNSUPPORTED_TYPE"),
        "gif": (gif, "UNSUPPORTED_TYPE"),
        "tiff": (tiff, "UNSUPPORTED_TYPE"),
        "bmp": (encoded(small, "BMP"), "UNSUPPORTED_TYPE"),
        "avif": (encoded(small, "AVIF"), "UNSUPPORTED_TYPE"),
        "jpeg behind html": (b"<html>" + jpeg, "UNSUPPORTED_TYPE"),
        "jpeg header only": (jpeg[: jpeg.index(b"\xff\xda")], "CORRUPT"),
        "jpeg magic only": (b"\xff\xd8\xff", "CORRUPT"),
        "truncated jpeg": (jpeg[: len(jpeg) // 2], "CORRUPT"),
        "jpeg of a thousand scans": (jpeg_with_scans(1000), "CORRUPT"),
        "jpeg of countless comments": (jpeg[:2] + NO_COMMENT * 2000 + jpeg[2:], "CORRUPT"),
        "jpeg of countless markers": (jpeg[:2] + b"\xff\xd0" * 2000 + jpeg[2:], "CORRUPT"),
        "jpeg of many exifs": (jpeg[:2] + EXIF_SEGMENT * 9 + jpeg[2:], "CORRUPT"),
        "huge jpeg": (
            jpeg.replace(struct.pack(">HH", 240, 320), struct.pack(">HH", 60000, 60000), 1),
            "TOO_MANY_PIXELS",
        ),
        "huge png": (png(30_000, 30_000, bytes(30_000)), "TOO_MANY_PIXELS"),
        "endless png": (png(70_000, 10, bytes(210_001 * 10)), "TOO_MANY_PIXELS"),
        "png without a size": (png(0, 10, b"\0"), "CORRUPT"),
        "png without rows": (png(8000, 7000, b""), "CORRUPT"),
        "truncated png": (whole_png[: len(whole_png) // 2], "CORRUPT"),
        "png of an unknown filter": (png(10, 10, b"\x09" * 310), "CORRUPT"),
        "png of countless rows": (png(10, 10, bytes(310), png_chunk(b"IDAT", b"") * 11_000), "CORRUPT"),
        "webp of countless chunks": (webp + b"none\0\0\0\0" * 11_000, "CORRUPT"),
        "truncated webp": (webp[: len(webp) // 2], "CORRUPT"),
        "webp header only": (webp[:30], "CORRUPT"),
        "truncated heic": (heic[:-40], "CORRUPT"),
        "heic says too small": (heic_with_size(16, 16), "CORRUPT"),
        "heic says too large": (heic_with_size(9000, 6000), "CORRUPT"),
        "heic says far too large": (heic_with_size(30_000, 30_000), "TOO_MANY_PIXELS"),
        "heic of one exif again and again": (heic_of_one_exif(5000), "CORRUPT"),
        "heic of countless extents": (heic_by_hand(each=30_000), "CORRUPT"),
        "heic of countless items": (heic_by_hand(((b"Exif", b""),) * 3000), "CORRUPT"),
        "heic of an unknown iloc": (heic_by_hand(version=3), "CORRUPT"),
        "heic of odd numbers": (heic_by_hand(wide=3), "CORRUPT"),
        "heic with a short iloc": (heic_by_hand()[: heic_by_hand().index(b"iloc") + 14], "CORRUPT"),
        "heic with a box too small": (heic_by_hand() + struct.pack(">I4s", 7, b"free"), "CORRUPT"),
        "heic with a large box too small": (heic_by_hand() + struct.pack(">I4sQ", 1, b"free", 8), "CORRUPT"),
        "heic magic only": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "CORRUPT"),
    }
