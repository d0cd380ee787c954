"""HEIC by hand, box by box (ISO/IEC 14496-12 and 23008-12)."""

import struct
from functools import cache

from PIL import Image

from tools.pictures.files import encoded


def heic_with_size(width: int, height: int, real: tuple[int, int] = (64, 64)) -> bytes:
    """A HEIC whose header has other dimensions than its picture."""
    data = encoded(Image.new("RGB", real, "teal"), "HEIF")
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", width, height) + data[at + 8 :]


def golomb(number: int) -> str:
    """A number in Exp-Golomb code, ue(v), as bits (H.265, 9.2)."""
    return f"{number + 1:0{2 * (number + 1).bit_length() - 1}b}"


def with_bitstream_size(heic: bytes, width: int, height: int) -> bytes:
    """A HEIC with other dimensions in its bitstreams: in their sequence parameter sets (H.265, 7.3.2.2)."""
    numbers = "".join(map(golomb, (0, 1, width, height)))
    bits = f"{0x4201:016b}" + "0" * 7 + "1" + "0" * 88 + "01011010" + numbers + "01"
    parameters = int(bits.ljust(-(-len(bits) // 8) * 8, "1"), 2).to_bytes(-(-len(bits) // 8))
    at = -1
    data = bytearray(heic)
    while (at := data.find(b"\x42\1\1", at + 1)) >= 0:
        length = int.from_bytes(data[at - 2 : at])
        data[at : at + length] = parameters[:length].ljust(length, b"\x80")
    return bytes(data)


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


def branded(brand: bytes, picture: bytes) -> bytes:
    length = int.from_bytes(picture[:4])
    return picture[:8] + (brand * length)[: length - 8] + picture[length:]


def in_tiles(*sizes: int) -> bytes:
    """40 tiles of 64 x 64 pixels. Their bitstreams may say other `sizes`."""
    data = encoded(Image.new("RGB", (1280, 128), "teal"), "HEIF", tile_size=64, quality=10)
    return with_bitstream_size(data, *sizes) if sizes else data


def mdat_to_the_end() -> bytes:
    whole = heic_by_hand()
    at = whole.index(b"mdat") - 4
    return whole[:at] + bytes(4) + whole[at + 4 :]


def beside_a_film(*, is_before: bool = False, is_bare: bool = False) -> bytes:
    """Its `iloc` would make libheif copy, and `meta` boxes behind the first are not the picture's."""
    whole = heic_by_hand()
    evil = heic_by_hand(((b"Exif", bytes(4) + b"MM\0*" + bytes(5000)),) * 900)
    meta = evil[evil.index(b"meta") - 4 : evil.index(b"mdat") - 4]
    film = meta if is_bare else box(b"moov", box(b"trak", meta))
    if not is_before:
        return whole + film
    pixels, place = whole.index(b"mdat") - 4, whole.index(b"iloc") + 16
    further = (int.from_bytes(whole[place : place + 4]) + len(film)).to_bytes(4)  # where the pixels are then
    return whole[:place] + further + whole[place + 4 : pixels] + film + whole[pixels:]
