"""The teeth that GaussianAvatars adds to FLAME, by its published description: 120 vertices and 168 faces made from the two outer rings of the lips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.body.importers.source import SourceModel

UPPER_LIP = (1713, 1715, 1716, 1735, 1696, 1694, 1657, 3543, 2774, 2811, 2813, 2850, 2833, 2832, 2830)
LOWER_LIP = (1576, 1577, 1773, 1774, 1795, 1802, 1865, 3503, 2948, 2905, 2898, 2881, 2880, 2713, 2712)
"""Vertices of FLAME, from the subject's left (+x) to the right."""
COLUMNS = len(UPPER_LIP)
UR, LR, UE, LE, UR_BACK, UE_BACK, LR_BACK, LE_BACK = range(8)  # rows of 15 vertices: roots and edges of the upper and lower teeth, front and back
UPPER_ROWS = (UR, UE, UR_BACK, UE_BACK)
# The diagonals and windings of a strip between row A and row B: two triangles of (row, step along the row), A = 0, B = 1.
_P = (((0, 0), (1, 1), (1, 0)), ((0, 0), (0, 1), (1, 1)))
_P2 = (((0, 0), (0, 1), (1, 0)), ((0, 1), (1, 1), (1, 0)))
_Q = (((0, 0), (1, 0), (1, 1)), ((0, 0), (1, 1), (0, 1)))
_Q2 = (((0, 0), (1, 0), (0, 1)), ((0, 1), (1, 0), (1, 1)))
_STRIPS = (
    (UR, UE, _P, _P2),
    (UR_BACK, UE_BACK, _Q, _Q2),
    (UE_BACK, UE, _Q2, _Q),
    (LE, LR, _P2, _P),
    (LR_BACK, LE_BACK, _P, _P2),
    (LE_BACK, LE, _P2, _P),
)
"""Row A, row B, the pattern of the first seven columns and that of the other seven: front, back and cutting edge, upper and lower."""
_U, _V = np.linspace(0.62, 0.38, COLUMNS), np.linspace(1 - 0.0083, 1 - 0.0425, 7)[[3, 2, 0, 1, 3, 4, 6, 5]]


def with_teeth(model: SourceModel) -> SourceModel:
    """FLAME with teeth: V = 5143, F = 10144. They take the identity of the lips before them, no expression, and follow neck (upper) or jaw (lower)."""
    pairs = [list(UPPER_LIP), list(LOWER_LIP)]
    count, rows = len(model.template), np.arange(8 * COLUMNS) // COLUMNS
    lips = np.tile(model.identity[:, pairs].mean(axis=1), (1, 8, 1))
    upper = np.isin(rows, UPPER_ROWS)
    weights = np.zeros((len(rows), len(model.joint_names)))
    weights[np.arange(len(rows)), np.where(upper, model.joint_names.index("neck"), model.joint_names.index("jaw"))] = 1.0
    regions = {name: np.concatenate([mask, np.zeros(len(rows), bool)]) for name, mask in model.regions.items()}
    for name, mask in (("teeth_upper", upper), ("teeth_lower", ~upper), ("teeth", np.ones(len(rows), bool))):
        regions[name] = np.concatenate([np.zeros(count, bool), mask])
    strips = _faces()
    if model.uv_faces is not None:
        uv = np.stack([np.tile(_U, len(_V)), np.repeat(_V, COLUMNS)], 1)
        model = replace(model, uv=np.concatenate([model.uv, uv]), uv_faces=np.concatenate([model.uv_faces, len(model.uv) + strips]))
    return replace(
        model,
        template=np.concatenate([model.template, _positions(*model.template[pairs])]),
        faces=np.concatenate([model.faces, count + strips]),
        identity=np.concatenate([model.identity, lips], axis=1),
        expression=_padded(model.expression, 1, len(rows)),
        pose_basis=_padded(model.pose_basis, 1, len(rows)),
        regressor=_padded(model.regressor, 1, len(rows)),
        weights=np.concatenate([model.weights, weights]),
        regions=regions,
    )


def _positions(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """[120, 3] of the lip rings [15, 3]; y is up, z to the front."""
    d = np.linalg.norm(upper - lower, axis=1).mean()
    y, z = np.array([0, d, 0]), np.array([0, 0, d])
    middle = (upper + lower) / 2
    middle[:, 1] = middle[:, 1].mean()
    middle -= 1.5 * z
    upper_edge, lower_edge = middle + 0.1 * y, middle - 0.1 * y - 0.4 * z
    upper_root, lower_root = upper_edge + 2 * y, lower_edge - 2 * y
    return np.concatenate([upper_root, lower_root, upper_edge, lower_edge, upper_root - z, upper_edge - z, lower_root - z, lower_edge - z])


def _faces() -> np.ndarray:
    """[168, 3] numbers of teeth vertices."""
    faces = []
    for a, b, first, second in _STRIPS:
        for column in range(COLUMNS - 1):
            for triangle in first if column < COLUMNS // 2 else second:
                faces.append([COLUMNS * (a, b)[row] + column + step for row, step in triangle])
    return np.array(faces)


def _padded(array: np.ndarray, axis: int, count: int) -> np.ndarray:
    """With zeros for `count` more vertices."""
    return np.pad(array, [(0, count) if number == axis else (0, 0) for number in range(array.ndim)])
