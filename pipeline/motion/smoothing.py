"""Motions smoothed over time, without delay."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from pipeline.geometry.rotations import nearest_rotation


def smoothed(rotations: np.ndarray, root: np.ndarray, expression: np.ndarray, frames: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Local rotations [T, J, 3, 3], root path [T, 3] and expressions [T, E] under a Gaussian over time; rotations are the nearest to the weighted mean.

    Args:
        frames: its standard deviation in frames.
    """
    turned = nearest_rotation(gaussian_filter1d(rotations, frames, axis=0, mode="nearest"))
    others = (gaussian_filter1d(values, frames, axis=0, mode="nearest") for values in (root, expression))
    return (turned, *others)
