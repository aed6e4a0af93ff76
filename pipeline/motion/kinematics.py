"""Forward kinematics of any skeleton on rotation matrices, in float64."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def global_rotations(local: np.ndarray, parents: Sequence[int]) -> np.ndarray:
    """Rotations [T, J, 3, 3] of the joints from rest, of those in the axes of their parents."""
    R = np.empty_like(local)
    for joint, parent in enumerate(parents):
        R[:, joint] = local[:, joint] if parent < 0 else R[:, parent] @ local[:, joint]
    return R


def local_rotations(R: np.ndarray, parents: Sequence[int]) -> np.ndarray:
    """Inverse of `global_rotations`."""
    above = [max(parent, 0) for parent in parents]
    local = np.swapaxes(R[:, above], -1, -2) @ R
    local[:, 0] = R[:, 0]
    return local


def positions(R: np.ndarray, root: np.ndarray, rest: np.ndarray, parents: Sequence[int]) -> np.ndarray:
    """Positions [T, J, 3] of the joints, of their global rotations, the root's path [T, 3] and the rest positions [J, 3]."""
    places = np.empty((*R.shape[:2], 3))
    for joint, parent in enumerate(parents):
        places[:, joint] = root if parent < 0 else places[:, parent] + R[:, parent] @ (rest[joint] - rest[parent])
    return places
