"""captures.tsv: one row per capture, everything text, checked before anything else runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.contract.bodies import bodies, body_kind
from pipeline.io.errors import InputError
from pipeline.io.words import separated

KINDS = ("nersemble", "rig", "synthetic", "gaussian_avatars", "colmap", "blender")
SCENES = ("colmap", "blender")  # kinds that need not show a person
TRACKED = ("gaussian_avatars",)  # kinds that bring the parameters of a model
MODELS = ("head", "body")  # whose model is the project's own; else the name of an imported one
REQUIRED = ("id", "kind", "path")
OPTIONAL = (
    *("model", "calibration", "units", "convention", "plates", "mattes", "timestamps", "fps"),
    *("sequences", "frames", "size", "val_cameras", "test_sequences", "color", "group"),
)
UNITS = ("m", "cm", "mm")  # of a calibration's t
CONVENTIONS = ("opencv", "opencv_c2w", "opencv_transposed", "opencv_position", "opengl", "opengl_c2w")  # of its R and t: geometry/camera_readings.py
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
LARGEST_SIZE = 16_384  # pixels
MOST_LETTERS = 4096  # of a cell
_AGAIN = "correct the table, then run again"
_ATTRIBUTES = {"frames": ("first", "last", "stride")}  # of columns that hold several values
_FRAMES = re.compile(r"([0-9]{0,9}):([0-9]{0,9})(?::([0-9]{0,9}))?")


@dataclass(frozen=True)
class CaptureRow:
    """One capture as the user describes it. Paths are absolute; what the table leaves out is empty or None.

    Attributes:
        model: "head" or "body". body: the imported model of that kind that the table names, or "".
        plates: folder of clean plates, "none" (absent on purpose) or "" (where the kind of dataset keeps them).
        mattes: the same of mattes. units, convention: of the calibration, or "". fps: of image folders; None: 30.
        first, last, stride: frames to read, `last` included; None where the table says nothing.
        val_cameras, test_sequences: names; ("none",) means none at all.
        color: colour calibration file or pattern with {id} and {camera}, "none" or "" (the dataset's own where it has one).
    """

    id: str
    kind: str
    path: Path
    model: str = "head"
    body: str = ""
    calibration: Path | None = None
    units: str = ""
    convention: str = ""
    plates: str = ""
    mattes: str = ""
    timestamps: Path | None = None
    fps: float | None = None
    sequences: tuple[str, ...] = ()
    first: int | None = None
    last: int | None = None
    stride: int | None = None
    size: tuple[int, int] | None = None
    val_cameras: tuple[str, ...] = ()
    test_sequences: tuple[str, ...] = ()
    color: str = ""
    group: str = ""

    def cells(self, columns: Iterable[str]) -> dict[str, Any]:
        """The cells of these columns, by attribute."""
        return {name: getattr(self, name) for column in columns for name in _ATTRIBUTES.get(column, (column,))}


@dataclass(frozen=True)
class BadRow:
    """A line of the table that cannot be used; it costs no other line. group: its cell."""

    error: InputError
    group: str


def read_captures(path: str | Path, wanted: Iterable[str] = ()) -> dict[str, CaptureRow]:
    """The rows that can be used, in the order of the file; see `read_table`."""
    return read_table(path, wanted)[0]


def read_table(path: str | Path, wanted: Iterable[str] = ()) -> tuple[dict[str, CaptureRow], dict[str, BadRow]]:
    """Read and check the table: the rows that can be used, and those that cannot, by id (without a usable id: "line 3").

    Blank lines and lines that start with # do not count; cells at the end of a line may be left out.

    Raises InputError naming file, line, value and expectation, where the table itself is wrong, no row can be used, or one of the wanted captures cannot.
    """
    path = Path(path)
    rows: dict[str, CaptureRow] = {}
    lines: dict[str, int] = {}
    bad: dict[str, BadRow] = {}
    for line, cells in _read_lines(path).items():
        try:
            row = _parse(path, line, cells)
            if row.id in lines:
                found = f"lines {lines[row.id]} and {line}"
                raise InputError(f"line {line}: two captures have the id '{row.id}'", file=path, found=found, expected="every id once", remedy="rename one")
            rows[row.id], lines[row.id] = row, line
        except InputError as error:
            name = cells.get("id", "")
            bad[name if _NAME.fullmatch(name) else f"line {line}"] = BadRow(error, cells.get("group", ""))
    for row in list(rows.values()):
        if row.id in bad:  # a second line with its id: nobody knows which is meant
            del rows[row.id]
        elif row.group in lines:
            expected = "a name that is not the id of a capture (their results would share a folder)"
            bad[row.id] = BadRow(_bad(path, lines[row.id], "group", row.group, expected), row.group)
            del rows[row.id]
    for name in (*(name for name in wanted if name in bad), *([] if rows else bad)):
        raise bad[name].error
    return rows, bad


def groups_of(table: Mapping[str, CaptureRow]) -> dict[str, list[CaptureRow]]:
    """The captures of each group, in the order of the table."""
    groups: dict[str, list[CaptureRow]] = {}
    for row in table.values():
        if row.group:
            groups.setdefault(row.group, []).append(row)
    return groups


def _read_lines(path: Path) -> dict[int, dict[str, str]]:
    """Line number -> column -> cell; more cells than columns under the name "". No table library: this runs in every job, and loading one takes longer than the rest of it."""
    if not path.is_file():
        expected = "a tab-separated table with the columns " + ", ".join(REQUIRED)
        raise InputError("no such table", file=path, expected=expected, remedy="correct --captures, or write the table (README.md shows one)")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8 text", file=path, found=error, remedy="save it as UTF-8, then run again") from None
    numbered = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith("#")]
    if not numbered:
        expected = "a first line with the columns " + ", ".join(REQUIRED) + ", then a line per capture"
        raise InputError("the table is empty", file=path, expected=expected, remedy=_AGAIN)
    header = [name.strip() for name in numbered[0][1].split("\t")]
    _check_header(path, numbered[0][0], header)
    if len(numbered) == 1:
        raise InputError("the table names no capture", file=path, found="a line of columns alone", expected="a line per capture", remedy=_AGAIN)
    return {n: _cells(header, line) for n, line in numbered[1:]}


def _cells(header: list[str], line: str) -> dict[str, str]:
    cells = [cell.strip() for cell in line.split("\t")]
    return dict(zip(header, cells + [""] * len(header))) | ({"": str(len(cells))} if any(cells[len(header) :]) else {})


def _check_header(path: Path, line: int, header: list[str]) -> None:
    allowed = (*REQUIRED, *OPTIONAL)
    columns = ", ".join(header)
    for name in header:
        if name not in allowed:
            expected = "columns out of " + ", ".join(allowed) + ", separated by tabs"
            raise InputError(f"line {line}: unknown column '{name}'", file=path, found=columns, expected=expected, remedy=_AGAIN)
        if header.count(name) > 1:
            raise InputError(f"line {line}: the column '{name}' appears twice", file=path, found=columns, expected="every column once", remedy=_AGAIN)
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        expected = ", ".join(REQUIRED) + ", separated by tabs"
        raise InputError(f"line {line}: no column '{missing[0]}'", file=path, found=columns, expected=expected, remedy=_AGAIN)


def _parse(path: Path, line: int, cells: dict[str, str]) -> CaptureRow:
    def cell(name: str) -> str:
        return cells.get(name, "")

    def place(name: str) -> str:
        text = cell(name)
        return text if text in ("", "none") else os.path.abspath(path.parent / os.path.expanduser(os.path.expandvars(text)))

    if "" in cells:
        expected = f"at most {len(cells) - 1}, separated by tabs"
        raise InputError(f"line {line}: more cells than the first line has columns", file=path, found=cells[""], expected=expected, remedy=_AGAIN)
    for name, text in cells.items():
        if not text.isprintable() or len(text) > MOST_LETTERS:
            raise _bad(path, line, name, text, f"text without control characters, at most {MOST_LETTERS} letters")
    for name in ("id", "group"):
        if not _NAME.fullmatch(cell(name)) and (cell(name) or name == "id"):
            raise _bad(path, line, name, cell(name), "letters, digits and . _ -, at most 100 (it becomes a folder's name)")
    if cell("kind") not in KINDS:
        raise _bad(path, line, "kind", cell("kind"), " | ".join(KINDS))
    if not cell("path"):
        raise _bad(path, line, "path", "", "the dataset's folder, relative to the table's")
    for name, allowed in (("units", UNITS), ("convention", CONVENTIONS)):
        if cell(name) not in (*allowed, ""):
            raise _bad(path, line, name, cell(name), " | ".join(allowed))
    model, body = _parse_model(path, line, cell("model"))
    first, last, stride = _parse_frames(path, line, cell("frames"))
    return CaptureRow(
        id=cell("id"),
        kind=cell("kind"),
        path=Path(place("path")),
        model=model,
        body=body,
        calibration=_optional_path(place("calibration")),
        units=cell("units"),
        convention=cell("convention"),
        plates=place("plates"),
        mattes=place("mattes"),
        timestamps=_optional_path(place("timestamps")),
        fps=_parse_fps(path, line, cell("fps")),
        sequences=separated(cell("sequences")),
        first=first,
        last=last,
        stride=stride,
        size=_parse_size(path, line, cell("size")),
        val_cameras=separated(cell("val_cameras")),
        test_sequences=separated(cell("test_sequences")),
        color=place("color"),
        group=cell("group"),
    )


def _parse_model(path: Path, line: int, text: str) -> tuple[str, str]:
    """Kind of the model, and its name where it is not the project's own."""
    if text in ("", *MODELS):
        return text or MODELS[0], ""
    if text not in bodies():
        raise _bad(path, line, "model", text, " | ".join((*MODELS, *bodies())) + "; ./c2a body import adds others")
    return body_kind(text), text


def _parse_frames(path: Path, line: int, text: str) -> tuple[int | None, int | None, int | None]:
    if not text:
        return None, None, None
    match = _FRAMES.fullmatch(text)
    first, last, stride = (int(part) if part else None for part in match.groups()) if match else (0, -1, 0)
    if stride == 0 or (last is not None and last < (first or 0)):
        raise _bad(path, line, "frames", text, "first:last:stride, last included, such as 0:65:1, 10:: or ::3")
    return first, last, stride


def _parse_size(path: Path, line: int, text: str) -> tuple[int, int] | None:
    if not text:
        return None
    match = re.fullmatch(r"([0-9]{2,5})x([0-9]{2,5})", text)
    if not match or not all(16 <= int(side) <= LARGEST_SIZE for side in match.groups()):
        raise _bad(path, line, "size", text, f"widthxheight in pixels, such as 512x512, 16 to {LARGEST_SIZE} each")
    return int(match[1]), int(match[2])


def _parse_fps(path: Path, line: int, text: str) -> float | None:
    if not text:
        return None
    if not re.fullmatch(r"\d{1,4}(\.\d+)?", text) or not 0.1 <= float(text) <= 1000:
        raise _bad(path, line, "fps", text, "frames per second, 0.1 to 1000")
    return float(text)


def _optional_path(text: str) -> Path | None:
    return Path(text) if text not in ("", "none") else None


def _bad(path: Path, line: int, column: str, value: str, expected: str) -> InputError:
    return InputError(f"line {line}: bad {column}", file=path, found=repr(value), expected=expected, remedy=_AGAIN)
