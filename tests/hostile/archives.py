"""Archives of a download, as `./c2a unzip` reads them."""

from __future__ import annotations

import stat
import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.hostile.case import Case

Entry = tuple[str, bytes]


def read(folder: Path) -> None:
    from pipeline.io.archives import unzip_folder

    try:
        unzip_folder(folder / "in", folder / "out", 1)
    finally:
        strangers = [
            path for path in folder.rglob("*") if path.is_file() and not path.is_relative_to(folder / "in") and not path.is_relative_to(folder / "out/a")
        ]
        assert not strangers, strangers


def entry(name: str, mode: int = 0) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("x")
    info.filename = name  # past ZipInfo's own cleaning
    info.external_attr = mode << 16
    return info


def zipped(entries: Sequence[tuple[str | zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_STORED, change: Callable[[bytes], bytes] = bytes) -> Callable:
    def make(folder: Path) -> None:
        (folder / "in").mkdir()
        path = folder / "in" / "a.zip"
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, data in entries:
                info = entry(name) if isinstance(name, str) else name
                info.compress_type = method
                archive.writestr(info, data)
        path.write_bytes(change(path.read_bytes()))

    return make


def case(what: str, *entries: Entry | tuple[zipfile.ZipInfo, bytes], expected: str = "refused", **options) -> Case:
    return Case("archive", what, zipped(entries, **options), read, expected)


def bomb(folder: Path) -> None:
    (folder / "in").mkdir()
    with zipfile.ZipFile(folder / "in" / "a.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive, archive.open("zeros", "w", force_zip64=True) as file:
        for _ in range(1200):
            file.write(bytes(1 << 20))


def declared(size: int) -> Callable[[bytes], bytes]:
    """The first entry says that it unpacks to `size` bytes."""

    def change(data: bytes) -> bytes:
        where = data.index(b"PK\x01\x02")
        return data[: where + 24] + struct.pack("<I", size) + data[where + 28 :]

    return change


def flagged(data: bytes) -> bytes:
    """Marked as encrypted."""
    where = data.index(b"PK\x01\x02")
    return data[:6] + b"\1" + data[7 : where + 8] + b"\1" + data[where + 9 :]


def method(number: int) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        where = data.index(b"PK\x01\x02")
        return data[:8] + struct.pack("<H", number) + data[10 : where + 10] + struct.pack("<H", number) + data[where + 12 :]

    return change


def linked(folder: Path) -> None:
    zipped([("inner/file", b"1")])(folder)
    (folder / "elsewhere").mkdir()
    (folder / "out" / "a").mkdir(parents=True)
    (folder / "out" / "a" / "inner").symlink_to(folder / "elsewhere")


def occupied(kind: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        zipped([("x/y" if kind == "file" else "x", b"1")])(folder)
        (folder / "out" / "a").mkdir(parents=True)
        (folder / "out/a/x").write_text("") if kind == "file" else (folder / "out/a/x").mkdir()

    return make


UNSAFE = (
    "../evil",
    "a/../../evil",
    "/tmp/evil",
    "C:/evil",
    "a\\..\\evil",
    "..",
    "a/\0evil",
    "a\nb",
    "\x1b[2J",
    "x" * 300,
    "/".join(["d" * 99] * 51),
    "",
    ".",
    "./",
)
CASES = [
    *(case(f"name {name[:20]!r} of {len(name)}", (name, b"evil")) for name in UNSAFE),
    *(
        case(what, (entry("special", mode | 0o777), b"/etc/passwd"))
        for what, mode in (("link", stat.S_IFLNK), ("fifo", stat.S_IFIFO), ("device", stat.S_IFBLK))
    ),
    case("good", ("a/b.mp4", b"1" * 999), ("a/c.json", b"{}"), expected="accepted"),
    case("names with quotes and braces", ("a'b\"$(touch EXECUTED){x}/;c`d`", b"1"), expected="accepted"),
    case("duplicate", ("x", b"1"), ("x", b"2")),
    case("duplicate by spelling", ("a/x", b"1"), ("a//x", b"2")),
    case("file and folder", ("x", b"1"), ("x/y", b"2")),
    case("folder and file", ("x/y", b"2"), ("x", b"1")),
    case("encrypted", ("x", b"1"), change=flagged),
    case("unknown compression", ("x", b"1"), change=method(97)),
    case("lzma", ("x", b"1" * 99), method=zipfile.ZIP_LZMA),
    case("truncated", ("x", b"1" * 9999), change=lambda data: data[:5000]),
    case("damaged", ("x", b"1" * 9999), change=lambda data: data[:500] + b"?" + data[501:]),
    case("damaged deflate", ("x", bytes(range(256)) * 40), method=zipfile.ZIP_DEFLATED, change=lambda data: data[:60] + b"\xff" * 20 + data[80:]),
    case("size not as declared", ("x", b"1" * 999), change=declared(2000)),
    case("declared as 4 GB", ("x", b"1" * 999), change=declared(0xFFFFFFF0)),
    case("empty file", change=lambda data: b""),
    case("not a zip", change=lambda data: b"\x1f\x8b" + bytes(1000)),
    Case("archive", "bomb", bomb, read),
    Case("archive", "link in the target", linked, read),
    Case("archive", "target has a file for the folder", occupied("file"), read),
    Case("archive", "target has a folder for the file", occupied("folder"), read),
]
