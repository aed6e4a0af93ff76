"""Two curved strips of teeth in the mouth: the upper one sits on the skull, the lower one goes with the jaw."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.synthetic.parts import TEETH_LOWER, TEETH_UPPER

COLUMNS, ROWS, HEIGHT = 25, 4, 10.5
_BACK = 0.030  # how fast the arch runs backwards: z = front - _BACK x^2, millimetres


class Teeth(NamedTuple):
    """One strip: places [N,3] on the canvas (mm), faces [F,3], paint [N,3] its own coordinates (along the arch, from edge to gum, 0), part."""

    places: np.ndarray
    faces: np.ndarray
    paint: np.ndarray
    part: int


def make_teeth() -> tuple[Teeth, Teeth]:
    """Upper and lower strip in a closed mouth."""
    return _strip(20.5, -72.8, 1.0, TEETH_UPPER), _strip(18.4, -71.4, -1.0, TEETH_LOWER)


def _strip(front: float, edge: float, towards_gum: float, part: int) -> Teeth:
    x = np.linspace(-22, 22, COLUMNS)
    along = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(_BACK * x**2)))])
    along -= along[-1] / 2
    y = np.linspace(0, HEIGHT, ROWS)
    places = np.stack([np.broadcast_to(a, (ROWS, COLUMNS)) for a in (x, edge + towards_gum * y[:, None], front - _BACK * x**2)], axis=-1)
    paint = np.stack([np.broadcast_to(a, (ROWS, COLUMNS)) for a in (along, y[:, None], 0.0)], axis=-1)
    index = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    a, b, c, d = (index[i : ROWS - 1 + i, j : COLUMNS - 1 + j].ravel() for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)))
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])
    if towards_gum < 0:
        faces = faces[:, ::-1]
    return Teeth(places.reshape(-1, 3), faces.astype(np.int32), paint.reshape(-1, 3), part)


def rigid_motion(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation R [3,3] and shift t [3] with target ~ R source + t in the least squares sense (Kabsch 1976). source, target [N,3]."""
    middle, there = source.mean(axis=0), target.mean(axis=0)
    u, _, vt = np.linalg.svd((target - there).T @ (source - middle))
    flip = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
    R = u @ flip @ vt
    return R, there - R @ middle
