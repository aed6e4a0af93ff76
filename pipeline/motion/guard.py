"""Poses kept near those that the avatar was trained with: where it was never trained, splats tear."""

from __future__ import annotations

import numpy as np

from pipeline.geometry.rotations import matrix_to_rotvec, rotvec_to_matrix
from pipeline.motion.target import Target

COMPONENTS, SIGMAS = 20, 2.0


def near_tracked(rotations: np.ndarray, expression: np.ndarray, target: Target) -> tuple[np.ndarray, np.ndarray]:
    """Local rotations [T, J, 3, 3] (but the root's) and expressions [T, E], brought into the span of the tracked ones.

    Both are projected on the first principal components of the tracked frames, and no coefficient exceeds two standard deviations.
    """
    tracked = matrix_to_rotvec(target.rotations[:, 1:]).reshape(len(target.rotations), -1)
    values = matrix_to_rotvec(rotations[:, 1:])
    kept = rotvec_to_matrix(clamped(values.reshape(len(values), -1), tracked).reshape(values.shape))
    return np.concatenate([rotations[:, :1], kept], axis=1), clamped(expression, target.expression)


def clamped(values: np.ndarray, tracked: np.ndarray, components: int = COMPONENTS, sigmas: float = SIGMAS) -> np.ndarray:
    """Rows of `values` [T, N] projected on the principal components of the rows of `tracked` [F, N], coefficients within `sigmas` standard deviations."""
    mean = tracked.mean(0)
    _, scales, axes = np.linalg.svd(tracked - mean, full_matrices=False)
    axes, deviation = axes[:components], scales[:components] / np.sqrt(max(len(tracked) - 1, 1))
    coefficients = np.clip((values - mean) @ axes.T, -sigmas * deviation, sigmas * deviation)
    return mean + coefficients @ axes
