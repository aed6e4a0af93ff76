"""Rotation vectors and matrices, batched, in numpy."""

from __future__ import annotations

import numpy as np


def skew(v: np.ndarray) -> np.ndarray:
    """Matrices [..., 3, 3] with `skew(v) @ x = v x x` for vectors v [..., 3]."""
    zero = np.zeros_like(v[..., 0])
    x, y, z = v[..., 0], v[..., 1], v[..., 2]
    return np.stack([np.stack([zero, -z, y], -1), np.stack([z, zero, -x], -1), np.stack([-y, x, zero], -1)], -2)


def exp_so3(v: np.ndarray) -> np.ndarray:
    """Rotation matrices [..., 3, 3] of axis-angle vectors [..., 3], radians (Rodrigues' formula)."""
    v = np.asarray(v, np.float64)
    angle = np.linalg.norm(v, axis=-1)[..., None, None]
    safe = np.maximum(angle, 1e-8)
    K = skew(v)
    return np.eye(3) + np.sin(safe) / safe * K + (1 - np.cos(safe)) / safe**2 * (K @ K)


def log_so3(R: np.ndarray) -> np.ndarray:
    """Axis-angle vectors [..., 3] of rotation matrices [..., 3, 3], angle in [0, pi]."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_matrix(R.reshape(-1, 3, 3)).as_rotvec().reshape(*R.shape[:-2], 3)
