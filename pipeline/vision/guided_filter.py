"""The guided filter: smooths an alpha matte along the colours of the picture."""

from __future__ import annotations

import cv2
import numpy as np


def guided_filter(guide: np.ndarray, values: np.ndarray, radius: int = 6, epsilon: float = 1e-5) -> np.ndarray:
    """Filter `values` so that within each window it is an affine function of the guide's colour.

    He, Sun and Tang, Guided Image Filtering, PAMI 2013: equations 14 and 15 (colour guide), 16 (mean of the windows' coefficients). The coefficients,
    which are smooth, come from half the resolution: He and Sun, Fast Guided Filter, 2015.

    Args:
        guide: [H, W, 3] float32, 0..1. values: [H, W] float32.
        radius: half size of the square window, pixels. epsilon: variance of the guide (of 0..1 colours) that counts as flat.

    Returns:
        [H, W] float32.
    """
    half = (max(guide.shape[1] // 2, 1), max(guide.shape[0] // 2, 1))
    small = cv2.resize(guide, half, interpolation=cv2.INTER_AREA), cv2.resize(values, half, interpolation=cv2.INTER_AREA)
    slope, offset = (cv2.resize(x, guide.shape[1::-1], interpolation=cv2.INTER_LINEAR) for x in _coefficients(*small, max(radius // 2, 1), epsilon))
    return channel_sum(slope * guide) + offset


def _coefficients(guide: np.ndarray, values: np.ndarray, radius: int, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    """Slope [H, W, 3] and offset [H, W] of the affine functions, averaged over the windows that hold a pixel."""
    size = (2 * radius + 1, 2 * radius + 1)
    mean_guide, mean_values = cv2.blur(guide, size), cv2.blur(values, size)
    covariance = cv2.blur(guide * values[..., None], size) - mean_guide * mean_values[..., None]
    spread = cv2.blur(guide * guide, size) - mean_guide * mean_guide  # xx yy zz
    turned, mean_turned = np.roll(guide, -1, axis=-1), np.roll(mean_guide, -1, axis=-1)
    cross = cv2.blur(guide * turned, size) - mean_guide * mean_turned  # xy yz zx
    slope = _solve_symmetric(spread, cross, covariance, epsilon)
    offset = mean_values - channel_sum(slope * mean_guide)
    return cv2.blur(slope, size), cv2.blur(offset, size)


def channel_sum(image: np.ndarray) -> np.ndarray:
    """[H, W] sum over the last axis of [H, W, 3] float32; numpy takes ten times as long over an axis that short."""
    return cv2.transform(image, np.ones((1, 3), np.float32))


def _solve_symmetric(diagonal: np.ndarray, cross: np.ndarray, right: np.ndarray, epsilon: float) -> np.ndarray:
    """Solve (S + epsilon 1) x = right per pixel; `diagonal` holds xx yy zz of S, `cross` xy yz zx, all [..., 3] float32.

    In double precision: where the guide's colours lie on a line, the determinant is epsilon squared small.
    """
    xx, yy, zz = (diagonal[..., i].astype(np.float64) + epsilon for i in range(3))
    xy, yz, xz = (cross[..., i].astype(np.float64) for i in range(3))
    a, b, c = yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy
    d, e, f = xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy
    determinant = xx * a + xy * b + xz * c
    u, v, w = (right[..., i] for i in range(3))
    solution = a * u + b * v + c * w, b * u + d * v + e * w, c * u + e * v + f * w
    return cv2.merge([(x / determinant).astype(np.float32) for x in solution])
