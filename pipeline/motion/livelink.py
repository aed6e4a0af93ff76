"""CSV files of the app Live Link Face: the 52 ARKit expressions, and head and eye rotations."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from pipeline.io.documents import read_document
from pipeline.io.errors import InputError
from pipeline.motion.axes import Y_UP
from pipeline.motion.motion import MOST_FRAMES, Motion, checked

JOINTS = {"head": "Head", "left_eye": "LeftEye", "right_eye": "RightEye"}
ANGLES = ("Yaw", "Pitch", "Roll")
MOST_COLUMNS = 1000
_RATES = (24.0, 25.0, 30.0, 50.0, 60.0)
_EXPECTED = "a CSV of Live Link Face: Timecode,BlendShapeCount,EyeBlinkLeft,..."
_TIMECODE = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})[:;](\d{1,3}(?:\.\d+)?)")


def read_livelink(path: Path) -> Motion:
    """A Live Link Face CSV as a motion: columns by name, whatever their order and case; missing frames are filled by the time code (linear).

    Yaw, pitch and roll are radians, right-handed about up, the subject's left, and forward: R = R_up(yaw) R_left(pitch) R_forward(roll). Without a time code
    the rate is 60 frames per second.

    Raises InputError: not such a file, or a cell is not a finite number.
    """
    header, rows = read_document(path, _parse, what="CSV", expected=_EXPECTED)
    names = [name.strip() for name in header]
    folded = [name.casefold() for name in names]
    if len(set(folded)) < len(folded):
        raise InputError("a column twice", file=path, found=next(name for name in folded if folded.count(name) > 1), expected="each once")
    text = {"timecode", "blendshapecount"}
    numbers = [column for column, name in enumerate(folded) if name not in text]
    values = _numbers(rows, numbers, names, path)
    times, fps = _times([row[folded.index("timecode")] for row in rows] if "timecode" in folded else [], len(rows))
    grid = np.arange(int(round((times[-1] - times[0]) * fps)) + 1) / fps + times[0]
    columns = {folded[column]: np.interp(grid, times, values[:, place]) for place, column in enumerate(numbers)}
    angles = {joint: [f"{name}{angle}".casefold() for angle in ANGLES] for joint, name in JOINTS.items()}
    rotations = np.zeros((len(grid), len(JOINTS), 3))
    for number, headers in enumerate(angles.values()):
        euler = np.stack([columns.pop(name, np.zeros(len(grid))) for name in headers], axis=1)
        rotations[:, number] = Rotation.from_euler("YXZ", euler).as_rotvec() @ Y_UP.T
    names = [name for name in names if name.casefold() in columns]
    expression = np.stack([columns[name.casefold()] for name in names], axis=1) if names else np.zeros((len(grid), 0))
    return checked(Motion(tuple(JOINTS), (-1, 0, 0), rotations, np.zeros((len(grid), 3)), fps, tuple(names), expression), path)


def _parse(text: str) -> tuple[list[str], list[list[str]]]:
    lines = text.splitlines()
    if len(lines) > MOST_FRAMES:
        raise ValueError(f"{len(lines)} lines, more than {MOST_FRAMES}")
    try:
        header, *rows = [row for row in csv.reader(lines) if row]
    except (csv.Error, ValueError) as error:
        raise ValueError(error or "no lines") from None
    if not 2 <= len(header) <= MOST_COLUMNS:
        raise ValueError(f"{len(header)} columns")
    if not rows:
        raise ValueError("no frames")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise ValueError(f"line {number} has {len(row)} cells where the header has {len(header)}")
    return header, rows


def _numbers(rows: list[list[str]], columns: list[int], names: list[str], path: Path) -> np.ndarray:
    """[T, columns]. Raises InputError with line and column."""
    values = np.empty((len(rows), len(columns)))
    for number, row in enumerate(rows):
        for place, column in enumerate(columns):
            try:
                values[number, place] = float(row[column] or 0)
            except ValueError:
                values[number, place] = np.nan
            if not np.isfinite(values[number, place]):
                raise InputError(f"line {number + 2}, column '{names[column]}'", file=path, found=row[column], expected="a finite number")
    return values


def _times(codes: list[str], count: int) -> tuple[np.ndarray, float]:
    """Seconds [T], strictly ascending, and the rate; the time codes' frames count up to the rate."""
    parts = [match for code in codes if (match := _TIMECODE.fullmatch(code.strip()))]
    if len(parts) != count or count < 2:
        return np.arange(count) / 60, 60.0
    clock = np.array([[float(part) for part in match.groups()] for match in parts])
    most = clock[:, 3].max()
    fps = next((rate for rate in _RATES if most < rate), 60.0)
    if most < _RATES[0]:  # less than a second: the rate from what is there
        fps = 60.0
    seconds = clock[:, :3] @ [3600, 60, 1] + clock[:, 3] / fps
    rising = (np.diff(seconds) > 0).all() and seconds[-1] - seconds[0] < 10 * count / fps + 1
    return (seconds, fps) if rising else (np.arange(count) / fps, fps)
