"""Scenes without a background: every pixel is the subject."""

from __future__ import annotations

import numpy as np

from pipeline.vision.matting.interface import Matte


class WholeMatting:
    """Alpha of 255 wherever the camera has a pixel."""

    name = "whole"

    def matte(self, image: np.ndarray, plate: np.ndarray | None, visible: np.ndarray | None = None) -> Matte:
        """See `Matting.matte`."""
        alpha = np.full(image.shape[:2], 255, np.uint8) if visible is None else np.where(visible > 0, 255, 0).astype(np.uint8)
        return Matte(np.dstack([image, alpha]))
