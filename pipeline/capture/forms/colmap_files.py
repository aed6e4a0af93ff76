"""The files of COLMAP's sparse models as tables, text or binary (https://colmap.github.io/format.html)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from pipeline.io.errors import MALFORMED, InputError

MODELS = {  # number in binary files: name, how many parameters
    0: ("SIMPLE_PINHOLE", 3), 1: ("PINHOLE", 4), 2: ("SIMPLE_RADIAL", 4), 3: ("RADIAL", 5), 4: ("OPENCV", 8), 5: ("OPENCV_FISHEYE", 8),
    6: ("FULL_OPENCV", 12), 7: ("FOV", 5), 8: ("SIMPLE_RADIAL_FISHEYE", 4), 9: ("RADIAL_FISHEYE", 5), 10: ("THIN_PRISM_FISHEYE", 12),
    11: ("RAD_TAN_THIN_PRISM_FISHEYE", 16),
}  # fmt: skip
_COUNTS = dict(MODELS.values())
MOST_BYTES = 2 << 30
Lens = tuple[str, int, int, tuple[float, ...]]  # model, width, height, parameters
Pose = tuple[str, np.ndarray, np.ndarray, int]  # image, quaternion wxyz, t, camera
Point = tuple[float, ...]  # x, y, z, r, g, b
Table = TypeVar("Table")


def read_lenses(path: Path) -> dict[int, Lens]:
    """The cameras of a model by their numbers. Raises InputError where the file is damaged."""
    return _parse(path, _text_lenses, _binary_lenses)


def read_poses(path: Path) -> list[Pose]:
    """The images of a model. Raises InputError where the file is damaged."""
    return _parse(path, _text_poses, _binary_poses)


def read_points(path: Path) -> list[Point]:
    """The points of a model. Raises InputError where the file is damaged."""
    return _parse(path, _text_points, _binary_points)


def _parse(path: Path, text: Callable[[Sequence[str]], Table], binary: Callable[[_Bytes], Table]) -> Table:
    """What a file holds. Raises InputError where it is damaged."""
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise ValueError(f"{size} bytes, more than {MOST_BYTES}")
        return text(path.read_text("utf-8").splitlines()) if path.suffix == ".txt" else binary(_Bytes(path.read_bytes()))
    except (*MALFORMED, struct.error, OSError) as error:
        raise InputError("is not a file of a COLMAP model", file=path, found=repr(error)[:200], expected="as COLMAP writes it, complete") from None


class _Bytes:
    """Reads little-endian values one after the other."""

    def __init__(self, data: bytes):
        self._data, self._at = data, 0

    def take(self, form: str) -> tuple:
        values = struct.unpack_from("<" + form, self._data, self._at)
        self.skip(struct.calcsize("<" + form))
        return values

    def skip(self, count: int) -> None:
        self._at += count
        if self._at > len(self._data):
            raise ValueError("the file ends too early")

    def word(self) -> str:
        end = self._data.index(b"\0", self._at)
        text, self._at = self._data[self._at : end].decode(), end + 1
        return text


def _rows(lines: Sequence[str]) -> Iterator[str]:
    return (line for line in lines if line.strip() and not line.startswith("#"))


def _text_lenses(lines: Sequence[str]) -> dict[int, Lens]:
    lenses = {}
    for line in _rows(lines):
        key, model, width, height, *parameters = line.split()
        if len(parameters) != _COUNTS.get(model, len(parameters)):
            raise ValueError(f"{model} with {len(parameters)} parameters")
        lenses[int(key)] = (model, int(width), int(height), tuple(map(float, parameters)))
    return lenses


def _binary_lenses(data: _Bytes) -> dict[int, Lens]:
    lenses = {}
    for _ in range(data.take("Q")[0]):
        key, number, width, height = data.take("iiQQ")
        model, count = MODELS[number]
        lenses[key] = (model, width, height, data.take(f"{count}d"))
    return lenses


def _text_poses(lines: Sequence[str]) -> list[Pose]:
    """Every second line, also where it is empty, holds the points of the image before it."""
    used = [line for line in lines if not line.startswith("#")]
    while used and not used[0].strip():
        used.pop(0)
    poses = []
    for line in used[::2]:
        if not line.strip():
            break
        _, *numbers, key, name = line.strip().split(maxsplit=9)
        values = np.array([float(number) for number in numbers])
        poses.append((name, values[:4], values[4:], int(key)))
    return poses


def _binary_poses(data: _Bytes) -> list[Pose]:
    poses = []
    for _ in range(data.take("Q")[0]):
        _, *numbers, key = data.take("i7di")
        name = data.word()
        data.skip(24 * data.take("Q")[0])
        poses.append((name, np.array(numbers[:4]), np.array(numbers[4:]), key))
    return poses


def _text_points(lines: Sequence[str]) -> list[Point]:
    return [tuple(map(float, line.split(maxsplit=7)[1:7])) for line in _rows(lines)]


def _binary_points(data: _Bytes) -> list[Point]:
    points: list[Point] = []
    for _ in range(data.take("Q")[0]):
        _, x, y, z, r, g, b, _ = data.take("Q3d3Bd")
        data.skip(8 * data.take("Q")[0])
        points.append((x, y, z, r, g, b))
    return points
