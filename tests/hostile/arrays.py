"""npz and npy files of unknown origin: results, colour matrices, baked models."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.hostile import archives
from tests.hostile.case import Case, Payload, written


def read(folder: Path) -> None:
    from pipeline.io.arrays import load_npz

    load_npz(folder / "x.npz", {"x": None})


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=True)
    return file.getvalue()


def header(text: str, data: bytes = b"", version: bytes = b"\1\0") -> bytes:
    """An npy file with any header."""
    body = text.encode("latin-1") + b"\n"
    return b"\x93NUMPY" + version + len(body).to_bytes(2 if version == b"\1\0" else 4, "little") + body + data


def described(shape: str, kind: str = "'<f8'", more: str = "") -> str:
    return f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, {more}}}"


def npz(data: bytes, name: str = "x.npy", change: Callable[[bytes], bytes] = bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(name, data)
    return change(file.getvalue())


def bomb(folder: Path) -> None:
    count = 1_200_000_000
    with zipfile.ZipFile(folder / "x.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive, archive.open("x.npy", "w", force_zip64=True) as file:
        file.write(header(described(f"({count},)", "'|u1'")))
        for _ in range(count // 1_000_000):
            file.write(bytes(1_000_000))


def case(what: str, data: bytes, expected: str = "refused") -> Case:
    return Case("npz", what, written("x.npz", data), read, expected)


def read_color(folder: Path) -> None:
    from pipeline.capture.color import read_color

    read_color(str(folder / "x.npy"), "anna", ("a", "b"))


def read_polynomials(folder: Path) -> None:
    from pipeline.capture.color import read_color

    read_color(str(folder / "x.json"), "anna", ("a", "b"))


def color(what: str, data: bytes, expected: str = "refused") -> Case:
    return Case("color", what, written("x.npy", data), read_color, expected)


def polynomial(what: str, text: str, expected: str = "refused") -> Case:
    return Case("polynomial colour", what, written("x.json", text), read_polynomials, expected)


GOOD = np.arange(12.0).reshape(3, 4)
OBJECTS = npy(np.array([Payload()], dtype=object))
SHAPES = (
    "(-1,)",
    "(True,)",
    "(1e3,)",
    "(10**12,)",
    "(1000000000000,)",
    "(4611686018427387904,)",
    "(2**62, 2**62)",
    "'x'",
    "None",
    "(" + "1," * 70 + ")",
    "([1],)",
)
KINDS = ("'|O'", "[('a', '<f8')]", "'<V8'", "'<M8[s]'", "'<U0'", "'<f16'", "'nonsense'", "'<c16'", "'<U400000000'", "123")
CASES = [
    case("good", npz(npy(GOOD)), "accepted"),
    case("by columns", npz(npy(np.asfortranarray(GOOD))), "accepted"),
    case("big endian", npz(npy(GOOD.astype(">f4"))), "accepted"),
    case("objects", npz(OBJECTS)),
    case("a pickle in place of the array", npz(pickle.dumps(Payload()))),
    case("a pickle in place of the archive", pickle.dumps(Payload())),
    case("bare npy", npy(GOOD)),
    case("bare npy of objects", OBJECTS),
    case("no npy inside", npz(b"text", "x.txt")),
    case("npy of text", npz(b"text")),
    case("empty", b""),
    case("empty archive", npz(b"", "x.npy", lambda data: data[-22:])),
    case("truncated", npz(npy(GOOD))[:100]),
    case("corrupt deflate", npz(npy(np.arange(999.0)), change=lambda data: data[:60] + b"\xff\xfe\xfd" * 9 + data[87:])),
    case("corrupt data", npz(npy(GOOD), method=zipfile.ZIP_STORED, change=lambda data: data.replace(b"\0\0\x08@", b"\0\0\x09@"))),
    case("unknown compression", npz(npy(GOOD), change=archives.method(97))),
    case("encrypted", npz(npy(GOOD), change=lambda data: data[:6] + b"\1" + data[7:].replace(b"PK\1\2\x14\3\x14\0\0\0", b"PK\1\2\x14\3\x14\0\1\0"))),
    *(case(f"shape {shape[:30]}", npz(header(described(shape), bytes(96)))) for shape in SHAPES),
    *(case(f"type {kind}", npz(header(described("(2,)", kind), bytes(96)))) for kind in KINDS),
    case("too few bytes", npz(header(described("(20,)"), bytes(96)))),
    case("too many bytes", npz(header(described("(2,)"), bytes(96)))),
    case("header unbalanced", npz(header("{'descr': ((((", bytes(96)))),
    case("header deep", npz(header("(" * 5000 + ")" * 5000, bytes(96)))),
    case("header of minus signs", npz(header("-" * 9000 + "1", bytes(96)))),
    case("header long", npz(header(described("(12,)", more="'x': '" + "y" * 60000 + "'"), bytes(96)))),
    case("header a call", npz(header("__import__('os').system('touch EXECUTED')", bytes(96)))),
    case("header a dozen keys", npz(header(described("(12,)", more="'x': 1"), bytes(96)))),
    case("version 9", npz(header(described("(12,)"), bytes(96), b"\x09\0"))),
    case("version 2", npz(header(described("(12,)"), bytes(96), b"\2\0")), "accepted"),
    Case("npz", "bomb", bomb, read),
    Case("npz", "a folder", lambda folder: (folder / "x.npz").mkdir(), read),
    Case("npz", "missing", lambda folder: None, read),
    color("good", npy(GOOD), "accepted"),
    color("objects", OBJECTS),
    color("npz", npz(npy(GOOD))),
    color("text", npy(np.full((3, 4), "x"))),
    color("structured", npy(np.zeros((3, 4), [("a", "f8")]))),
    color("void", npy(np.zeros((3, 4), "V8"))),
    color("header deep", header("(" * 5000 + ")" * 5000, bytes(96))),
    color("nan", npy(np.full((3, 4), np.nan))),
    color("infinite", npy(np.full((3, 4), np.inf))),
    color("huge", npy(np.full((3, 4), 1e300))),
    color("complex", npy(np.full((3, 4), 1j))),
    color("another shape", npy(np.zeros((4, 3)))),
    polynomial("good", '{"a": [[1,0,0],[0,1,0],[0,0,1]], "b": [[1,0,0],[0,1,0],[0,0,1]]}', "accepted"),
    polynomial("infinite", '{"a": [[1e999,0,0],[0,1,0],[0,0,1]]}'),
    polynomial("huge", '{"a": [[1e300,0,0],[0,1,0],[0,0,1]]}'),
    polynomial("integers of 400 digits", '{"a": [[%s,0,0],[0,1,0],[0,0,1]]}' % ("9" * 400)),
    polynomial("text", '{"a": "x"}'),
    polynomial("a list", "[1, 2]"),
    polynomial("deep", '{"a": ' + "[" * 900 + "]" * 900 + "}"),
]
