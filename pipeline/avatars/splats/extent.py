"""How large a scene is, by its cameras."""

from __future__ import annotations

import numpy as np


def scene_extent(centres: np.ndarray) -> float:
    """1.1 times the largest distance of a camera [C, 3] from the mean of all, world units; 1 where all are at one place (3DGS has 0 there, and does not learn)."""
    extent = 1.1 * float(np.linalg.norm(centres - centres.mean(0), axis=1).max())
    return extent if extent > 1e-6 else 1.0
