"""captures.tsv and tables of time stamps."""

from __future__ import annotations

from pathlib import Path

from tests.hostile.case import Case, written


def read(folder: Path) -> None:
    from pipeline.contract.captures_table import read_table

    for row in read_table(folder / "captures.tsv")[1].values():
        raise row.error


def case(what: str, cells: dict[str, str], expected: str = "refused") -> Case:
    row = {"id": "anna", "kind": "rig", "path": "data"} | cells
    return text(what, "\t".join(row) + "\n" + "\t".join(row.values()) + "\n", expected)


def text(what: str, content: str | bytes, expected: str = "refused") -> Case:
    return Case("table", what, written("captures.tsv", content), read, expected)


def read_stamps(folder: Path) -> None:
    from pipeline.capture.sync import read_timestamps

    read_timestamps(folder / "t.csv", {"a": 3})


def stamps(what: str, content: str | bytes, expected: str = "refused") -> Case:
    return Case("time stamps", what, written("t.csv", content), read_stamps, expected)


IDS = (
    "../x",
    "a/b",
    "a b",
    "-rf",
    "--config=x",
    "$(touch EXECUTED)",
    "`id`",
    "a;b",
    "a|b",
    "a&b",
    "{a}",
    "{wildcards.x}",
    "'a'",
    '"a"',
    "=1+1",
    "@SUM(1)",
    "+a",
    "a\\b",
    "*",
    "a" * 256,
    ".",
    "..",
    "",
    "é",
    "a\x0bb",
    "\u202ea",
    "~",
    "a\0b",
    "anna\x1b[2J",
)
FRAMES = ("0:999999999999", "0:" + "9" * 5000, "-1:5", "5:1", "::0", "a:b", "0:5:1:2", "٣:٥", "1e3:", "inf:")
SIZES = ("99999999999999", "1000000x100000", "0x0", "15x15", "9" * 5000 + "x64", "-64x64", "64x", "64X64", "٦٤x٦٤", "infxinf")
CASES = [
    case("good", {}, "accepted"),
    *(case(f"id {value[:20]!r} of {len(value)}", {"id": value}) for value in IDS),
    *(case(f"group {value!r}", {"group": value}) for value in ("../x", "a b", "{a}", "$(x)", "-a", "a" * 256)),
    *(case(f"frames {value[:20]}", {"frames": value}) for value in FRAMES),
    *(case(f"size {value[:20]}", {"size": value}) for value in SIZES),
    case("path with a null", {"path": "a\0b"}),
    case("path with an escape", {"path": "a\x1b]0;x\x07"}),
    case("path of 10000 letters", {"path": "a" * 10_000}),
    case("path with shell characters", {"path": "a;touch EXECUTED;$(x)`y`'\"{z}|&"}, "accepted"),
    case("path that a spreadsheet runs", {"path": "=cmd|' /C calc'!A0"}, "accepted"),
    case("path with a leading dash", {"path": "-rf"}, "accepted"),
    case("kind unknown", {"kind": "__import__"}),
    case("column unknown", {"__class__": "x"}),
    text("a line break in a quoted cell", 'id\tkind\tpath\nanna\trig\t"a\nb"\n'),
    text("quotes", 'id\tkind\tpath\n"anna"\trig\tdata\n'),
    text("column twice", "id\tid\tkind\tpath\na\tb\trig\tx\n"),
    text("id twice", "id\tkind\tpath\na\trig\tx\na\trig\ty\n"),
    text("a group that is an id", "id\tkind\tpath\tgroup\na\trig\tx\tb\nb\trig\ty\t\n"),
    text("empty", ""),
    text("zeros", bytes(1000)),
    text("not UTF-8", b"id\tkind\tpath\nann\xe9\trig\tx\n"),
    text("UTF-16", "id\tkind\tpath\na\trig\tx\n".encode("utf-16")),
    text("100000 columns", "\t".join(f"c{n}" for n in range(100_000))),
    text("5000 rows", "id\tkind\tpath\n" + "".join(f"a{n}\trig\tx\n" for n in range(5000)), "accepted"),
    stamps("good", "camera,time\na,0\na,1\na,2\n", "accepted"),
    stamps("not a number", "camera,time\na,0\na,x\na,2\n"),
    stamps("infinite", "camera,time\na,0\na,inf\na,2\n"),
    stamps("nan", "camera,time\na,0\na,nan\na,2\n"),
    stamps("backwards", "camera,time\na,0\na,2\na,1\n"),
    stamps("another camera", "camera,time\nb,0\nb,1\nb,2\n"),
    stamps("no columns", "x\n1\n"),
    stamps("empty", ""),
    stamps("zeros", bytes(1000)),
    stamps("unclosed quote", 'camera,time\n"a,0\n'),
    stamps("ragged", "camera,time\na,0,1,2,3\na\n"),
    stamps("not UTF-8", b"camera,time\n\xff\xfe,0\n"),
    stamps("5000 digits", "camera,time\na,0\na,1\na," + "9" * 5000 + "\n"),
    stamps("columns twice", "camera,time,time\na,0,0\na,1,1\na,2,2\n", "either"),
]
