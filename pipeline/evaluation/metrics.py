"""Metrics of a pair of images, float arrays [H, W, 3] in [0, 1]."""

from __future__ import annotations

import cv2
import numpy as np

PSNR_LIMIT = 100.0  # dB, of images that agree to 1e-5 or better: JSON has no infinity
WINDOW, SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB, -10 log10 of the mean squared error over all pixels and channels."""
    error = float(np.mean(np.square(a.astype(np.float64) - b)))
    return PSNR_LIMIT if error <= 10 ** (-PSNR_LIMIT / 10) else -10 * float(np.log10(error))


def channel_psnr(a: np.ndarray, b: np.ndarray) -> float:
    """The mean over the channels of their PSNR, dB, as GaussianAvatars logs it in training; by Jensen's inequality never below `psnr`."""
    return float(np.mean([psnr(a[..., c], b[..., c]) for c in range(a.shape[-1])]))


def l1(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference over all pixels and channels."""
    return float(np.mean(np.abs(a.astype(np.float64) - b)))


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Mean structural similarity over channels and pixels whose whole window is inside the image.

    Wang et al. 2004, eq. 13, with the 11 x 11 Gaussian window of standard deviation 1.5 and population covariances.

    Raises:
        ValueError: the images are smaller than the window.
    """
    return float(np.mean(ssim_map(a, b)))


def ssim_map(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Structural similarity per pixel and channel, [H - 10, W - 10, C]; see `ssim`."""
    if min(a.shape[:2]) < WINDOW:
        raise ValueError(f"images of {a.shape[1]} x {a.shape[0]} are smaller than the window of {WINDOW}")
    a, b = a.astype(np.float64), b.astype(np.float64)
    mean_a, mean_b = _blur(a), _blur(b)
    product, squares = mean_a * mean_b, mean_a**2 + mean_b**2
    variances = _blur(a * a + b * b) - squares  # the formula needs only their sum
    return (2 * product + _C1) * (2 * (_blur(a * b) - product) + _C2) / ((squares + _C1) * (variances + _C2))


def alpha_box(alpha: np.ndarray, threshold: float = 0.5) -> tuple[slice, slice] | None:
    """Rows and columns of the bounding box of alpha [H, W] > threshold, at least 11 x 11 inside the image; None if empty."""
    rows, columns = np.flatnonzero((alpha > threshold).any(1)), np.flatnonzero((alpha > threshold).any(0))
    if not len(rows):
        return None
    return _grown(rows[0], rows[-1] + 1, alpha.shape[0]), _grown(columns[0], columns[-1] + 1, alpha.shape[1])


def compare(rendered: np.ndarray, truth: np.ndarray, alpha: np.ndarray) -> dict[str, float | None]:
    """All metrics of one pair, on the whole image and on the box of the truth's alpha.

    Args:
        rendered, truth: [H, W, 3] over white. alpha: [H, W] of the truth.

    Returns:
        psnr and psnr_box in dB, ssim, ssim_box, l1, l1_box; those with `_box` are None where alpha is empty.
    """
    similarity, box = ssim_map(rendered, truth), alpha_box(alpha)
    figures: dict[str, float | None] = {"psnr": psnr(rendered, truth), "ssim": float(similarity.mean()), "l1": l1(rendered, truth)}
    if box is None:
        return figures | dict.fromkeys(("psnr_box", "ssim_box", "l1_box"))
    # the windows inside the box are among those of the whole image
    inside = tuple(slice(edge.start, edge.stop - WINDOW + 1) for edge in box)
    return figures | {"psnr_box": psnr(rendered[box], truth[box]), "ssim_box": float(similarity[inside].mean()), "l1_box": l1(rendered[box], truth[box])}


def _blur(image: np.ndarray) -> np.ndarray:
    kernel = cv2.getGaussianKernel(WINDOW, SIGMA, cv2.CV_64F)
    edge = WINDOW // 2
    return cv2.sepFilter2D(image, -1, kernel, kernel)[edge:-edge, edge:-edge]


def _grown(first: int, end: int, size: int) -> slice:
    missing = max(0, WINDOW - (end - first))
    first = max(0, min(first - missing // 2, size - WINDOW))
    return slice(int(first), int(max(end, first + WINDOW)))
