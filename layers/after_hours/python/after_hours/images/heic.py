"""HEIC: decoded whole by libheif. Its boxes are those of ISO/IEC 14496-12 and 23008-12."""

import collections
import contextlib
import io
import struct
from collections.abc import Iterator

from PIL import Image

from after_hours.images import colour, hevc
from after_hours.images.rejection import MAX_PIXELS, Reason, Rejected, check_size

_MAX_ITEMS = 2000  # items, and also extents of the file; an iPhone's 48 MP picture has some 300 of each
_MAX_COPIES = 100_000_000  # bytes; pi_heif copies metadata and profile for each image that is not hidden
_PICTURES = {b"hvc1", b"grid", b"iden"}
_ZEROS = bytes(8)  # HEVC never has more than two zero bytes in a row, so these replace lost data

type _Box = tuple[bytes, int, int]  # kind, and start and end of its content


class _Fields(io.BytesIO):
    def number(self, size: int) -> int:
        return int.from_bytes(self.read(size))


def decode(data: bytes) -> Image.Image:
    """Decode to L, LA, RGB or RGBA. libheif turns the picture upright where the format's own properties say how."""
    import pi_heif  # noqa: PLC0415 (libheif takes 6 MB and 40 ms that no other photo needs)

    pi_heif.options.DECODE_THREADS = 1
    pi_heif.options.THUMBNAILS = pi_heif.options.DEPTH_IMAGES = pi_heif.options.AUX_IMAGES = False
    needed, is_turned = _needed(data)
    opened = pi_heif.open_heif(needed)
    picture = opened[opened.primary_index]
    image: Image.Image = picture.to_pillow()
    image.info = {"icc_profile": picture.info.get("icc_profile")}
    if not is_turned:  # Samsung and Fujifilm turn their pictures by EXIF alone
        image.info |= {"exif": picture.info.get("exif"), "xmp": picture.info.get("xmp")}
    if nclx := picture.info.get("nclx_profile"):
        image.info["icc_profile"] = colour.by_codes(nclx["color_primaries"], nclx["transfer_characteristics"])
    return image.convert("RGBA") if image.mode == "RGBa" else image


def _needed(data: bytes) -> tuple[bytes, bool]:
    """Return the file up to its last item, without films and with accepted brands; and whether properties turn it."""
    meta, end = next((place for kind, *place in _boxes(data, 0, len(data)) if kind == b"meta"), (0, 0))
    if not meta:
        raise Rejected(Reason.UNSUPPORTED_TYPE)
    boxes = dict(reversed([(kind, place) for kind, *place in _boxes(data, meta + 4, end)]))  # the first ones count
    kinds, shown = _items(data, *boxes[b"iinf"])
    primary = int.from_bytes(data[slice(*boxes[b"pitm"])][4:])
    if kinds.get(primary) not in _PICTURES or b"hvc1" not in kinds.values():
        raise Rejected(Reason.UNSUPPORTED_TYPE)
    coded = collections.defaultdict[int, bytearray](bytearray)
    total, metadata = 0, end - meta
    for item, start, length in _extents(data, *boxes[b"iloc"]):
        total, end = total + length, max(end, start + length)
        metadata += 0 if kinds.get(item) in _PICTURES else length
        if max(total, end) > len(data) or metadata * shown > _MAX_COPIES:  # many extents may name the same bytes
            raise Rejected(Reason.CORRUPT)
        if kinds.get(item) == b"hvc1" and start:
            coded[item] += data[start : start + length]
    if not all(map(_is_whole, coded.values())):
        raise Rejected(Reason.CORRUPT)
    needed, ftyp = bytearray(data[:end]), int.from_bytes(data[:4])
    needed[8:ftyp] = (b"heic" * (ftyp // 4))[: ftyp - 8]
    for kind, start, _ in _boxes(needed, 0, end):
        if kind in {b"moov", b"meta"} and start != meta:
            needed[start - 4 : start] = b"free"  # a box that decoders skip
    properties = _properties(needed, boxes[b"iprp"])
    pixels = {item: count for item, own in properties.items() if (count := _corrected(needed, own))}
    tiles = [*_tiles(data, primary, *boxes[b"iref"])] if b"iref" in boxes else []
    if sum(pixels[item] for item in tiles or [primary]) > MAX_PIXELS:  # LookupError: the size cannot be read
        raise Rejected(Reason.TOO_MANY_PIXELS)  # libheif decodes whole tiles, also if the picture shows a part
    return bytes(needed), any(kind in {b"irot", b"imir"} for kind, *_ in properties.get(primary, ()))


def _is_whole(item: bytearray) -> bool:
    """Tell whether NAL units fill the item, each behind its length (ISO/IEC 14496-15, 4.3.2). Lost data breaks them."""
    position = 0
    while position < len(item) and (length := int.from_bytes(item[position : position + 4])):
        position += 4 + length
    return position == len(item) and _ZEROS not in item


def _properties(data: bytearray, iprp: list[int]) -> dict[int, list[_Box]]:
    """Read `ipma`. Return the property boxes of each item."""
    inside = {kind: place for kind, *place in _boxes(data, *iprp)}
    known, found = [*_boxes(data, *inside[b"ipco"])], {}
    number = _Fields(data[slice(*inside[b"ipma"])]).number
    version, wide = number(1), number(3) & 1
    for _ in range(min(number(4), _MAX_ITEMS)):
        item = number(4 if version else 2)
        indices = [number(1 + wide) & (0x7FFF if wide else 0x7F) for _ in range(number(1))]
        found[item] = [known[index - 1] for index in indices if 0 < index <= len(known)]
    return found


def _corrected(data: bytearray, properties: list[_Box]) -> int:
    """Correct size (`ispe`) and range (`colr`) by the bitstream, and return the number of pixels.

    Sony's cameras and some converters write wrong sizes. Only a full range is corrected, since the bitstream need not
    state a limited one. An item whose boxes have no size has 0 pixels.
    """
    places = {kind: place for kind, *place in properties}
    with contextlib.suppress(LookupError, ValueError):  # metadata has no size
        size, is_full = hevc.size_and_range(bytes(data[slice(*places[b"hvcC"])]))
        check_size(size)
        struct.pack_into(">II", data, places[b"ispe"][0] + 4, *size)
        for kind, start, _ in properties:
            if is_full and kind == b"colr" and data.startswith(b"nclx", start):
                data[start + 10] |= 0x80
        return size[0] * size[1]
    return 0


def _tiles(data: bytes, item: int, start: int, end: int) -> Iterator[int]:
    """Read `iref`. Yield the items that make up this item, each as often as it occurs."""
    wide = 4 if data[start] else 2
    for kind, at, until in _boxes(data, start + 4, end):
        numbers = [int.from_bytes(data[place : place + wide]) for place in (at, *range(at + wide + 2, until, wide))]
        if kind == b"dimg" and numbers[0] == item:
            yield from numbers[1:]


def _items(data: bytes, start: int, end: int) -> tuple[dict[int, bytes], int]:
    """Read `iinf`. Return the kind of each item, and the number of pictures that are not hidden (tiles are)."""
    kinds, shown = {}, 0
    for _, at, until in _boxes(data, start + (8 if data[start] else 6), end):
        kind_at = at + (10 if data[at] == 3 else 8)  # noqa: PLR2004 (the width of the id depends on the version)
        kind = data[kind_at : kind_at + 4]
        if kind not in _PICTURES:
            data[kind_at:until].decode()  # a kind or a content type that is not UTF-8 would crash pi_heif
        kinds[int.from_bytes(data[at + 4 : kind_at - 2])] = kind
        shown += kind in _PICTURES and not data[at + 3] & 1
    return kinds, shown


def _boxes(data: bytes | bytearray, position: int, end: int) -> Iterator[_Box]:
    """Yield the kind of each box, and the start and end of its content."""
    for _ in range(_MAX_ITEMS):
        if position + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, position)
        if size == 1 and kind == b"mdat":
            (size,) = struct.unpack_from(">Q", data, position + 8)
        following = position + size if size else end
        if following < position + 8:
            break
        yield kind, position + 8, min(following, end)
        position = following
    raise Rejected(Reason.CORRUPT)


def _extents(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Read `iloc`. Yield item, start and length of each extent. libheif reads nothing of one with length 0."""
    number = _Fields(data[start:end]).number
    version, sizes = number(1), number(5) & 0xFFFF
    offset, length, base, index = (sizes >> shift & 0xF for shift in (12, 8, 4, 0))
    wide = 4 if version == 2 else 2  # noqa: PLR2004
    allowed = _MAX_ITEMS
    for _ in range(number(wide)):
        item = number(wide)
        is_outside = not version or not number(2)  # of the box `meta`: construction method 0
        number(2)  # the file that has the extents
        origin, extents = number(base), number(2)
        allowed -= 1 + extents
        if allowed < 0:
            raise Rejected(Reason.CORRUPT)
        for _ in range(extents):
            number(index if version else 0)
            place = origin + number(offset)
            yield item, place if is_outside else 0, number(length)
