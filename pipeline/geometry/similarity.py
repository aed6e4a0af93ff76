"""Similarity transforms between matched 3D points, with and without outliers."""

from __future__ import annotations

import numpy as np


def umeyama(
    source: np.ndarray,
    target: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    scale: float | None = None,
) -> tuple[float, np.ndarray, np.ndarray]:
    """The s, R [3, 3], t [3] that minimise sum w |s R source + t - target|^2 (Umeyama, PAMI 1991, eqs. 40-42).

    Args:
        source, target: [N, 3] matched points, N >= 3, not collinear. weights: [N]. scale: fixes s to this value.
    """
    w = np.ones(len(source)) if weights is None else np.asarray(weights, np.float64)
    w = w / w.sum()
    mean_source, mean_target = w @ source, w @ target
    a, b = source - mean_source, target - mean_target
    U, D, Vt = np.linalg.svd((b * w[:, None]).T @ a)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(U @ Vt)) or 1.0])
    R = (U * sign) @ Vt
    s = float((D * sign).sum() / max((w * (a**2).sum(1)).sum(), 1e-30)) if scale is None else scale
    return s, R, mean_target - s * R @ mean_source


def ransac_similarity(
    source: np.ndarray,
    target: np.ndarray,
    tolerance: float,
    *,
    scale: float | None = None,
    trials: int = 60,
    seed: int = 0,
) -> tuple[float, np.ndarray, np.ndarray, np.ndarray] | None:
    """The similarity with the most inliers (RANSAC on samples of 4 points), refined on its inliers.

    Args:
        source, target: [N, 3] matched points.
        tolerance: largest distance of an inlier, as a fraction of the target's median radius about its median point.
        scale: fixes s to this value. trials: number of samples. seed: of the random samples.

    Returns:
        (s, R, t, inliers [N] bool), or None with fewer than 6 points or inliers.
    """
    if len(source) < 6:
        return None
    rng = np.random.default_rng(seed)
    middle = np.median(target, 0)
    limit = tolerance * np.sqrt(np.median(((target - middle) ** 2).sum(1)))
    best = np.zeros(len(source), bool)
    for _ in range(trials):
        pick = rng.choice(len(source), 4, replace=False)
        s, R, t = umeyama(source[pick], target[pick], scale=scale)
        inliers = np.linalg.norm(s * source @ R.T + t - target, axis=1) < limit
        if inliers.sum() > best.sum():
            best = inliers
    for _ in range(3):
        if best.sum() < 6:
            return None
        s, R, t = umeyama(source[best], target[best], scale=scale)
        best = np.linalg.norm(s * source @ R.T + t - target, axis=1) < limit
    return s, R, t, best
