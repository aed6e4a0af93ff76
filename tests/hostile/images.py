"""Images: plates, image folders, packed images."""

from __future__ import annotations

import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from tests.hostile.case import Case, written

ZEROS = zlib.compress(bytes(64 << 20))
IMAGE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)


def read(folder: Path) -> None:
    from pipeline.io.packed import read_image

    assert read_image(folder / "x.png").ndim == 3


def read_folder(folder: Path) -> None:
    from pipeline.capture.media import inspect

    inspect(folder / "a")


def read_packed(folder: Path) -> None:
    from pipeline.io.packed import PackedImages

    images = PackedImages(folder / "x.zip", remedy="./c2a run anna --from frames")
    for name in (*images.names(), "x"):
        images.read(name)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int = 8, color: int = 2, more: bytes = b"", data: bytes = bytes(64)) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + more + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def bmp(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(64)


def tiff(width: int, height: int) -> bytes:
    tags = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 4, height), (279, 4, 1)]
    return (
        b"II*\0"
        + struct.pack("<I", 8)
        + struct.pack("<H", len(tags))
        + b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
        + bytes(4)
    )


def encoded(ending: str) -> bytes:
    return cv2.imencode(ending, IMAGE)[1].tobytes()


def case(what: str, data: bytes, expected: str = "refused") -> Case:
    return Case("image", what, written("x.png", data), read, expected)


def packed(
    what: str, *entries: tuple[str, bytes], expected: str = "refused", method: int = zipfile.ZIP_STORED, change: Callable[[bytes], bytes] = bytes
) -> Case:
    def make(folder: Path) -> None:
        with zipfile.ZipFile(folder / "x.zip", "w", method) as archive:
            for name, data in entries:
                archive.writestr(name, data)
        (folder / "x.zip").write_bytes(change((folder / "x.zip").read_bytes()))

    return Case("packed", what, make, read_packed, expected)


def folder_of(**files: bytes) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / "a").mkdir()
        for name, data in files.items():
            (folder / "a" / f"{name}.png").write_bytes(data)

    return make


def mutated(data: bytes, seed: int) -> bytes:
    random_ = random.Random(seed)
    out = bytearray(data)
    for _ in range(random_.randint(1, 20)):
        out[random_.randrange(4, len(out))] = random_.randrange(256)
    return bytes(out)


PNG, JPEG = encoded(".png"), encoded(".jpg")
CASES = [
    *(case(f"good {ending}", encoded(ending), "accepted") for ending in (".png", ".jpg", ".bmp", ".tiff")),
    *(case(f"{ending}, a format that is not on the list", encoded(ending)) for ending in (".ppm", ".hdr", ".webp", ".jp2", ".ras")),
    case("png of 65535x65535", png(65535, 65535)),
    case("png of 2^31-1 x 2^31-1", png(2**31 - 1, 2**31 - 1)),
    case("png of 0x0", png(0, 0)),
    case("png of 60000x60000, one bit", png(60_000, 60_000, 1, 0)),
    case("png of 11000x11000, without data", png(11_000, 11_000), "either"),
    case("png with a text bomb", png(8, 8, more=chunk(b"zTXt", b"a\0\0" + ZEROS), data=bytes(8 * 25)), "either"),
    case("png with a profile bomb", png(8, 8, more=chunk(b"iCCP", b"a\0\0" + ZEROS), data=bytes(8 * 25)), "either"),
    case("png with data for more", png(8, 8, data=bytes(32 << 20)), "either"),
    case("png truncated", PNG[: len(PNG) // 2]),
    case("png without its end", PNG[:-12]),
    case("jpeg truncated", JPEG[: len(JPEG) // 2]),
    case("jpeg of 65535x65535", JPEG.replace(b"\xff\xc0\x00\x11\x08\x00\x30\x00\x40", b"\xff\xc0\x00\x11\x08\xff\xff\xff\xff")),
    case("bmp of 2^30", bmp(2**30, 1)),
    case("bmp of 30000x30000", bmp(30_000, 30_000)),
    case("bmp upside down", bmp(8, -8), "either"),
    case("tiff of 2^31", tiff(2**31, 2**31 - 1)),
    case("tiff of 40000x40000", tiff(40_000, 40_000)),
    case("ppm of 10^8", b"P6\n100000000 100000000\n255\n" + bytes(64)),
    case("pfm negative", b"PF\n-8 -8\n-1.0\n" + bytes(64)),
    case("hdr huge", b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 100000 +X 100000\n" + bytes(64)),
    case("exr", b"\x76\x2f\x31\x01" + bytes(64)),
    case("svg", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'),
    case("empty", b""),
    case("text", b"hello"),
    case("html", b"<script>alert(1)</script>"),
    Case("image", "missing", lambda folder: None, read),
    Case("image", "a folder", lambda folder: (folder / "x.png").mkdir(), read),
    *(case(f"png mutated {seed}", mutated(PNG, seed), "either") for seed in range(8)),
    *(case(f"jpeg mutated {seed}", mutated(JPEG, seed), "either") for seed in range(8)),
    *(case(f"tiff mutated {seed}", mutated(encoded(".tiff"), seed), "either") for seed in range(8)),
    Case("image folder", "good", folder_of(a=PNG, b=PNG), read_folder, "accepted"),
    Case("image folder", "empty", folder_of(), read_folder),
    Case("image folder", "sizes differ", folder_of(a=PNG, b=png(8, 8, data=bytes(8 * 25))), read_folder),
    Case("image folder", "a bomb among them", folder_of(a=PNG, b=png(65535, 65535)), read_folder),
    Case("image folder", "text among them", folder_of(a=PNG, b=b"text"), read_folder),
    packed("good", ("x.png", PNG), expected="accepted"),
    packed("bomb", ("x.png", png(65535, 65535))),
    packed("16 bits", ("x.png", cv2.imencode(".png", IMAGE.astype(np.uint16))[1].tobytes())),
    packed("compressed", ("x.png", bytes(64 << 20)), method=zipfile.ZIP_DEFLATED),
    packed("unknown compression", ("x.png", PNG), change=lambda data: data.replace(b"PK\1\2\x14\3\x14\0\0\0\0\0", b"PK\1\2\x14\3\x14\0\0\0\x61\0")),
    packed("damaged", ("x.png", PNG), change=lambda data: data[:90] + b"?" * 9 + data[99:]),
    packed("truncated", ("x.png", PNG), change=lambda data: data[:900]),
    packed("text", ("x.png", b"text")),
    packed("empty image", ("x.png", b"")),
    packed("no images", ("../x", b"text")),
    packed("size beyond the file", ("x.png", PNG), change=lambda data: data.replace(struct.pack("<II", len(PNG), len(PNG)), b"\xf0\xff\xff\x7f" * 2)),
    packed("not a zip", change=lambda data: b"text"),
]
