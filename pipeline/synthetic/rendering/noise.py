"""Procedural noise for textures: smooth random fields over 3D space, independent of the image size (numba)."""

from __future__ import annotations

import numba
import numpy as np

PERIOD = 64
"""Cells after which the lattice repeats; a power of two."""


def lattice(rng: np.random.Generator) -> np.ndarray:
    """Random values of the lattice, float32 [64, 64, 64] in -1..1."""
    return rng.uniform(-1, 1, (PERIOD, PERIOD, PERIOD)).astype(np.float32)


@numba.njit(cache=True, fastmath=True, inline="always")
def smoothstep(low: float, high: float, x: float) -> float:
    """0 below `low`, 1 above `high`, a cubic between; reversed if low > high."""
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3 - 2 * t)


@numba.njit(cache=True, fastmath=True)
def value_noise(table: np.ndarray, x: float, y: float, z: float) -> float:
    """Smooth noise in -1..1 that varies over about one unit: Perlin's lattice with values instead of gradients."""
    fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
    u, v, w = x - fx, y - fy, z - fz
    i, j, k = int(fx) & (PERIOD - 1), int(fy) & (PERIOD - 1), int(fz) & (PERIOD - 1)
    i1, j1, k1 = (i + 1) & (PERIOD - 1), (j + 1) & (PERIOD - 1), (k + 1) & (PERIOD - 1)
    u, v, w = u * u * (3 - 2 * u), v * v * (3 - 2 * v), w * w * (3 - 2 * w)
    front = (table[k, j, i] * (1 - u) + table[k, j, i1] * u) * (1 - v) + (table[k, j1, i] * (1 - u) + table[k, j1, i1] * u) * v
    back = (table[k1, j, i] * (1 - u) + table[k1, j, i1] * u) * (1 - v) + (table[k1, j1, i] * (1 - u) + table[k1, j1, i1] * u) * v
    return front * (1 - w) + back * w


@numba.njit(cache=True, fastmath=True)
def spots(table: np.ndarray, x: float, y: float, z: float, share: float) -> float:
    """Round spots, at most one per unit cell: 1 at the centre of a spot, 0 outside. The fraction `share` of the cells has one."""
    fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
    i, j, k = int(fx) & (PERIOD - 1), int(fy) & (PERIOD - 1), int(fz) & (PERIOD - 1)
    if table[k, j, i] > 2 * share - 1:
        return 0.0
    # the neighbours' values serve as four more random numbers of this cell
    dx = x - fx - 0.5 - 0.2 * table[k, j, i - 1]
    dy = y - fy - 0.5 - 0.2 * table[k, j - 1, i]
    dz = z - fz - 0.5 - 0.2 * table[k - 1, j, i]
    radius = 0.2 + 0.1 * table[k, j - 1, i - 1]
    return smoothstep(radius, 0.4 * radius, np.sqrt(dx * dx + dy * dy + dz * dz))
