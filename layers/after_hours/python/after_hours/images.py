"""A member's photo made safe and small: bytes in, two clean JPEGs out. Pure: no AWS, no files, no threads.

What the choices below cost and gain is measured by `benchmarks/photos`; why they were made is in
docs/decisions/photo-pipeline.md.
"""

import contextlib
import io
import re
import struct
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

import _pillow_heif  # type: ignore[import-not-found]
from PIL import (
    Image,
    ImageChops,
    ImageCms,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,  # noqa: F401 - reads EXIF
    WebPImagePlugin,
)

from after_hours import webp

Image.preinit()  # like the import for EXIF: else Pillow does both while the first photo waits

MAX_PIXELS = 60_000_000  # phones make 48 and 50 MP
MAX_SIDE = 65_535  # of a JPEG; what is longer is no photo, and bands of it would not be small
PHOTO_SIDE = 1200
THUMBNAIL_SIDE = 200
PHOTO_QUALITY = 85
THUMBNAIL_QUALITY = 80

_MAX_SCANS = 100  # a progressive JPEG has about 10; each one makes the decoder walk over the whole picture again
# Of what decoders keep, each with its own overhead, a file of 10 MB could have millions.
_MAX_SEGMENTS = 1000  # of a JPEG, before its first scan: a profile or XMP in pieces has tens
_MAX_EXIF_SEGMENTS = 8  # Pillow joins them in quadratic time; an edited picture may have two
_MAX_CHUNKS = 10_000  # of a PNG or WebP: libpng writes 1,300 for 10 MB
_MAX_ITEMS = 2000  # of a HEIC, with the pieces they lie in: an iPhone's 48 MP has some 300 of each
_MAX_PROFILE_BYTES = 4_000_000
_STRIP_BYTES = 1_000_000
_MAX_LAYERED_PIXELS = 16_000_000  # of a WebP with alpha or frames: Pillow takes 16 bytes for each
_ORIENTATION_TAG = 0x0112
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_JPEG_MARKER = re.compile(rb"\xff([\x01-\xfe])")
_JPEG_BARE = bytes((0xC8, *range(0xD0, 0xDA), *range(0xF0, 0xFE)))  # markers without content, as Pillow reads them
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_PNG_END = bytes(4) + b"IEND\xaeB`\x82"
_PNG_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"iCCP", b"eXIf", b"IDAT"}
_PNG_STRIP_DEPTH = 8  # bits of a channel; PNGs of others are decoded whole
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis"}
_GENERAL_BRANDS = {b"mif1", b"msf1"}

# A triangle filter takes less than half of Lanczos' time in Pillow. It is softer, by an amount that hardly depends on
# the scale, and a little sharpening of the small result gives that back.
_SHARPENING = 1.6
_DECODER_LEAVES = 1.6  # what averaging, or libwebp, leaves to the triangle: with less it gets soft
_TRIANGLE_FROM = 1.25  # below this shrink factor the triangle is too soft, and the picture small enough for Lanczos


class Reason(StrEnum):
    UNSUPPORTED_TYPE = "UNSUPPORTED_TYPE"
    CORRUPT = "CORRUPT"
    TOO_MANY_PIXELS = "TOO_MANY_PIXELS"
    TOO_LARGE = "TOO_LARGE"
    EMPTY = "EMPTY"


class Rejected(Exception):
    """The file will never become a photo, whoever tries again."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Processed:
    """Two JPEGs in sRGB without any metadata; `width` and `height` are the photo's, in pixels."""

    photo: bytes
    thumbnail: bytes
    width: int
    height: int


@dataclass(slots=True)
class _Decoded:
    """A picture on its way: opaque, perhaps shrunk by the decoder already, not yet upright."""

    planes: tuple[Image.Image, ...]  # luma, and for pictures in colour two smaller ones of chroma, all as JPEG has them
    size: tuple[int, int]  # in full, before any shrinking
    profile: ImageCms.ImageCmsProfile | None = None  # None for sRGB
    orientation: int = 1


def process(data: bytes) -> Processed:
    """Make the photo (within 1200 x 1200, never enlarged, progressive) and the 200 x 200 cover thumbnail.

    Raises Rejected for whatever is wrong with the file; MemoryError is the machine's and passes through.
    """
    if not data:
        raise Rejected(Reason.EMPTY)
    decode = _decoder(data)
    if decode is None:
        raise Rejected(Reason.UNSUPPORTED_TYPE)
    try:
        with warnings.catch_warnings(action="ignore"):  # what decoders mutter about odd files is nobody's to read
            return _encode(_upright_srgb(decode(data)))
    except (Rejected, MemoryError):
        raise
    except Exception as error:  # decoders raise whatever the hostile bytes drive them to
        raise Rejected(Reason.CORRUPT) from error


def fitted(size: tuple[int, int]) -> tuple[int, int]:
    """The size, in pixels, that a picture of `size` has in the end (before it is turned upright)."""
    scale = max(1.0, max(size) / PHOTO_SIDE)
    return max(1, round(size[0] / scale)), max(1, round(size[1] / scale))


def _decoder(data: bytes) -> Callable[[bytes], _Decoded] | None:
    """By the first bytes alone: no other decoder than these four ever sees a member's file."""
    if data.startswith(b"\xff\xd8\xff"):
        return _decode_jpeg
    if data.startswith(_PNG_MAGIC):
        return _decode_png
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _decode_webp
    if data[4:8] == b"ftyp" and not _HEIF_BRANDS.isdisjoint(_brands(data)):
        return _decode_heif
    return None


def _brands(data: bytes) -> Iterator[bytes]:
    """What an ISO media file calls itself: its major brand, and then those it can also pass for."""
    end = min(int.from_bytes(data[:4]), 256)
    yield data[8:12]
    if data[8:12] in _GENERAL_BRANDS:
        yield from (data[i : i + 4] for i in range(16, end, 4))


def _check_pixels(size: tuple[int, int]) -> None:
    if size[0] * size[1] > MAX_PIXELS or max(size) > MAX_SIDE:
        raise Rejected(Reason.TOO_MANY_PIXELS)
    if min(size) < 1:
        raise Rejected(Reason.CORRUPT)


# --- decoders -------------------------------------------------------------------------------------------------------


def _decode_jpeg(data: bytes) -> _Decoded:
    _check_segments(data)
    # The class, not Image.open: Ultra HDR and portrait photos would be taken for multi-picture files.
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    size = image.size
    _check_pixels(size)
    if _has_scans_to_come(image) and data.count(b"\xff\xda") > _MAX_SCANS:
        raise Rejected(Reason.CORRUPT)
    profile, orientation = _profile(image.info.get("icc_profile")), _orientation(image.getexif)
    width, height = fitted(size)
    # libjpeg shrinks by 2, 4 or 8 while it decodes; with less than 1.25 left to the filter the result gets soft.
    # Colours stay as they are stored, which saves converting them here and back when saving.
    image.draft(
        None if _is_stored_as_rgb(image) else "YCbCr",
        (int(width * _TRIANGLE_FROM) or 1, int(height * _TRIANGLE_FROM) or 1),
    )
    image.load()
    colours: Image.Image = image
    if image.mode == "CMYK":
        colours, profile = _converted(image, profile).convert("RGB"), None
    if colours.mode == "RGB":
        colours = colours.convert("YCbCr")
    factor = max(1, round(_chroma_scale(profile) * max(image.size) / max(width, height)))
    return _Decoded(_planes(colours, factor), size, profile, orientation)


def _is_stored_as_rgb(image: JpegImagePlugin.JpegImageFile) -> bool:
    """The rare JPEG that libjpeg cannot give in YCbCr, by the signs that libjpeg itself goes by."""
    names = bytes(component[0] for component in image.layer)
    return "jfif" not in image.info and (image.info.get("adobe_transform") == 0 or names == b"RGB")


def _has_scans_to_come(image: JpegImagePlugin.JpegImageFile) -> bool:
    """Whether the first scan, whose header has just been read, does not have the whole picture."""
    assert image.fp is not None  # noqa: S101 - open until it is loaded
    header_bytes = 6 + 2 * image.layers
    image.fp.seek(-header_bytes, io.SEEK_CUR)
    length, components = struct.unpack(">HB", image.fp.read(header_bytes)[:3])
    return "progressive" in image.info or (length, components) != (header_bytes, image.layers)


def _decode_png(data: bytes) -> _Decoded:
    chunks = list(_png_chunks(data))
    header = next(content for kind, content in chunks if kind == b"IHDR")
    width, height, depth, _, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    _check_pixels((width, height))
    known = dict(reversed(chunks))  # the first of a kind counts
    idat = [content for kind, content in chunks if kind == b"IDAT"]
    in_strips = depth == _PNG_STRIP_DEPTH and not interlaced
    image = PngImagePlugin.PngImageFile(io.BytesIO(_png_file(known, [] if in_strips else idat)))
    if in_strips:
        strips = _png_strips(image, idat, known.get(b"PLTE", b""))
    else:
        image.load()
        strips = _strips_of(image)
    profile, orientation = _profile(_png_profile(known)), _orientation(lambda: _exif(known.get(b"eXIf", b"")))
    return _Decoded(_reduced(strips, (width, height), profile), (width, height), profile, orientation)


def _decode_webp(data: bytes) -> _Decoded:
    chunks = dict(reversed(list(_riff_chunks(data))))
    profile, orientation = _profile(chunks.get(b"ICCP")), _orientation(lambda: _exif(chunks.get(b"EXIF", b"")))
    size = _webp_size(chunks)
    _check_pixels(size)
    if _webp_is_plain(chunks) and webp.available():
        width, height = fitted(size)
        gap = min(_DECODER_LEAVES, size[0] / width, size[1] / height)
        part = max(1, round(width * gap)), max(1, round(height * gap))
        return _Decoded(webp.planes(data, part), size, profile, orientation)
    if size[0] * size[1] > _MAX_LAYERED_PIXELS:
        raise Rejected(Reason.TOO_MANY_PIXELS)
    whole = WebPImagePlugin.WebPImageFile(io.BytesIO(data))
    if whole.size != size:
        raise Rejected(Reason.CORRUPT)
    whole.load()
    planes = _reduced(_strips_of(whole), size, profile)
    return _Decoded(planes, size, profile, orientation)


def _decode_heif(data: bytes) -> _Decoded:
    _check_items(data)
    # Not pillow_heif.open_heif: it copies metadata and profile of every image in the file, and many may share one.
    # The arguments are those of open_heif, with one thread; what is not `bytes` would be read as if it were.
    opened, _ = _pillow_heif.load_file(bytes(data), 1, True, False, True, True, "", False)
    image = next(image for image in opened if image and image.primary)
    size, mode = image.size_mode
    _check_pixels(size)
    pixels = memoryview(image.data)
    stride = image.stride
    if image.size_mode != (size, mode) or len(pixels) < stride * size[1]:
        raise Rejected(Reason.CORRUPT)

    def strips() -> Iterator[Image.Image]:
        for top, height in _bands(size, stride):
            strip = pixels[top * stride : (top + height) * stride]
            yield _opaque(Image.frombytes(mode, (size[0], height), strip, "raw", mode, stride, 1))

    # libheif has turned the picture upright itself; HEIF's EXIF orientation is only informative.
    profile = _profile(_heif_profile(image.color_profile))
    return _Decoded(_reduced(strips(), size, profile), size, profile)


# --- pieces of decoders ---------------------------------------------------------------------------------------------


def _reduction(size: tuple[int, int]) -> int:
    """Whole number by which strips are averaged at once: cheap, and what is left keeps the filter sharp."""
    return max(1, int(max(size) / PHOTO_SIDE / _DECODER_LEAVES))


def _bands(size: tuple[int, int], row_bytes: int) -> Iterator[tuple[int, int]]:
    """Top and height of bands of about _STRIP_BYTES, cut where the averaging needs it."""
    unit = 2 * _reduction(size)  # twice, for the chroma
    height = max(1, _STRIP_BYTES // row_bytes // unit) * unit
    for top in range(0, size[1], height):
        yield top, min(height, size[1] - top)


def _planes(image: Image.Image, factor: int) -> tuple[Image.Image, ...]:
    """Luma as it is, and chroma averaged by `factor`, of an L or YCbCr picture."""
    if image.mode == "L":
        return (image,)
    averaged = image.reduce(factor)
    return image.getchannel(0), averaged.getchannel(1), averaged.getchannel(2)


def _chroma_scale(profile: ImageCms.ImageCmsProfile | None) -> int:
    """How much smaller than luma chroma may be: half, as JPEG stores it, unless a conversion mixes it into the luma."""
    return 1 if profile else 2


def _reduced(
    strips: Iterator[Image.Image], size: tuple[int, int], profile: ImageCms.ImageCmsProfile | None
) -> tuple[Image.Image, ...]:
    """Put the planes together from L or RGB strips, each averaged first: the full picture is never in memory."""
    factor, chroma_scale = _reduction(size), _chroma_scale(profile)
    whole: tuple[Image.Image, ...] = ()
    tops = [0, 0, 0]
    for strip in strips:
        small = strip.reduce(factor)
        parts = _planes(small if small.mode == "L" else small.convert("YCbCr"), chroma_scale)
        if not whole:
            factors = (factor, factor * chroma_scale, factor * chroma_scale)
            whole = tuple(
                Image.new("L", (part.width, -(-size[1] // by))) for part, by in zip(parts, factors, strict=False)
            )
        for i, part in enumerate(parts):
            whole[i].paste(part, (0, tops[i]))
            tops[i] += part.height
    return whole


def _opaque(image: Image.Image) -> Image.Image:
    """Any mode that the decoders give as L or RGB, on white where it was transparent."""
    if image.mode.startswith("I"):  # 16-bit grey: the upper byte of each
        return Image.frombytes("L", image.size, image.tobytes("raw", "I;16B")[::2])
    if image.getbands()[-1] in {"A", "a"} or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        return white
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in {"L", "RGB"} else image.convert("RGB")


def _check_segments(data: bytes) -> None:
    """Go from marker to marker as Pillow does, up to the first scan."""
    position, exifs = 2, 0
    for _ in range(_MAX_SEGMENTS):
        found = _JPEG_MARKER.search(data, position)
        if found is None or found[1] == b"\xda":
            return
        position = found.end()
        if found[1] not in _JPEG_BARE:
            length = int.from_bytes(data[position : position + 2])
            exifs += found[1] == b"\xe1" and data.startswith(b"Exif\0\0", position + 2, position + length)
            if exifs > _MAX_EXIF_SEGMENTS:
                break
            position += max(length, 2)
    raise Rejected(Reason.CORRUPT)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """The chunks that make the picture. Text chunks are passed over unread, whatever they would inflate to."""
    view, position = memoryview(data), 8
    for _ in range(_MAX_CHUNKS):
        if position + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"IEND":
            return
        if kind in _PNG_CHUNKS:
            yield kind, view[position + 8 : position + 8 + length]
        position += length + 12
    raise Rejected(Reason.CORRUPT)


def _png_file(chunks: dict[bytes, memoryview], rows: Iterable[memoryview]) -> bytes:
    """A PNG of the given header, palette, transparency and compressed rows, and nothing else."""
    parts = [_PNG_MAGIC]
    for kind in (b"IHDR", b"PLTE", b"tRNS"):
        if kind in chunks:
            content = bytes(chunks[kind])
            parts += [struct.pack(">I", len(content)), kind, content, struct.pack(">I", zlib.crc32(kind + content))]
    body = b"".join(rows)
    # Pillow does not look at the checksum of the rows, nor is there anything to protect between here and there.
    parts += [struct.pack(">I", len(body)), b"IDAT", body, bytes(4), _PNG_END]
    return b"".join(parts)


def _png_strips(
    header: PngImagePlugin.PngImageFile, idat: list[memoryview], palette: memoryview | bytes
) -> Iterator[Image.Image]:
    """Decode the rows of a PNG in strips, for Pillow opens it only whole.

    Rows are filtered against the row above. So each strip goes to the decoder together with the last row of the strip
    before, deflated without compression.
    """
    width, mode = header.width, header.mode
    row_bytes = width * len(header.getbands()) + 1
    inflated = _Inflated(idat)
    above = b""
    for _, height in _bands(header.size, row_bytes):
        lines = height + (1 if above else 0)
        rows = _stored(above + inflated.read(height * row_bytes))
        strip = Image.frombytes(mode, (width, lines), rows, "zip", mode)
        above = b"\0" + strip.crop((0, lines - 1, width, lines)).tobytes()
        strip = strip.crop((0, lines - height, width, lines))
        if mode == "P":
            strip.putpalette(bytes(palette))
        if "transparency" in header.info:
            strip.info["transparency"] = header.info["transparency"]
        yield _opaque(strip)


def _stored(content: bytes) -> bytes:
    """`content` as a zlib stream of stored blocks (RFC 1951, 3.2.4), less the checksum that Pillow never reaches."""
    view = memoryview(content)
    parts: list[bytes | memoryview] = [b"\x78\x01"]
    for start in range(0, len(view), 0xFFFF):
        block = view[start : start + 0xFFFF]
        parts += [struct.pack("<BHH", start + 0xFFFF >= len(view), len(block), len(block) ^ 0xFFFF), block]
    return b"".join(parts)


class _Inflated:
    """Reads a zlib stream that lies in pieces, never inflating more than is asked for."""

    def __init__(self, pieces: list[memoryview]) -> None:
        self._inflate = zlib.decompressobj()
        self._pieces = (piece[i : i + 0x10000] for piece in pieces for i in range(0, len(piece), 0x10000))

    def read(self, length: int) -> bytes:
        parts: list[bytes] = []
        while length:
            piece = self._inflate.unconsumed_tail or next(self._pieces, None)
            if piece is None or self._inflate.eof:
                raise Rejected(Reason.CORRUPT)
            parts.append(self._inflate.decompress(piece, length))
            length -= len(parts[-1])
        return b"".join(parts)


def _strips_of(image: Image.Image) -> Iterator[Image.Image]:
    """Strips of a picture that could only be decoded whole, so that at least no step behind it is."""
    for top, height in _bands(image.size, image.width * 4):
        yield _opaque(image.crop((0, top, image.width, top + height)))


def _png_profile(chunks: dict[bytes, memoryview]) -> bytes | None:
    _name, _, compressed = bytes(chunks.get(b"iCCP", b"")).partition(b"\0")
    with contextlib.suppress(zlib.error):
        return zlib.decompressobj().decompress(compressed[1:], _MAX_PROFILE_BYTES) or None
    return None


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each chunk; of the pictures themselves only the beginning, which has the size."""
    position = 12
    for _ in range(_MAX_CHUNKS):
        if position + 8 > len(data):
            return
        kind, length = struct.unpack_from("<4sI", data, position)
        kept = min(length, 10) if kind in {b"VP8 ", b"VP8L"} else length
        yield kind, data[position + 8 : position + 8 + kept]
        position += 8 + length + length % 2
    raise Rejected(Reason.CORRUPT)


def _webp_size(chunks: dict[bytes, bytes]) -> tuple[int, int]:
    if extended := chunks.get(b"VP8X"):
        return int.from_bytes(extended[4:7], "little") + 1, int.from_bytes(extended[7:10], "little") + 1
    if lossy := chunks.get(b"VP8 "):
        width, height = struct.unpack_from("<HH", lossy, 6)
        return width & 0x3FFF, height & 0x3FFF
    bits = int.from_bytes(chunks[b"VP8L"][1:5], "little")
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


def _webp_is_plain(chunks: dict[bytes, bytes]) -> bool:
    """Whether there is one picture and no transparency, as far as the headers tell."""
    has_alpha, has_frames = 0x10, 0x02
    if extended := chunks.get(b"VP8X"):
        return not extended[0] & (has_alpha | has_frames)
    return b"VP8 " in chunks or not chunks[b"VP8L"][4] & has_alpha


def _check_items(data: bytes) -> None:
    """Not more than the file has: libheif copies every item of metadata, and many may name the same bytes."""
    total = 0
    for count, length in enumerate(_extents(data, 0, len(data))):
        total += length
        if count > _MAX_ITEMS or total > len(data):
            raise Rejected(Reason.CORRUPT)


def _extents(data: bytes, position: int, end: int) -> Iterator[int]:
    """The lengths of all pieces of items, in whichever box that libheif may read them from."""
    while position + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, position)
        content = position + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, content)
            content += 8
        following = position + size if size else end
        if following < content:
            raise Rejected(Reason.CORRUPT)
        following = min(following, end)  # what comes behind the last box of a file need not be one
        if kind == b"iloc":
            yield from _iloc_extents(data, content)
        elif kind == b"meta":
            yield from _extents(data, content + 4, following)
        elif kind in {b"moov", b"trak"}:
            yield from _extents(data, content, following)
        position = following


def _iloc_extents(data: bytes, position: int) -> Iterator[int]:
    """As in ISO/IEC 14496-12, 8.11.3. A length of 0 counts for nothing: libheif reads nothing then."""
    version, sizes = data[position], struct.unpack_from(">H", data, position + 4)[0]
    offset, length, base, index = (sizes >> shift & 0xF for shift in (12, 8, 4, 0))
    index = index if version else 0
    if version > 2 or not {offset, length, base, index} <= {0, 4, 8}:  # noqa: PLR2004 - as many as there are
        raise Rejected(Reason.CORRUPT)
    number = 4 if version == 2 else 2  # noqa: PLR2004
    stream = io.BytesIO(data)
    stream.seek(position + 6)
    for _ in range(_number(stream, number)):
        yield 0  # so that an item without a piece counts too
        stream.seek(number + (4 if version else 2) + base, io.SEEK_CUR)
        for _ in range(_number(stream, 2)):
            stream.seek(index + offset, io.SEEK_CUR)
            yield _number(stream, length)


def _number(stream: io.BytesIO, size: int) -> int:
    content = stream.read(size)
    if len(content) < size:
        raise Rejected(Reason.CORRUPT)
    return int.from_bytes(content)


def _heif_profile(colours: dict[str, Any]) -> bytes | None:
    """The ICC profile, unless the colours are described in HEIF's own way."""
    profile: bytes | None = colours["data"] if colours.get("type") in {"rICC", "prof"} else None
    return profile


def _exif(content: bytes | memoryview) -> Image.Exif:
    exif = Image.Exif()
    exif.load(bytes(content))
    return exif


def _orientation(exif: Callable[[], Image.Exif]) -> int:
    """1 to 8; 1, upright, for whatever cannot be read."""
    with contextlib.suppress(Exception):
        value = exif().get(_ORIENTATION_TAG)
        return value if value in _TRANSPOSITIONS else 1
    return 1


# --- to the final size and colours ------------------------------------------------------------------------------------


def _upright_srgb(decoded: _Decoded) -> Image.Image:
    target = fitted(decoded.size)
    planes = _shrunk(decoded, target)
    if (transposition := _TRANSPOSITIONS.get(decoded.orientation)) is not None:  # the first of them is 0
        planes = [plane.transpose(transposition) for plane in planes]
    luma, *chroma = planes
    if chroma:
        luma = Image.merge("YCbCr", (luma, *(_doubled(plane, luma.size) for plane in chroma)))
    image = _converted(luma, decoded.profile)
    if image.mode not in {"RGB", "YCbCr"}:
        image = image.convert("RGB")
    image.info = {}  # Pillow would carry comments and more from here into the JPEG
    return image


def _shrunk(decoded: _Decoded, target: tuple[int, int]) -> list[Image.Image]:
    """Luma at the final size, chroma at that or at half of it."""
    luma, *chroma = decoded.planes
    decoded.planes = ()  # else the large ones would stay until the end
    scale = _chroma_scale(decoded.profile)
    small = -(-target[0] // scale), -(-target[1] // scale)
    return [
        _small_luma(luma, target, _extent(luma, decoded.size)),
        *(plane.resize(small, Image.Resampling.BICUBIC, (0, 0, *_extent(plane, decoded.size))) for plane in chroma),
    ]


def _doubled(chroma: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Chroma at the size of luma: each pixel is repeated, which JPEG's halving undoes exactly."""
    if chroma.size == size:
        return chroma
    doubled = chroma.resize((chroma.width * 2, chroma.height * 2), Image.Resampling.NEAREST)
    return doubled.crop((0, 0, *size))


def _extent(plane: Image.Image, full: tuple[int, int]) -> tuple[float, float]:
    """How much of a plane the picture covers: whoever divides by a whole number rounds the size up."""
    factor = max(1, round(max(full) / max(plane.size)))
    if plane.size == (-(-full[0] // factor), -(-full[1] // factor)):
        return full[0] / factor, full[1] / factor
    return plane.size


def _small_luma(luma: Image.Image, target: tuple[int, int], extent: tuple[float, float]) -> Image.Image:
    if luma.size == target:
        return luma
    if max(extent) < max(target) * _TRIANGLE_FROM:
        return luma.resize(target, Image.Resampling.LANCZOS, (0, 0, *extent))
    return _sharpened(luma.resize(target, Image.Resampling.BILINEAR, (0, 0, *extent)))


def _sharpened(luma: Image.Image) -> Image.Image:
    """Each pixel moved away from the mean of its four neighbours, in half the time of the same ImageFilter.Kernel."""
    across = ImageChops.add(ImageChops.offset(luma, 1, 0), ImageChops.offset(luma, -1, 0), scale=2)
    down = ImageChops.add(ImageChops.offset(luma, 0, 1), ImageChops.offset(luma, 0, -1), scale=2)
    sharp = Image.blend(ImageChops.add(across, down, scale=2), luma, _SHARPENING)
    # `offset` wraps around, so the outermost pixels stay as they were
    luma.paste(sharp.crop((1, 1, max(1, luma.width - 1), max(1, luma.height - 1))), (1, 1))
    return luma


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _profile(content: bytes | None) -> ImageCms.ImageCmsProfile | None:
    """The embedded profile, if it can be read and is another than sRGB."""
    with contextlib.suppress(OSError, ImageCms.PyCMSError):
        if content:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(content))
            return None if ImageCms.getProfileDescription(profile).startswith("sRGB") else profile
    return None


def _converted(image: Image.Image, profile: ImageCms.ImageCmsProfile | None) -> Image.Image:
    """The picture in sRGB; as it is when the profile is made for another kind of picture."""
    if profile is None:
        return image
    source = image.convert("RGB") if image.mode == "YCbCr" else image
    with contextlib.suppress(OSError, ValueError, ImageCms.PyCMSError):
        return ImageCms.profileToProfile(source, profile, _srgb(), outputMode="RGB") or image
    return image


def _encode(image: Image.Image) -> Processed:
    photo = _jpeg(image, PHOTO_QUALITY, progressive=True)
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    thumbnail = image.resize(
        (THUMBNAIL_SIDE, THUMBNAIL_SIDE),
        Image.Resampling.LANCZOS,
        (left, top, left + side, top + side),
        reducing_gap=2.0,
    )
    return Processed(photo, _jpeg(thumbnail, THUMBNAIL_QUALITY, progressive=False), *image.size)


def _jpeg(image: Image.Image, quality: int, *, progressive: bool) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, progressive=progressive)
    return file.getvalue()
