"""The parameters of a motion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Motion:
    """One sequence of T frames in the subject's space.

    Attributes:
        expression: [T, E], 0 to 1. pose: [T, J, 3] axis-angle. translation: [T, 3] metres.
    """

    expression: np.ndarray
    pose: np.ndarray
    translation: np.ndarray
