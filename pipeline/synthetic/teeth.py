"""Two curved strips of teeth: the upper one moves with the skull, the lower one with the jaw."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.synthetic.rendering.parts import TEETH_LOWER, TEETH_UPPER

COLUMNS, ROWS, HEIGHT = 25, 4, 10.5
_CURVATURE = 0.030  # of the dental arch: z = front - _CURVATURE x^2, millimetres


class Teeth(NamedTuple):
    """One strip.

    Attributes:
        points: [N, 3] texture space, millimetres. faces: [F, 3]. part: label, see parts.py.
        texture: [N, 3] own texture coordinates: along the arch, from edge to gum, 0.
    """

    points: np.ndarray
    faces: np.ndarray
    texture: np.ndarray
    part: int


def make_teeth() -> tuple[Teeth, Teeth]:
    """Upper and lower strip in a closed mouth."""
    return _strip(20.5, -72.8, 1.0, TEETH_UPPER), _strip(18.4, -71.4, -1.0, TEETH_LOWER)


def _strip(front: float, edge: float, towards_gum: float, part: int) -> Teeth:
    """A strip with its front at z = front and its biting edge at y = edge; towards_gum: +1 up, -1 down."""
    x = np.linspace(-22, 22, COLUMNS)
    along = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(_CURVATURE * x**2)))])
    along -= along[-1] / 2
    y = np.linspace(0, HEIGHT, ROWS)
    points = _grid(x, edge + towards_gum * y[:, None], front - _CURVATURE * x**2)
    texture = _grid(along, y[:, None], np.zeros(1))
    index = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    a, b, c, d = (index[i : ROWS - 1 + i, j : COLUMNS - 1 + j].ravel() for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)))
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])
    if towards_gum < 0:
        faces = faces[:, ::-1]
    return Teeth(points, faces.astype(np.int32), texture, part)


def _grid(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """[ROWS * COLUMNS, 3] of coordinates that broadcast to [ROWS, COLUMNS]."""
    return np.stack([np.broadcast_to(a, (ROWS, COLUMNS)) for a in (x, y, z)], axis=-1).reshape(-1, 3)


def rigid_motion(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """R [3, 3] and t [3] with target ~ R source + t in least squares (Kabsch 1976); source, target [N, 3].

    Not `umeyama` with scale 1, which gives other rounding errors and so other bytes.
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    u, _, vt = np.linalg.svd((target - target_mean).T @ (source - source_mean))
    flip = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
    R = u @ flip @ vt
    return R, target_mean - R @ source_mean
