"""Colour maps of image differences."""

from __future__ import annotations

import cv2
import numpy as np

FULL_ERROR = 0.25  # mean absolute difference (colours 0 to 1) at the bright end of the colour map


def error_map(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean absolute difference over the channels of two float images [H, W, 3] in 0..1, as uint8 RGB [H, W, 3].

    Black: equal. Brightest: FULL_ERROR or more.
    """
    error = np.clip(np.abs(a - b).mean(-1) / FULL_ERROR, 0, 1)
    colors = cv2.applyColorMap(np.rint(error * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return cv2.cvtColor(colors, cv2.COLOR_BGR2RGB)
