"""The guided filter: smooths an alpha matte along the edges of an image."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.vision.matting.image_ops import channel_sum


def guided_filter(guide: np.ndarray, values: np.ndarray, radius: int = 6, epsilon: float = 1e-5) -> np.ndarray:
    """Filter `values` so that within each window it is an affine function of the guide's colour.

    He, Sun and Tang, Guided Image Filtering, PAMI 2013: equations 14 and 15 (colour guide), 16 (mean of the windows'
    coefficients). The coefficients are computed at half the resolution: He and Sun, Fast Guided Filter, 2015.

    Args:
        guide: [H, W, 3] float32, 0..1.
        values: [H, W] float32.
        radius: half size of the square window, pixels.
        epsilon: regularisation: variance of the guide below which a window counts as flat.

    Returns:
        [H, W] float32.
    """
    half = (max(guide.shape[1] // 2, 1), max(guide.shape[0] // 2, 1))
    small_guide = cv2.resize(guide, half, interpolation=cv2.INTER_AREA)
    small_values = cv2.resize(values, half, interpolation=cv2.INTER_AREA)
    coefficients = _coefficients(small_guide, small_values, max(radius // 2, 1), epsilon)
    slope, offset = (cv2.resize(x, guide.shape[1::-1], interpolation=cv2.INTER_LINEAR) for x in coefficients)
    return channel_sum(slope * guide) + offset


def _coefficients(guide: np.ndarray, values: np.ndarray, radius: int, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    """Slope [H, W, 3] and offset [H, W] of the affine functions, averaged over the windows that contain a pixel."""
    size = (2 * radius + 1, 2 * radius + 1)
    mean_guide, mean_values = cv2.blur(guide, size), cv2.blur(values, size)
    covariance = cv2.blur(guide * values[..., None], size) - mean_guide * mean_values[..., None]
    variance = cv2.blur(guide * guide, size) - mean_guide * mean_guide  # xx yy zz
    rolled, mean_rolled = np.roll(guide, -1, axis=-1), np.roll(mean_guide, -1, axis=-1)
    cross = cv2.blur(guide * rolled, size) - mean_guide * mean_rolled  # xy yz zx
    slope = _solve_symmetric(variance, cross, covariance, epsilon)
    offset = mean_values - channel_sum(slope * mean_guide)
    return cv2.blur(slope, size), cv2.blur(offset, size)


def _solve_symmetric(diagonal: np.ndarray, cross: np.ndarray, right: np.ndarray, epsilon: float) -> np.ndarray:
    """Solve (S + epsilon 1) x = right per pixel; `diagonal` holds xx yy zz of S, `cross` xy yz zx, all [..., 3] float32.

    In double precision: where the guide's colours lie on a line, the determinant is of the order of epsilon squared.
    """
    xx, yy, zz = (diagonal[..., i].astype(np.float64) + epsilon for i in range(3))
    xy, yz, xz = (cross[..., i].astype(np.float64) for i in range(3))
    a = yy * zz - yz * yz  # the adjugate: a b c / b d e / c e f
    b = xz * yz - xy * zz
    c = xy * yz - xz * yy
    d = xx * zz - xz * xz
    e = xy * xz - xx * yz
    f = xx * yy - xy * xy
    determinant = xx * a + xy * b + xz * c
    u, v, w = (right[..., i] for i in range(3))
    solution = a * u + b * v + c * w, b * u + d * v + e * w, c * u + e * v + f * w
    return cv2.merge([(x / determinant).astype(np.float32) for x in solution])
