"""Wavefront OBJ meshes: vertices, faces (polygons as fans of triangles) and texture coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.io.documents import MOST_BYTES, check_file
from pipeline.io.errors import InputError

_EXPECTED, _REMEDY = "a Wavefront OBJ file", "give the mesh as it was downloaded"


@dataclass(frozen=True)
class Mesh:
    """vertices: [V, 3] float64. faces: [F, 3] int64. uv: [U, 2]; uv_faces: [F, 3], or None without texture coordinates."""

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    uv_faces: np.ndarray | None


def read_obj(path: Path) -> Mesh:
    """Read a mesh. Raises InputError where the file is missing, too large, or not a mesh."""
    check_file(path, MOST_BYTES, _EXPECTED, f"correct its path, or {_REMEDY}")
    lines: dict[bytes, list[bytes]] = {b"v": [], b"vt": [], b"f": []}
    for line in path.read_bytes().split(b"\n"):
        kind, _, rest = line.strip().partition(b" ")
        if kind in lines:
            lines[kind].append(rest)
    try:
        vertices, uv = _numbers(lines[b"v"], 3), _numbers(lines[b"vt"], 2)
        corners = [_triangles(line, len(vertices), len(uv)) for line in lines[b"f"]]
        faces = np.array([corner for fan in corners for corner in fan], np.int64).reshape(-1, 3, 2)
    except (ValueError, IndexError, OverflowError) as error:
        raise InputError("cannot be read as a mesh", file=path, found=error, expected=_EXPECTED, remedy=_REMEDY) from None
    if not len(vertices) or not len(faces):
        raise InputError("holds no mesh", file=path, found=f"{len(vertices)} vertices, {len(faces)} faces", expected=_EXPECTED, remedy=_REMEDY)
    textured = bool((faces[..., 1] >= 0).all())
    return Mesh(vertices, faces[..., 0], uv, faces[..., 1] if textured else None)


def _numbers(lines: list[bytes], width: int) -> np.ndarray:
    array = np.array([line.split()[:width] for line in lines], np.float64).reshape(-1, width)
    if not (np.abs(array) < 1e9).all():
        raise ValueError("a coordinate that is not a finite number")
    return array


def _triangles(line: bytes, vertices: int, textures: int) -> list[list[tuple[int, int]]]:
    """The fan of a polygon; corners as (vertex, texture coordinate), the latter -1 where there is none."""
    corners = []
    for word in line.split():
        parts = word.split(b"/")
        texture = _index(parts[1], textures) if len(parts) > 1 and parts[1] else -1
        corners.append((_index(parts[0], vertices), texture))
    if len(corners) < 3:
        raise ValueError(f"a face of {len(corners)} corners")
    return [[corners[0], first, second] for first, second in zip(corners[1:], corners[2:])]


def _index(text: bytes, count: int) -> int:
    """From 1 on, or from the end with a minus."""
    number = int(text[:12])
    place = number - 1 if number > 0 else count + number
    if not 0 <= place < count or number == 0:
        raise ValueError(f"a face with corner {number} of {count}")
    return place
