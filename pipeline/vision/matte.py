"""What every matting gives, and how it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Matte:
    """rgba [H, W, 4] uint8: foreground colour (not premultiplied) and alpha; gain [3] and sigma as in `background.Background`, where there was a plate.

    corrected: whether a person segmentation was found fit to correct it (see `person`); None where none was asked for.
    """

    rgba: np.ndarray
    gain: np.ndarray | None = None
    sigma: float | None = None
    corrected: bool | None = None


class Matting(Protocol):
    """Separates a subject from its surroundings; `name` is the backend's."""

    name: str

    def matte(self, image: np.ndarray, plate: np.ndarray | None, visible: np.ndarray | None = None) -> Matte:
        """Foreground colour and alpha of one picture.

        Args:
            image, plate: uint8 [H, W, 3] RGB; plate is the empty scene of the same camera, or None.
            visible: uint8 [H, W], 0 where there is no picture (padding); None: it is picture everywhere.
        """
        ...
