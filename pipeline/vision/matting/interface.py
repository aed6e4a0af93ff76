"""The interface of matting backends and their result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Matte:
    """Result for one image.

    Attributes:
        rgba: [H, W, 4] uint8, foreground colour (not premultiplied) and alpha.
        gain: [3] exposure gain image / plate, sigma: image noise in grey levels; None without a plate (see `PlateDifference`).
        corrected: whether a person segmentation corrected the matte; None where none ran (see `person_correction`).
    """

    rgba: np.ndarray
    gain: np.ndarray | None = None
    sigma: float | None = None
    corrected: bool | None = None


class Matting(Protocol):
    """Separates the subject from the background; `name` is the backend's."""

    name: str

    def matte(self, image: np.ndarray, plate: np.ndarray | None, visible: np.ndarray | None = None) -> Matte:
        """Foreground colour and alpha of one image.

        Args:
            image: [H, W, 3] uint8 RGB.
            plate: [H, W, 3] uint8 RGB, the empty scene of the same camera, or None.
            visible: [H, W] uint8, 0 in padding; None: no padding.
        """
        ...
