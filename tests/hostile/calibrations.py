"""Calibration files of every form."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hostile.case import Case, written

EYE = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
CAMERA = {"name": "a", "width": 64, "height": 80, "K": [[90.0, 0.0, 32.0], [0.0, 90.0, 40.0], [0.0, 0.0, 1.0]], "dist": [], "R": EYE, "t": [0.0, 0.0, 2.0]}


def reading(name: str) -> Callable[[Path], Any]:
    def read(folder: Path) -> Any:
        from pipeline.capture.calibration import read_calibration

        return read_calibration(folder / name)

    return read


def case(what: str, name: str, text: str | bytes, expected: str = "refused", images: str | bytes | None = None) -> Case:
    """images: of a COLMAP model, the content of the file beside the cameras'."""

    def make(folder: Path) -> None:
        written(name, text)(folder)
        if images is not None:
            written(name.replace("cameras", "images"), images)(folder)

    return Case("calibration", what, make, reading(name), expected)


CAPTURY_CHANGES = [
    ("64 80", "64"), ("64 80", "-64 80"), ("64 80", "9" * 5000 + " 80"), ("90 0 32", "nan 0 32"), ("90 0 32", "0 32"), ("90 0 32", "1e400 0 32"),
    ("2000", "inf"), ("name a", "name ../a"), ("name a", "other a"), ("radial 0", "radial 0.1"),
]  # fmt: skip
COLMAP_CHANGES = [
    ("PINHOLE", "FISHEYE"), ("PINHOLE", "OPENCV_FISHEYE"), ("64 80", "64"), ("64 80", "inf 80"), ("90 90", "nan 90"), ("90 90", "-90 90"), ("1 PIN", "2 PIN"),
    ("1 PIN", "9" * 5000 + " PIN"), ("90 90", "1e400 90"),
]  # fmt: skip
IMAGE_CHANGES = [("1 0 0 0", "0 0 0 0"), ("1 0 0 0", "nan 0 0 0"), ("1 0 0 0", "1 0 0"), ("0 0 2", "0 0 inf"), ("a.png", ""), ("1 a.png", "x a.png")]
TRANSFORMS_CHANGES = [
    ("frames", []), ("frames", {"a": 1}), ("frames", [1]), ("frames", [{}]), ("frames", [{"file_path": "a.png", "transform_matrix": [[1]]}]),
    ("w", "x"), ("w", -5), ("w", 1e300), ("fl_x", 0), ("fl_x", None), ("k4", 1),
    ("camera_model", "OPENCV_FISHEYE"), ("cx", [1]), ("k1", 1e300),
]  # fmt: skip


def captury() -> str:
    return "Skeletool Camera Calibration File V1.0\nname a\nsize 64 80\nintrinsic 90 0 32 0 0 90 40 0 0 0 1 0 0 0 0 1\n" + (
        "extrinsic 1 0 0 0 0 1 0 0 0 0 1 2000 0 0 0 1\nradial 0\n"
    )


def colmap(part: str) -> str:
    return "# one camera\n1 PINHOLE 64 80 90 90 32 40\n" if part == "cameras" else "# one image\n1 1 0 0 0 0 0 2 1 a.png\n\n"


def transforms(**values: Any) -> str:
    frame = {"file_path": "a.png", "transform_matrix": [[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 2], [0, 0, 0, 1]]}
    return json.dumps({"w": 64, "h": 80, "fl_x": 90, "fl_y": 90, "cx": 32, "cy": 40, "frames": [frame]} | values)


def cameras_json(*cameras: Any) -> str:
    return json.dumps({"convention": "OpenCV", "cameras": list(cameras)})


def changed(**values: Any) -> str:
    return cameras_json(CAMERA | values)


def toml(size: str = "[64, 80]", matrix: str = str(CAMERA["K"]), rotation: str = "[0.0, 0.0, 0.0]", more: str = "") -> str:
    return (
        f'[a]\nname = "a"\nsize = {size}\nmatrix = {matrix}\ndistortions = [0.0, 0.0, 0.0, 0.0]\nrotation = {rotation}\ntranslation = [0.0, 0.0, 2.0]\n{more}'
    )


def matrix(rows: int, columns: int, data: str) -> str:
    return f"!!opencv-matrix\n   rows: {rows}\n   cols: {columns}\n   dt: d\n   data: [ {data} ]\n"


def storage(**entries: str) -> str:
    values = {
        "names": '\n   - "a"\n',
        "K_a": matrix(3, 3, "90., 0., 32., 0., 90., 40., 0., 0., 1."),
        "R_a": matrix(3, 1, "0., 0., 0."),
        "T_a": matrix(3, 1, "0., 0., 2."),
    }
    return "%YAML:1.0\n---\n" + "".join(
        f"{key}: {value.rstrip()}\n" for key, value in (values | {"dist_a": matrix(1, 5, "0., 0., 0., 0., 0."), "W_a": "64", "H_a": "80"} | entries).items()
    )


def mutated(text: str, seed: int) -> bytes:
    random_ = random.Random(seed)
    data = bytearray(text.encode())
    for _ in range(random_.randint(1, 12)):
        where = random_.randrange(len(data))
        kind = random_.randrange(4)
        data[where : where + (kind > 0)] = (
            bytes([random_.randrange(256)]) if kind < 2 else random_.choice([b"[", b"]", b"{", b"-", b"\n", b"  ", b"&a", b"*", b"<", b"%", b'"', b"1e999"])
        )
    return bytes(data)


HUGE = (float("inf"), float("-inf"), float("nan"), 1e308, 10**30, -1, 0, "x", [64], None)
NAMES = ("a/b", "../a", "a\0b", "a\nb", "x" * 5000, "\ud800", " ", "", ".", "..", ".a", "a\x1b[2J", "/etc/passwd", None, [1], {"a": 1})
SINGULAR = (
    [[0, 0, 0]] * 3,
    [[90, 0, 32], [0, 0, 40], [0, 0, 1]],
    [[90, 0, 32], [0, -90, 40], [0, 0, 1]],
    [[1e300, 0, 0], [0, 1e300, 0], [0, 0, 1]],
    [[float("nan")] * 3] * 3,
    [],
    "K",
    [[1, 2], [3]],
    5,
)
CASES = [
    case("good", "c.json", changed(), "accepted"),
    case("byte order mark", "c.json", b"\xef\xbb\xbf" + changed().encode(), "accepted"),
    case("name with quotes, braces and dollars", "c.json", changed(name="a'\"{b}$(touch EXECUTED);<script>"), "accepted"),
    *(case(f"width {value!r}", "c.json", changed(width=value)) for value in HUGE),
    *(
        case(
            f"name {str(value)[:16]!r} {n}",
            "c.json",
            changed(name=value)
            if value is None or isinstance(value, str) and value.isascii()
            else json.dumps({"convention": "opencv", "cameras": [CAMERA | {"name": value}]}),
        )
        for n, value in enumerate(NAMES)
        if value is not None
    ),
    *(case(f"K number {n}", "c.json", changed(K=value)) for n, value in enumerate(SINGULAR)),
    *(
        case(f"R number {n}", "c.json", changed(R=value))
        for n, value in enumerate(([[0, 0, 0]] * 3, [[-1, 0, 0], [0, 1, 0], [0, 0, 1]], [[2, 0, 0], [0, 2, 0], [0, 0, 2]], "R", [1, 2, 3]))
    ),
    *(case(f"t number {n}", "c.json", changed(t=value)) for n, value in enumerate(([1, 2], [1e300, 0, 0], [float("inf"), 0, 0], "t", None, [[[1]]]))),
    *(case(f"dist number {n}", "c.json", changed(dist=value)) for n, value in enumerate(([1] * 3, [1e300] * 5, [float("nan")] * 4, [1] * 1000, "x", {"k": 1}))),
    case("5000 cameras", "c.json", cameras_json(*({**CAMERA, "name": f"c{n}"} for n in range(5000)))),
    case("twins", "c.json", cameras_json(CAMERA, CAMERA)),
    case("no cameras", "c.json", cameras_json()),
    case("cameras are numbers", "c.json", cameras_json(1, 2)),
    case("cameras a table", "c.json", '{"convention": "opencv", "cameras": {"a": 1}}'),
    case("json deep", "c.json", '{"convention": "opencv", "cameras": ' + "[" * 100_000),
    case("json 900 deep", "c.json", '{"convention": "opencv", "cameras": ' + "[" * 900 + "]" * 900 + "}"),
    case("json 5000 digits", "c.json", changed(width=1).replace('"width": 1', '"width": ' + "9" * 5000)),
    case("json 4000 digits", "c.json", changed(width=1).replace('"width": 1', '"width": ' + "9" * 4000)),
    case("json not UTF-8", "c.json", b'{"convention": "\xff\xfe"}'),
    case("json empty", "c.json", ""),
    case("json zeros", "c.json", bytes(1000)),
    case("toml good", "c.toml", toml(), "accepted"),
    *(
        case(f"toml size {size}", "c.toml", toml(size))
        for size in ("[inf, 80]", "[nan, 80]", "[-1, 80]", "[1e300, 80]", "5", "'x'", "[]", "[1, 2, 3]", "[2024-01-01, 80]")
    ),
    *(case(f"toml matrix {text}", "c.toml", toml(matrix=text)) for text in ("[]", "[[nan, 0, 0], [0, 1, 0], [0, 0, 1]]", "'x'", "[[1, 2], [3]]")),
    *(case(f"toml rotation {text}", "c.toml", toml(rotation=text)) for text in ("[inf, 0.0, 0.0]", "[]", "[1e300, 1e300, 1e300]", "'x'", "{}")),
    case("toml cameras a number", "c.toml", "cameras = 5\n"),
    case("toml cameras numbers", "c.toml", "[cameras]\na = 5\n"),
    case("toml deep", "c.toml", "a = " + "[" * 5000 + "]" * 5000),
    case("toml 5000 digits", "c.toml", toml("[" + "9" * 5000 + ", 80]")),
    case("toml 5000 hexadecimal digits", "c.toml", toml("[0x" + "f" * 5000 + ", 80]")),
    case("toml dotted keys", "c.toml", "a" + ".a" * 5000 + " = 1"),
    case("toml not UTF-8", "c.toml", b"\xff\xfe"),
    case("yaml good", "c.yml", storage(), "accepted"),
    *(case(f"yaml names {text}", "c.yml", storage(names=text)) for text in ("5", "1.5", "x", "\n   - [ 1, 2 ]", '\n   - "../a"', "\n   - { a: 1 }")),
    *(case(f"yaml {key} text", "c.yml", storage(**{f"{key}_a": "x"})) for key in "KRTWH"),
    case("yaml dist text", "c.yml", storage(dist_a="x")),
    *(case(f"yaml width {text}", "c.yml", storage(W_a=text)) for text in (".Nan", ".Inf", "-5", "1e300", "[ 1, 2 ]", "99999999999999999999")),
    *(
        case(f"yaml K of {rows}x{columns}", "c.yml", storage(K_a=matrix(rows, columns, "1., 2.")))
        for rows, columns in ((1, 2), (-1, 3), (100000, 100000), (2147483647, 2147483647), (3, 3))
    ),
    case("yaml deep", "c.yml", "%YAML:1.0\n---\na: " + "[" * 5000 + "]" * 5000),
    case("yaml deeper than the stack", "c.yml", "%YAML:1.0\n---\na: " + "[" * 500_000),
    case("yaml maps deeper than the stack", "c.yml", "%YAML:1.0\n---\na: " + "{a: " * 500_000),
    case("yaml block deeper than the stack", "c.yml", "%YAML:1.0\n---\na:\n" + "".join(" " * n + "b:\n" for n in range(1, 2500))),
    case("yaml dashes", "c.yml", "%YAML:1.0\n---\na:\n   " + "- " * 100_000 + "1\n"),
    case("xml deeper than the stack", "c.xml", '<?xml version="1.0"?>\n<opencv_storage>' + "<a>" * 300_000),
    case(
        "xml entities",
        "c.xml",
        '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY f SYSTEM "file:///etc/passwd">]><opencv_storage><names>&f;</names></opencv_storage>',
    ),
    case("json for OpenCV, deep", "c.yml", '{"a": ' + "[" * 500_000),
    case("yaml large", "c.yml", "%YAML:1.0\n---\n" + "#" * (9 << 20)),
    case("yaml Latin-1 comment", "c.yml", storage().encode() + b"# \xe9\n", "either"),
    case("yaml zeros", "c.yml", bytes(1000)),
    case("captury good", "c.calibration", captury(), "accepted"),
    *(case(f"captury {old} becomes {new[:20]}", "c.calibration", captury().replace(old, new)) for old, new in CAPTURY_CHANGES),
    case("captury zeros", "c.calibration", bytes(1000)),
    case("captury large", "c.calibration", "#" * (9 << 20)),
    case("colmap good", "cameras.txt", colmap("cameras"), "accepted", images=colmap("images")),
    *(case(f"colmap {old} becomes {new[:20]}", "cameras.txt", colmap("cameras").replace(old, new), images=colmap("images")) for old, new in COLMAP_CHANGES),
    *(
        case(f"colmap image {old} becomes {new[:20]}", "cameras.txt", colmap("cameras"), images=colmap("images").replace(old, new))
        for old, new in IMAGE_CHANGES
    ),
    *(case(f"colmap binary of {count} cameras", "cameras.bin", struct.pack("<Q", count) + bytes(40), images=bytes(8)) for count in (0, 1, 2**63)),
    case("transforms good", "c.json", transforms(), "accepted"),
    *(case(f"transforms {key} {str(value)[:20]}", "c.json", transforms(**{key: value})) for key, value in TRANSFORMS_CHANGES),
    *(case(f"captury mutated {seed}", "c.calibration", mutated(captury(), seed), "either") for seed in range(10)),
    *(case(f"colmap mutated {seed}", "cameras.txt", mutated(colmap("cameras"), seed), "either", images=mutated(colmap("images"), seed)) for seed in range(10)),
    *(case(f"transforms mutated {seed}", "c.json", mutated(transforms(), seed), "either") for seed in range(10)),
    *(case(f"yaml mutated {seed}", "c.yml", mutated(storage(), seed), "either") for seed in range(30)),
    *(case(f"toml mutated {seed}", "c.toml", mutated(toml(), seed), "either") for seed in range(10)),
    *(case(f"json mutated {seed}", "c.json", mutated(changed(), seed), "either") for seed in range(10)),
    Case("calibration", "a folder of nothing", lambda folder: (folder / "c").mkdir(), reading("c")),
    Case("calibration", "missing", lambda folder: None, reading("c.json")),
]
