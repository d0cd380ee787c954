"""PNG: decoded whole by Pillow, from a new file that has only the chunks of the picture."""

import io
import zlib
from contextlib import suppress

from PIL import Image, ImageChops
from PIL.PngImagePlugin import PngImageFile, putchunk

from after_hours.images import colour
from after_hours.images.rejection import Reason, Rejected, check_size

_MAGIC = b"\x89PNG\r\n\x1a\n"
_MAX_CHUNKS = 10_000  # libpng writes 1,300 for 10 MB
_MAX_INFLATED = 4_000_000  # bytes of a profile or XMP
_SIZES = {b"cICP": 4, b"gAMA": 4, b"sRGB": 1}  # bytes
_USED = _SIZES.keys() | {b"IHDR", b"PLTE", b"IDAT", b"tRNS", b"iCCP", b"eXIf", b"iTXt"}
_XMP = b"XML:com.adobe.xmp\0"
_SRGB_GAMMA = range(45_000, 46_000)  # programs that write only gAMA mean sRGB by it
_GAMMAS = range(10_000, 1_000_000)  # exponents from 10 to 0.1; with any other a picture is black or white
_SWAPPED = {"I;16": "I;16", "RGB": "RGB;16L"}  # Pillow's names for 16 bits in the other byte order, by mode
_KEY_LENGTHS = {0: 2, 2: 6}  # bytes of the transparent colour, by colour type: grey and RGB


def decode(data: bytes) -> Image.Image:
    """Decode to L, LA, RGB or RGBA."""
    chunks = _chunks(data)
    depth, kind = chunks[b"IHDR"][8:10]
    key = chunks.pop(b"tRNS", b"") if kind in _KEY_LENGTHS else b""
    file = io.BytesIO()
    file.write(_MAGIC)
    for name in (b"IHDR", b"PLTE", b"tRNS", b"IDAT"):
        if name in chunks:
            putchunk(file, name, chunks[name])
    image = _opened(file)
    if len(key) == _KEY_LENGTHS.get(kind):
        _make_clear(image, file, key, depth)
    image.info = {"icc_profile": _profile(chunks), "exif": chunks.get(b"eXIf"), "xmp": _xmp(chunks.get(b"iTXt", b""))}
    return image


def _opened(file: io.BytesIO, *, is_swapped: bool = False) -> Image.Image:
    """Open with 8 bits a sample: of 16, the upper byte, or the lower one if bytes are swapped."""
    image = PngImageFile(io.BytesIO(file.getvalue()))
    check_size(image.size)
    if is_swapped:
        image.tile = [image.tile[0]._replace(args=_SWAPPED[image.mode])]
    if image.mode == "I;16":
        return Image.frombytes("L", image.size, image.tobytes()[1::2])
    if image.mode in {"1", "P"}:
        return image.convert("RGBA" if "transparency" in image.info else "RGB" if image.mode == "P" else "L")
    return image


def _make_clear(image: Image.Image, file: io.BytesIO, key: bytes, depth: int) -> None:
    """Make one colour transparent. Colours are compared at the file's depth; further bits of the key do not count."""
    largest = (1 << depth) - 1
    planes, values = image.split(), [(sample & largest) * 255 // largest for sample in key[1::2]]
    if depth == 16:  # noqa: PLR2004 (bits)
        planes, values = planes + _opened(file, is_swapped=True).split(), [*key[::2], *key[1::2]]
    alpha = Image.new("L", image.size)
    for plane, value in zip(planes, values, strict=True):
        alpha = ImageChops.lighter(alpha, plane.point([255 * (shade != value) for shade in range(256)]))
    image.putalpha(alpha)


def _profile(chunks: dict[bytes, bytes]) -> bytes | None:
    """Return the ICC profile of the chunk that takes precedence for colours (PNG, third edition, 4.3)."""
    if codes := chunks.get(b"cICP"):
        return colour.by_codes(codes[0], codes[1])
    _, _, method_and_stream = chunks.get(b"iCCP", b"").partition(b"\0")
    if method_and_stream.startswith(b"\0") and (profile := _inflated(method_and_stream[1:])):
        return profile
    gamma = int.from_bytes(chunks.get(b"gAMA", b""))
    if b"sRGB" in chunks or gamma in _SRGB_GAMMA or gamma not in _GAMMAS:
        return None
    return colour.icc(colour.curve(100_000 / gamma))


def _xmp(chunk: bytes) -> bytes | None:
    """Return the XMP in the chunk iTXt, which follows its name, two flags, a language and a translation."""
    packet = chunk[len(_XMP) + 2 :].split(b"\0", 2)[-1]
    return _inflated(packet) if chunk.startswith(b"\1", len(_XMP)) else packet


def _inflated(stream: bytes) -> bytes | None:
    """Inflate a profile or XMP. Returns None if it is broken or a bomb."""
    inflater = zlib.decompressobj()
    with suppress(zlib.error):
        content = inflater.decompress(stream, _MAX_INFLATED)
        return content if inflater.eof else None
    return None


def _chunks(data: bytes) -> dict[bytes, bytes]:
    """Return chunks by kind: IDAT joined, and the first of every other kind. Of iTXt, only XMP counts.

    A chunk that does not match its checksum is left out, unless the picture needs it (PNG, third edition, 13.1).
    """
    found: dict[bytes, bytes] = {}
    rows, position = bytearray(), len(_MAGIC)
    for _ in range(_MAX_CHUNKS):
        kind = data[position + 4 : position + 8]
        if kind == b"CgBI":  # Xcode's own format, which is not PNG
            raise Rejected(Reason.UNSUPPORTED_TYPE)
        if kind == b"IEND" or not kind.isalpha():  # the file may lack IEND; bytes behind it are ignored
            return found | {b"IDAT": bytes(rows)}
        end = position + 8 + int.from_bytes(data[position : position + 4])
        content, checksum = data[position + 8 : end], data[end : end + 4]
        position = end + 4
        if kind not in _USED:
            continue
        is_broken = len(checksum) == 4 and zlib.crc32(kind + content).to_bytes(4) != checksum  # noqa: PLR2004 (bytes)
        if is_broken and kind[:1].isupper():
            raise Rejected(Reason.CORRUPT)
        if kind == b"IDAT":
            rows += content
        elif is_broken or len(content) != _SIZES.get(kind, len(content)):
            continue
        elif kind != b"iTXt" or content.startswith(_XMP):
            found.setdefault(kind, content)
    raise Rejected(Reason.CORRUPT)
