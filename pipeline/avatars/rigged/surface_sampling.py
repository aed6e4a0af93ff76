"""Where the first splats are placed: evenly on the surface of a mesh."""

from __future__ import annotations

import numpy as np
import torch

from pipeline.geometry.triangle_frames import triangle_frames

_GOLDEN = np.array([0.7548776662466927, 0.5698402909980532])  # the plastic number's R2 sequence (Roberts 2018): evenly spread points of a square


def scatter(vertices: np.ndarray, faces: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points on the triangles: at least one each, the rest in proportion to the area.

    Args:
        vertices: [V, 3] metres. faces: [F, 3]. count: how many points to aim at.

    Returns:
        face [N] int64 (ascending), barycentric [N, 3], spacing [N] metres: side of the square that a point has to itself.
    """
    corners = vertices[faces].astype(np.float64)
    areas = 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    share = _share(areas, count)
    face = np.repeat(np.arange(len(faces)), share)
    within = np.arange(len(face)) - np.repeat(np.cumsum(share) - share, share)
    start = np.random.default_rng(seed).random((len(faces), 2))
    u = (start[face] + within[:, None] * _GOLDEN) % 1.0
    root = np.sqrt(u[:, :1])
    barycentric = np.concatenate([1 - root, root * (1 - u[:, 1:]), root * u[:, 1:]], axis=1)
    alone = (share == 1)[face]
    barycentric[alone] = 1 / 3
    return face, barycentric, np.sqrt(areas[face] / share[face])


def local_coordinates(vertices: np.ndarray, faces: np.ndarray, face: np.ndarray, barycentric: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points on triangles in the frames of those triangles: [N, 3] in units of the size, and the sizes [N] in metres."""
    points = np.einsum("nk,nkc->nc", barycentric, vertices[faces[face]])
    T, R, s = (x.numpy()[face] for x in triangle_frames(torch.from_numpy(np.asarray(vertices, np.float64)), torch.from_numpy(np.asarray(faces, np.int64))))
    return np.einsum("nck,nc->nk", R, points - T) / s[:, None], s


def _share(areas: np.ndarray, count: int) -> np.ndarray:
    """Whole numbers >= 1, in proportion to the areas, whose sum is near `count`."""
    spare = max(count - len(areas), 0)
    low, high = 0.0, spare / areas.sum() + count / areas.sum()
    for _ in range(50):  # the number of points grows with the density: bisect for it
        density = 0.5 * (low + high)
        low, high = (density, high) if np.maximum(np.round(density * areas), 1).sum() < count else (low, density)
    return np.maximum(np.round(high * areas), 1).astype(np.int64)
