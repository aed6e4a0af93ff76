"""Ambient occlusion of a mesh."""

from __future__ import annotations

import numpy as np
import scipy.ndimage
import torch

from pipeline.mesh.raster import zbuffer
from pipeline.mesh.topology import vertex_normals


def ambient_visibility(points: np.ndarray, faces: np.ndarray, views: int = 32, size: int = 192) -> np.ndarray:
    """Fraction of the ambient light that reaches each vertex, [V] in 0..1, from parallel depth maps.

    Landis, "Production-ready global illumination", SIGGRAPH 2002 course 16, with depth maps in place of rays; weighted by
    the cosine to the normal.

    Args:
        points: [V, 3] millimetres. faces: [F, 3].
        views: number of depth maps. size: their width and height in pixels.
    """
    normals = vertex_normals(torch.from_numpy(points.astype(np.float64)), torch.from_numpy(faces.astype(np.int64))).numpy()
    radius = np.abs(points - points.mean(axis=0)).max() * 1.8
    visible, total = np.zeros(len(points)), np.full(len(points), 1e-6)
    for direction in _fibonacci_sphere(views):
        side = np.cross(direction, [0.31, 0.2, 0.93] if abs(direction[2]) < 0.8 else [0.0, 1.0, 0.0])
        side /= np.linalg.norm(side)
        pixels = np.stack([points @ side, points @ np.cross(direction, side)], axis=1)
        pixels = (pixels - pixels.mean(axis=0)) * (size / (2 * radius)) + size / 2
        depth = radius * 4 - points @ direction
        nearest = scipy.ndimage.maximum_filter(zbuffer(pixels, depth, faces, size, size).depth, 3)
        column, row = np.clip(pixels.astype(int), 0, size - 1).T
        cosine = np.maximum(normals @ direction, 0)
        total += cosine
        visible += cosine * (depth < nearest[row, column] + 2.0)
    return np.clip(visible / total, 0, 1)


def _fibonacci_sphere(count: int) -> np.ndarray:
    """Evenly spread directions [count, 3] (Fibonacci lattice)."""
    index = np.arange(count) + 0.5
    height, angle = 1 - 2 * index / count, np.pi * (1 + 5**0.5) * index
    radius = np.sqrt(1 - height**2)
    return np.stack([radius * np.cos(angle), height, radius * np.sin(angle)], axis=1)
