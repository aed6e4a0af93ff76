"""The guided filter: smooths an alpha matte along the colours of the picture."""

from __future__ import annotations

import cv2
import numpy as np


def guided_filter(guide: np.ndarray, values: np.ndarray, radius: int = 6, epsilon: float = 1e-5) -> np.ndarray:
    """Filter `values` so that within each window it is an affine function of the guide's colour.

    He, Sun and Tang, Guided Image Filtering, PAMI 2013: equations 14 and 15 (colour guide), 16 (mean of the windows' coefficients).

    Args:
        guide: [H, W, 3] float32, 0..1. values: [H, W] float32.
        radius: half size of the square window, pixels. epsilon: variance of the guide (of 0..1 colours) that counts as flat.

    Returns:
        [H, W] float32.
    """
    size = (2 * radius + 1, 2 * radius + 1)
    mean_guide, mean_values = cv2.blur(guide, size), cv2.blur(values, size)
    covariance = cv2.blur(guide * values[..., None], size) - mean_guide * mean_values[..., None]
    products = guide[..., [0, 0, 0, 1, 1, 2]] * guide[..., [0, 1, 2, 1, 2, 2]]
    variance = cv2.blur(np.ascontiguousarray(products[..., :3]), size), cv2.blur(np.ascontiguousarray(products[..., 3:]), size)
    variance = np.concatenate(variance, axis=-1) - mean_guide[..., [0, 0, 0, 1, 1, 2]] * mean_guide[..., [0, 1, 2, 1, 2, 2]]
    slope = _solve_symmetric(variance, covariance, epsilon)
    offset = mean_values - channel_sum(slope * mean_guide)
    return channel_sum(cv2.blur(slope, size) * guide) + cv2.blur(offset, size)


def channel_sum(image: np.ndarray) -> np.ndarray:
    """[H, W] sum over the last axis of [H, W, 3] float32; numpy takes ten times as long over an axis that short."""
    return cv2.transform(image, np.ones((1, 3), np.float32))


def _solve_symmetric(upper: np.ndarray, right: np.ndarray, epsilon: float) -> np.ndarray:
    """Solve (S + epsilon 1) x = right per pixel; `upper` [..., 6] holds S as xx xy xz yy yz zz, `right` is [..., 3]."""
    xx, xy, xz, yy, yz, zz = np.moveaxis(upper, -1, 0)
    xx, yy, zz = xx + epsilon, yy + epsilon, zz + epsilon
    a, b, c = yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy
    d, e, f = xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy
    determinant = xx * a + xy * b + xz * c
    u, v, w = np.moveaxis(right, -1, 0)
    return np.stack([a * u + b * v + c * w, b * u + d * v + e * w, c * u + e * v + f * w], axis=-1) / determinant[..., None]
