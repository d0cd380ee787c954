"""Files made to harm the function that decodes them: by name, the bytes and the outcome, a reason or "photo"."""

import struct
import zlib

from PIL import Image

from tools.pictures import FOLDER
from tools.pictures.files import display_p3, encoded, png, png_chunk
from tools.pictures.heic import box, heic_by_hand, heic_with_size, with_bitstream_size
from tools.pictures.photograph import photograph

type Hostile = dict[str, tuple[bytes, str]]

EXIF_SEGMENT = b"\xff\xe1\0\x12Exif\0\0MM\0*\0\0\0\x08\0\0"


def hostile() -> Hostile:
    """Return files that need hardly any memory, whatever they say."""
    return _of_other_types() | _jpegs() | _pngs() | _webps() | _heics()


def _of_other_types() -> Hostile:
    small = Image.new("RGB", (64, 48), "olive")
    return {
        "nothing": (b"", "EMPTY"),
        "svg": (b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', "UNSUPPORTED_TYPE"),
        "gif": (encoded(small, "GIF"), "UNSUPPORTED_TYPE"),
        "avif": (encoded(small, "AVIF"), "UNSUPPORTED_TYPE"),
        "jpeg behind html": (b"<html>" + encoded(small), "UNSUPPORTED_TYPE"),
        "heic magic only": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "UNSUPPORTED_TYPE"),
        "film": (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + box(b"moov", bytes(50)), "UNSUPPORTED_TYPE"),
    }


def _jpeg_with_scans(count: int) -> bytes:
    """A progressive JPEG whose first scan comes again and again: a few bytes each, a walk over the picture each."""
    data = encoded(Image.new("L", (64, 64), 90), progressive=True)
    first = data.index(b"\xff\xda")
    second = data.index(b"\xff\xc4", first)
    return data[:first] + data[first:second] * count + data[second:]


def _with_size(jpeg: bytes, width: int, height: int) -> bytes:
    """A JPEG with another size in its header."""
    at = next(jpeg.index(marker) for marker in (b"\xff\xc0", b"\xff\xc2") if marker in jpeg) + 5
    return jpeg[:at] + struct.pack(">HH", height, width) + jpeg[at + 4 :]


def _jpegs() -> Hostile:
    jpeg = encoded(photograph(320, 240))
    frame, scan = jpeg.index(b"\xff\xc0"), jpeg.index(b"\xff\xda")
    large_frame = _with_size(jpeg, 60_000, 900)[frame : frame + 19]
    arithmetic = (FOLDER / "odd" / "jpeg-arithmetic-100-scans.jpg").read_bytes()
    return {
        "jpeg header only": (jpeg[:scan], "CORRUPT"),
        "jpeg magic only": (b"\xff\xd8\xff", "CORRUPT"),
        "jpeg of 5,000 scans": (_jpeg_with_scans(5000), "CORRUPT"),
        "jpeg of a hundred scans of 59 MP": (_with_size(_jpeg_with_scans(100), 7700, 7700), "CORRUPT"),
        "jpeg of arithmetic coding": (arithmetic, "UNSUPPORTED_TYPE"),
        "jpeg of countless comments": (jpeg[:2] + b"\xff\xfe\0\2" * 2_000_000 + jpeg[2:], "CORRUPT"),
        "jpeg of countless markers": (jpeg[:2] + b"\xff\xd0" * 2000 + jpeg[2:], "CORRUPT"),
        "jpeg of many exifs": (jpeg[:2] + EXIF_SEGMENT * 9 + jpeg[2:], "CORRUPT"),
        "huge jpeg": (_with_size(jpeg, 60_000, 60_000), "TOO_MANY_PIXELS"),
        "jpeg of two sizes, the small one first": (jpeg[:scan] + large_frame + jpeg[scan:], "CORRUPT"),
        "jpeg of two sizes, the large one first": (jpeg[:frame] + large_frame + jpeg[frame:], "CORRUPT"),
    }


def _pngs() -> Hostile:
    small, bomb = (b"\0" + b"\x40\x50\x60" * 64) * 64, zlib.compress(bytes(200_000_000), 9)
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0))
    return {
        "huge png": (png(30_000, 30_000, bytes(1_000_000)), "TOO_MANY_PIXELS"),
        "endless png": (png(70_000, 10, bytes(210_001 * 10)), "TOO_MANY_PIXELS"),
        "png without a size": (png(0, 10, b"\0"), "CORRUPT"),
        "png without rows": (png(8000, 7000, b""), "CORRUPT"),
        "png of an unknown filter": (png(10, 10, b"\x09" * 310), "CORRUPT"),
        "png of countless chunks": (png(10, 10, bytes(310), png_chunk(b"IDAT", b"") * 700_000), "CORRUPT"),
        "png of two sizes, the small one first": (
            png(64, 64, small, header),
            "photo",
        ),  # it counts for the decoder, too
        "png of two sizes, the large one first": (
            png(20_000, 20_000, small, png(64, 64, b"")[8:33]),
            "TOO_MANY_PIXELS",
        ),
        "text, which is not even inflated": (png(64, 64, small, png_chunk(b"zTXt", b"comment\0\0" + bomb)), "photo"),
        "a profile, inflated up to a limit": (png(64, 64, small, png_chunk(b"iCCP", b"profile\0\0" + bomb)), "photo"),
        "XMP": (png(64, 64, small, png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + bomb)), "photo"),
        "rows far beyond the picture": (png(64, 64, bytes(200_000_000)), "photo"),
    }


def _riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP of these chunks."""
    body = b"".join(
        struct.pack("<4sI", kind, len(content)) + content + bytes(len(content) % 2) for kind, content in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _canvas(side: int) -> tuple[bytes, bytes]:
    return b"VP8X", bytes(4) + (side - 1).to_bytes(3, "little") * 2


def _webps() -> Hostile:
    webp = encoded(photograph(64, 64), "WEBP")
    lossy = (b"VP8 ", webp[20:])
    lossless = (b"VP8L", b"\x2f" + struct.pack("<I", 16_382 << 14 | 16_382) + bytes(10))
    return {
        "webp of countless chunks": (_riff(lossy, *((b"none", b""),) * 1_000_000), "CORRUPT"),
        "webp header only": (webp[:30], "CORRUPT"),
        "webp, VP8L before VP8": (_riff(lossless, lossy), "TOO_MANY_PIXELS"),
        "webp, VP8 before VP8L": (_riff(lossy, lossless), "photo"),
        "webp, a small canvas": (_riff(_canvas(64), lossless), "CORRUPT"),
        "webp, two of a small canvas": (_riff(_canvas(64), lossless, lossy), "CORRUPT"),
        "webp, a larger canvas": (_riff(_canvas(6000), lossy), "CORRUPT"),
        "webp, a large canvas": (_riff(_canvas(16_383), lossy), "TOO_MANY_PIXELS"),
    }


def _exifs(size: int) -> tuple[tuple[bytes, bytes], ...]:
    """One piece of Exif that 900 items name."""
    return ((b"Exif", bytes(4) + b"MM\0*" + bytes(size)),) * 900


def _heics() -> Hostile:
    heic = encoded(Image.new("RGB", (64, 48), "olive"), "HEIF")
    inside, whole = int.from_bytes(heic[:4]), heic_by_hand()
    too_small = {"box": struct.pack(">I4s", 7, b"free"), "large box": struct.pack(">I4sQ", 1, b"mdat", 7)}
    return {
        "heic with a bitstream too large": (with_bitstream_size(heic, 9000, 6000), "CORRUPT"),
        "heic with a bitstream far too large": (with_bitstream_size(heic, 30_000, 30_000), "TOO_MANY_PIXELS"),
        "heic whose size cannot be read": (heic.replace(b"\x42\1\1", b"\x42\2\1"), "CORRUPT"),
        "heic with a header too large": (heic_with_size(30_000, 30_000), "photo"),
        "heic with a header too small": (heic_with_size(64, 64, (1024, 1024)), "photo"),
        "heic of one exif again and again": (heic_by_hand(_exifs(9_000_000)), "CORRUPT"),
        "heic of countless extents": (heic_by_hand(wide=8, version=1, index=8, each=60_000), "CORRUPT"),
        "heic of countless items": (heic_by_hand(((b"Exif", b""),) * 3000), "CORRUPT"),
        "heic of an unknown iloc": (heic_by_hand(version=3), "CORRUPT"),
        "heic of odd numbers": (heic_by_hand(wide=3), "CORRUPT"),
        "heic with a short iloc": (whole[: whole.index(b"iloc") + 14], "CORRUPT"),
        **{
            f"heic with a {name} too small": (heic[:inside] + content + heic[inside:], "CORRUPT")
            for name, content in too_small.items()
        },
    }


def heics_of_copies() -> Hostile:
    """Return HEICs whose metadata is not copied for each image, and whose items of no length are not read to the end.

    libheif takes zero for empty, as some writers mean it.
    """
    profile = box(b"colr", b"prof", display_p3(), bytes(3_000_000))
    about = (b"Exif", bytes(4) + b"MM\0*" + bytes(8_000_000))
    return {
        "items of no length": (heic_by_hand((*((b"Exif", b""),) * 900, about)), "photo"),
        "one Exif of 900 images": (heic_by_hand((about,), images=900, described=900), "CORRUPT"),
        "one Exif of 12 images": (heic_by_hand((about,), images=12, described=12), "photo"),
        "one profile of 900 images": (heic_by_hand(images=900, properties=profile), "CORRUPT"),
        "one profile of 30 images": (heic_by_hand(images=30, properties=profile), "photo"),
        "900 images": (heic_by_hand(images=900), "photo"),
    }
