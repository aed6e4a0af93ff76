"""Per-pixel image operations that several matting steps share."""

from __future__ import annotations

import cv2
import numpy as np


def channel_sum(image: np.ndarray) -> np.ndarray:
    """[H, W] sum over the last axis of [H, W, 3] float32. NumPy takes ten times as long over such a short axis."""
    return cv2.transform(image, np.ones((1, 3), np.float32))


def gradient_magnitude(grey: np.ndarray) -> np.ndarray:
    """[H, W] Sobel gradient magnitude of [H, W] float32, in its units per pixel."""
    x, y = (cv2.Sobel(grey, cv2.CV_32F, *order, scale=0.125) for order in ((1, 0), (0, 1)))
    # not cv2.magnitude: with Intel's IPP its last bits depend on where the result lies in memory
    return np.sqrt(x * x + y * y)


def normalised_distance(difference: np.ndarray, noise: np.ndarray, size: int = 3) -> np.ndarray:
    """[H, W] root mean square of difference [H, W, 3] / noise [H, W] over a window of `size` pixels."""
    # running sums may end slightly below zero
    return np.sqrt(np.maximum(cv2.blur(channel_sum(difference**2) / (3 * noise**2), (size, size)), 0))
