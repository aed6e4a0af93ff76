"""Cast shadows on the background."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.vision.matting.image_ops import channel_sum, gradient_magnitude, normalised_distance

DARKEST = 0.45  # a shadow keeps more than this fraction of the plate's light
MAX_SLOPE = 0.035  # largest change of that fraction per pixel at a soft edge, for images of 400 pixels on the longer side
COLOUR_ERROR = 1.6  # noise units by which the darkened plate may differ from the image
CHANGED = 1.6  # noise units over a 3x3 window from which a pixel is not background
OPEN_BORDER = 0.08  # fraction of its border over which a shadow fades into lit background
_SQUARE = np.ones((5, 5), np.uint8)


def find_shadows(
    image: np.ndarray,
    plate: np.ndarray,
    noise: np.ndarray,
    distance: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Where the background is only darker: same chromaticity and texture, no sharp edge.

    Args:
        image, plate: [H, W, 3] float32, 0..255, at the same exposure.
        noise: [H, W] expected noise, grey levels.
        distance: [H, W] normalised distance of the image from the plate.

    Returns:
        shadow [H, W] bool and light [H, W], the remaining fraction of the light.
    """
    light = cv2.blur(channel_sum(image * plate), (5, 5)) / (cv2.blur(channel_sum(plate**2), (5, 5)) + 1)
    other_colour = normalised_distance(image - light[..., None] * plate, noise, 5) > COLOUR_ERROR
    soft = gradient_magnitude(light) < MAX_SLOPE * 400 / max(plate.shape[:2])
    changed = distance > CHANGED
    candidates = (changed & soft & ~other_colour & (light > DARKEST) & (light < 1)).astype(np.uint8)
    candidates = cv2.morphologyEx(cv2.morphologyEx(candidates, cv2.MORPH_CLOSE, _SQUARE), cv2.MORPH_OPEN, _SQUARE)
    return _fading(candidates, changed), light


def shade_plate(plate: np.ndarray, shadow: np.ndarray, light: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Extend the shadow to where the subject hides it.

    Returns:
        near [H, W] bool, within the averaging window of the shadow, and the darkened plate [H, W, 3].
    """
    window = (2 * round(max(shadow.shape) / 60) + 1,) * 2
    weight = cv2.blur(shadow.astype(np.float32), window)
    mean = cv2.blur(np.where(shadow, light, 0).astype(np.float32), window) / np.maximum(weight, 1e-6)
    return weight > 1e-3, plate * np.where(shadow, light, mean)[..., None]


def _fading(candidates: np.ndarray, changed: np.ndarray) -> np.ndarray:
    """[H, W] bool: components of `candidates` that fade into a large area of unchanged background.

    Objects end at a sharp edge, so the border of theirs has changed too.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats((~changed).astype(np.uint8), connectivity=4)
    large = stats[:, cv2.CC_STAT_AREA] >= 0.01 * changed.size
    changed = changed | ~large[labels]
    count, labels = cv2.connectedComponents(candidates, connectivity=4)
    dilated = cv2.dilate(labels.astype(np.uint16), _SQUARE)
    border = (labels == 0) & (dilated > 0)
    border_pixels = np.bincount(dilated[border], minlength=count)
    fades = np.bincount(dilated[border & ~changed], minlength=count) > OPEN_BORDER * np.maximum(border_pixels, 1)
    fades[0] = False
    return fades[labels] | (fades[dilated] & border & ~changed)
