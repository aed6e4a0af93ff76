"""Robust triangulation: every pair of cameras proposes a point, the cameras that agree with the best proposal refine it."""

from __future__ import annotations

from itertools import combinations

import numba
import numpy as np

MINIMUM_SINE = np.sin(np.deg2rad(1.0))  # two rays closer to parallel than this say nothing about depth
REFINEMENT_STEPS = 3


def triangulate(points: np.ndarray, scores: np.ndarray, projections: np.ndarray, gate_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Triangulate points seen by several cameras, some of which may be wrong.

    Every pair of cameras proposes the midpoint of its two rays (Hartley and Sturm, Triangulation, CVIU 1997, section 5.3). A proposal costs each camera its score
    times the reprojection error, cut off at the gate (MSAC: Torr and Zisserman, MLESAC, CVIU 2000, section 4); the cheapest wins. Gauss-Newton on the
    score-weighted reprojection error of the views within the gate then polishes the point.

    Args:
        points: [C, ..., 2] pixels, nan where a camera saw nothing.
        scores: [C, ...] confidence; 0 or nan leaves the view out.
        projections: [C, 3, 4] matrices K [R | t].
        gate_px: a view whose reprojection error is larger than this, in pixels, takes no part.

    Returns:
        points3d [..., 3], nan where no two cameras agree, and residuals [C, ...]: the reprojection error in pixels of every view that saw the point,
        of the rejected ones too; nan where the camera saw nothing, infinite behind the camera.
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
    """[N, 3] the pairwise midpoint with the lowest truncated cost; nan where no pair has one."""
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
    """Replace, in place, what is `best` [N, 3] of `points` [M] by the proposals [M, 3] of the cameras i and j where both agree and the cost is below the `lowest`.

    Costs only grow from camera to camera, so most proposals are given up after a few. pixels [N, C, 2], weights [N, C].
    """
    for k in range(len(points)):
        n = points[k]
        if max(_squared(proposals[k], pixels[n, i], projections[i]), _squared(proposals[k], pixels[n, j], projections[j])) > gate2:
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
    """Squared reprojection error of a point [3]; infinite behind the camera and where the point is not known."""
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
    """[N, 3] middle of the shortest link between two rays; nan where they are parallel."""
    between = centre_b - centre_a
    cosine = (a * b).sum(-1)
    sine2 = 1 - cosine**2
    along_a, along_b = a @ between, b @ between
    with np.errstate(divide="ignore", invalid="ignore"):
        s = np.where(sine2 > MINIMUM_SINE**2, (along_a - cosine * along_b) / sine2, np.nan)
        t = np.where(sine2 > MINIMUM_SINE**2, (cosine * along_a - along_b) / sine2, np.nan)
    return (centre_a + s[:, None] * a + centre_b + t[:, None] * b) / 2


def _project(points3d: np.ndarray, projections: np.ndarray) -> np.ndarray:
    """[C, N, 3]: homogeneous pixels; the last is the depth."""
    return np.einsum("cij,nj->cni", projections[:, :, :3], points3d) + projections[:, None, :, 3]


def _residuals(points3d: np.ndarray, pixels: np.ndarray, projections: np.ndarray) -> np.ndarray:
    """[C, N] reprojection errors in pixels, infinite behind the camera, nan where either side is unknown."""
    projected = _project(points3d, projections)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.linalg.norm(projected[..., :2] / projected[..., 2:] - pixels, axis=-1)
    return np.where(projected[..., 2] <= 0, np.inf, error)


def _gauss_newton_step(points3d: np.ndarray, pixels: np.ndarray, weights: np.ndarray, projections: np.ndarray, gate_px: float) -> np.ndarray:
    """[N, 3] after one step on the weighted squared reprojection error of the views within the gate."""
    projected = _project(points3d, projections)
    with np.errstate(divide="ignore", invalid="ignore"):
        image = projected[..., :2] / projected[..., 2:]
        error = pixels - image
        inside = (np.linalg.norm(error, axis=-1) <= gate_px) & (projected[..., 2] > 0) & (weights > 0)
        jacobian = (projections[:, None, :2, :3] - image[..., None] * projections[:, None, 2:, :3]) / projected[..., 2:, None]  # [C, N, 2, 3]
    w = np.where(inside, weights, 0.0)[..., None, None]
    jacobian, error = np.where(inside[..., None, None], jacobian, 0.0), np.where(inside[..., None], error, 0.0)
    normal = (jacobian.swapaxes(-1, -2) @ (w * jacobian)).sum(0)
    gradient = (jacobian.swapaxes(-1, -2) @ (w * error[..., None])).sum(0)
    damping = 1e-9 * np.trace(normal, axis1=-2, axis2=-1)[..., None, None] + 1e-300
    step = np.linalg.solve(normal + damping * np.eye(3), gradient)[..., 0]
    return points3d + step
