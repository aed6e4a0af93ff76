"""Alpha and foreground colour of mixed pixels, C = a F + (1 - a) B."""

from __future__ import annotations

import cv2
import numpy as np

COLOUR_SIGMA = 20.0  # grey levels, prior standard deviation of a foreground colour around the nearest known one; set by hand
NOISE = 3.0  # image noise assumed without a plate, grey levels
MIN_CONTRAST = 5.0  # noise units of |F - B| at which projection and mask have equal weight


def nearest_colour(image: np.ndarray, known: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Mean colour [N, 3] around the nearest known pixel of each query pixel.

    Args:
        image: [H, W, 3] float32.
        known, query: [H, W] bool; N query pixels.
    """
    mask = known.astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(1 - mask, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    source = np.zeros(labels.max() + 1, np.int64)
    source[labels[known]] = np.flatnonzero(known)
    nearest = source[labels[query]]
    total, weight = cv2.blur(cv2.copyTo(image, mask), (3, 3)), cv2.blur(mask.astype(np.float32), (3, 3))
    return total.reshape(-1, 3)[nearest] / weight.reshape(-1, 1)[nearest]


def project_alpha(
    colour: np.ndarray,
    foreground: np.ndarray,
    plate: np.ndarray,
    noise: np.ndarray,
    mask: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Alpha by projection of the colour onto the line from plate to foreground, a = <C - B, F - B> / |F - B|^2.

    Where F and B are similar, noise dominates the projection; it is blended with the mask there.

    Args:
        colour, foreground, plate: C, F, B [N, 3], 0..255.
        noise: [N] grey levels.
        mask: [N] smoothed foreground mask, 0..1.

    Returns:
        alpha [N] and its variance from noise [N].
    """
    line = foreground - plate
    squared_length = np.einsum("nc,nc->n", line, line)
    alpha = np.einsum("nc,nc->n", colour - plate, line) / np.maximum(squared_length, 1e-3)
    weight = squared_length / (squared_length + MIN_CONTRAST**2 * noise**2)
    return weight * np.clip(alpha, 0, 1) + (1 - weight) * mask, noise**2 / np.maximum(squared_length, 1e-3)


def solve_foreground(
    colour: np.ndarray,
    plate: np.ndarray,
    foreground: np.ndarray,
    alpha: np.ndarray,
    noise: np.ndarray,
) -> np.ndarray:
    """Foreground F [N, 3] of C = a F + (1 - a) B, regularised towards the nearest known colour F0.

    Least squares with a normal prior of standard deviation s0 = COLOUR_SIGMA around F0 and noise s:
    F = F0 + a / (a^2 + s^2 / s0^2) (C - a F0 - (1 - a) B).

    Args:
        colour, plate, foreground: C, B, F0 [N, 3], 0..255.
        alpha: [N], 0..1.
        noise: [N] grey levels.
    """
    a = alpha[:, None]
    error = colour - a * foreground - (1 - a) * plate
    return np.clip(foreground + a / (a**2 + (noise[:, None] / COLOUR_SIGMA) ** 2) * error, 0, 255)


def without_plate(image: np.ndarray, alpha: np.ndarray, foreground: np.ndarray, background: np.ndarray) -> np.ndarray:
    """RGBA uint8 [H, W, 4] of an image and its alpha: mixed pixels get the foreground's colour, by the nearest certain colours of both sides.

    Args:
        image: [H, W, 3] uint8. alpha: [H, W] 0..1. foreground, background: [H, W] bool, where certain.
    """
    colour = np.where(alpha[..., None] > 0, image, 0).astype(np.uint8)
    edge = (alpha > 0) & (alpha < 1)
    if edge.any() and foreground.any() and background.any():
        known = image.astype(np.float32)
        plate, nearest = nearest_colour(known, background, edge), nearest_colour(known, foreground, edge)
        noise = np.full(edge.sum(), NOISE, np.float32)
        colour[edge] = solve_foreground(known[edge], plate, nearest, alpha[edge], noise).round()
    return np.dstack([colour, (alpha * 255).round().astype(np.uint8)])
