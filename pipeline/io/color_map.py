"""Differences of images as colours."""

from __future__ import annotations

import cv2
import numpy as np

FULL_ERROR = 0.25  # mean absolute difference (colours 0 to 1) that is shown brightest


def error_map(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Absolute difference of two float images [H, W, 3] in 0..1, mean over channels, as uint8 RGB: black is equal, brightest is FULL_ERROR or more."""
    error = np.clip(np.abs(a - b).mean(-1) / FULL_ERROR, 0, 1)
    return cv2.cvtColor(cv2.applyColorMap(np.rint(error * 255).astype(np.uint8), cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
