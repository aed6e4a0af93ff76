"""Mattes that the user gave: their alpha, with the foreground's colour at soft edges."""

from __future__ import annotations

import numpy as np

from pipeline.vision.matting.foreground import without_plate
from pipeline.vision.matting.interface import Matte

CERTAIN = 4  # grey levels from 0 and 255 that count as background and foreground: resampling and video codecs ring


def given_matte(image: np.ndarray, alpha: np.ndarray, visible: np.ndarray | None) -> Matte:
    """Foreground colour and alpha of an image [H, W, 3] from the user's alpha [H, W], both uint8. visible: 0 in padding; None: no padding."""
    shown = np.ones(alpha.shape, bool) if visible is None else visible > 0
    foreground, background = shown & (alpha > 255 - CERTAIN), (alpha < CERTAIN) | ~shown
    share = np.where(foreground, 1.0, np.where(background, 0.0, alpha / 255.0))
    return Matte(without_plate(image, share, foreground, background & shown))
