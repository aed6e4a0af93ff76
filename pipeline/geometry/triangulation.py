"""Robust triangulation: every pair of cameras proposes a point; the inlier views of the best proposal refine it."""

from __future__ import annotations

from itertools import combinations

import numba
import numpy as np

MINIMUM_SINE = np.sin(np.deg2rad(1.0))  # smaller angles between two rays do not determine the depth
REFINEMENT_STEPS = 3  # Gauss-Newton steps


def triangulate(
    points: np.ndarray,
    scores: np.ndarray,
    projections: np.ndarray,
    gate_px: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Triangulate points from several views, some of which may be wrong.

    Every pair of cameras proposes the midpoint of its two rays (Hartley and Sturm, Triangulation, CVIU 1997, section
    5.3). The cost of a proposal is the sum over the views of score times squared reprojection error, truncated at the
    gate (MSAC: Torr and Zisserman, MLESAC, CVIU 2000, section 4); the proposal with the lowest cost is kept.
    Gauss-Newton steps on the score-weighted reprojection error of the views within the gate refine it.

    Args:
        points: [C, ..., 2] pixels, nan where a camera has no detection.
        scores: [C, ...] confidence; views with 0 or nan are not used.
        projections: [C, 3, 4] matrices K [R | t].
        gate_px: views with a larger reprojection error, in pixels, are outliers.

    Returns:
        points3d [..., 3], nan where no two cameras agree, and residuals [C, ...]: the reprojection error in pixels of
        every view with a detection, outliers included; nan without a detection, infinite behind the camera.
    """
    cameras, shape = len(points), points.shape[1:-1]
    pixels = np.asarray(points, np.float64).reshape(cameras, -1, 2)
    weights = np.asarray(scores, np.float64).reshape(cameras, -1)
    weights = np.where(np.isfinite(pixels).all(-1) & (weights > 0), weights, 0.0)
    projections = np.asarray(projections, np.float64)

    best = _best_proposal(pixels, weights, projections, gate_px)
    for _ in range(REFINEMENT_STEPS):
        best = _gauss_newton_step(best, pixels, weights, projections, gate_px)
    residuals = _residuals(best, pixels, projections)
    agree = ((residuals <= gate_px) & (weights > 0)).sum(0) >= 2
    best[~agree] = np.nan
    residuals[:, ~agree] = np.nan
    residuals[weights == 0] = np.nan
    return best.reshape(*shape, 3), residuals.reshape(cameras, *shape)


def _best_proposal(pixels: np.ndarray, weights: np.ndarray, projections: np.ndarray, gate_px: float) -> np.ndarray:
    """[N, 3] the midpoint with the lowest truncated cost over all pairs of cameras; nan where there is none."""
    centres, directions = _rays(pixels, projections)
    best = np.full((pixels.shape[1], 3), np.nan)
    lowest = np.full(len(best), np.inf)
    by_point = np.ascontiguousarray(pixels.swapaxes(0, 1)), np.ascontiguousarray(weights.T)
    for i, j in combinations(range(len(pixels)), 2):
        both = np.flatnonzero((weights[i] > 0) & (weights[j] > 0))
        if both.size:
            proposal = _midpoint(centres[i], directions[i, both], centres[j], directions[j, both])
            _keep_cheapest(proposal, both, i, j, *by_point, projections, gate_px**2, best, lowest)
    return best


@numba.njit(cache=True, error_model="numpy")
def _keep_cheapest(proposals, points, i, j, pixels, weights, projections, gate2, best, lowest):
    """Update `best` [N, 3] and `lowest` [N] in place with the proposals [M, 3] of cameras i and j for `points` [M].

    A proposal counts only if both cameras are within the gate. Costs only grow from camera to camera, so the sum is
    abandoned once it exceeds the lowest cost. pixels [N, C, 2], weights [N, C].
    """
    for k in range(len(points)):
        n = points[k]
        error_i = _squared(proposals[k], pixels[n, i], projections[i])
        error_j = _squared(proposals[k], pixels[n, j], projections[j])
        if max(error_i, error_j) > gate2:
            continue
        cost = 0.0
        for c in range(len(projections)):
            if weights[n, c] > 0:
                cost += weights[n, c] * min(_squared(proposals[k], pixels[n, c], projections[c]), gate2)
                if cost >= lowest[n]:
                    break
        if cost < lowest[n]:
            best[n], lowest[n] = proposals[k], cost


@numba.njit(cache=True, error_model="numpy")
def _squared(point, pixel, P):
    """Squared reprojection error of a point [3]; infinite behind the camera and for nan points."""
    depth = P[2, 0] * point[0] + P[2, 1] * point[1] + P[2, 2] * point[2] + P[2, 3]
    if not depth > 0:
        return np.inf
    x = (P[0, 0] * point[0] + P[0, 1] * point[1] + P[0, 2] * point[2] + P[0, 3]) / depth - pixel[0]
    y = (P[1, 0] * point[0] + P[1, 1] * point[1] + P[1, 2] * point[2] + P[1, 3]) / depth - pixel[1]
    return x * x + y * y


def _rays(pixels: np.ndarray, projections: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Camera centres [C, 3] and unit directions [C, N, 3] in the world."""
    inverse = np.linalg.inv(projections[:, :, :3])
    centres = -np.einsum("cij,cj->ci", inverse, projections[:, :, 3])
    homogeneous = np.concatenate([pixels, np.ones_like(pixels[..., :1])], axis=-1)
    directions = np.einsum("cij,cnj->cni", inverse, homogeneous)
    return centres, directions / np.linalg.norm(directions, axis=-1, keepdims=True)


def _midpoint(centre_a: np.ndarray, a: np.ndarray, centre_b: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[N, 3] midpoint of the shortest segment between two rays; nan where they are nearly parallel."""
    between = centre_b - centre_a
    cosine = (a * b).sum(-1)
    sine2 = 1 - cosine**2
    along_a, along_b = a @ between, b @ between
    with np.errstate(divide="ignore", invalid="ignore"):
        s = np.where(sine2 > MINIMUM_SINE**2, (along_a - cosine * along_b) / sine2, np.nan)  # distance along ray a
        t = np.where(sine2 > MINIMUM_SINE**2, (cosine * along_a - along_b) / sine2, np.nan)  # distance along ray b
    return (centre_a + s[:, None] * a + centre_b + t[:, None] * b) / 2


def _project(points3d: np.ndarray, projections: np.ndarray) -> np.ndarray:
    """[C, N, 3]: homogeneous pixels; the last is the depth."""
    return np.einsum("cij,nj->cni", projections[:, :, :3], points3d) + projections[:, None, :, 3]


def _residuals(points3d: np.ndarray, pixels: np.ndarray, projections: np.ndarray) -> np.ndarray:
    """[C, N] reprojection errors in pixels; infinite behind the camera, nan where point or pixel is nan."""
    projected = _project(points3d, projections)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.linalg.norm(projected[..., :2] / projected[..., 2:] - pixels, axis=-1)
    return np.where(projected[..., 2] <= 0, np.inf, error)


def _gauss_newton_step(
    points3d: np.ndarray,
    pixels: np.ndarray,
    weights: np.ndarray,
    projections: np.ndarray,
    gate_px: float,
) -> np.ndarray:
    """[N, 3] after one step on the weighted squared reprojection error of the views within the gate."""
    projected = _project(points3d, projections)
    with np.errstate(divide="ignore", invalid="ignore"):
        image = projected[..., :2] / projected[..., 2:]
        error = pixels - image
        inside = (np.linalg.norm(error, axis=-1) <= gate_px) & (projected[..., 2] > 0) & (weights > 0)
        # [C, N, 2, 3]
        jacobian = (projections[:, None, :2, :3] - image[..., None] * projections[:, None, 2:, :3]) / projected[..., 2:, None]
    w = np.where(inside, weights, 0.0)[..., None, None]
    jacobian = np.where(inside[..., None, None], jacobian, 0.0)
    error = np.where(inside[..., None], error, 0.0)
    normal = (jacobian.swapaxes(-1, -2) @ (w * jacobian)).sum(0)
    gradient = (jacobian.swapaxes(-1, -2) @ (w * error[..., None])).sum(0)
    damping = 1e-9 * np.trace(normal, axis1=-2, axis2=-1)[..., None, None] + 1e-300
    step = np.linalg.solve(normal + damping * np.eye(3), gradient)[..., 0]
    return points3d + step
