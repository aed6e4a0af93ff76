"""Colour maps of images that hold one value per pixel."""

from __future__ import annotations

import cv2
import numpy as np

FULL_ERROR = 0.25  # mean absolute difference (colours 0 to 1) at the bright end of the colour map


def error_map(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean absolute difference over the channels of two float images [H, W, 3] in 0..1, as uint8 RGB [H, W, 3].

    Black: equal. Brightest: FULL_ERROR or more.
    """
    return color_map(np.abs(a - b).mean(-1), 0, FULL_ERROR, cv2.COLORMAP_INFERNO)


def color_map(values: np.ndarray, low: float, high: float, colors: int = cv2.COLORMAP_TURBO) -> np.ndarray:
    """Values [H, W] as uint8 RGB [H, W, 3], from the first colour at `low` and below to the last one at `high` and above.

    Args:
        colors: one of OpenCV's colour maps.
    """
    share = np.clip((values - low) / max(high - low, 1e-12), 0, 1)
    return cv2.cvtColor(cv2.applyColorMap(np.rint(share * 255).astype(np.uint8), colors), cv2.COLOR_BGR2RGB)
