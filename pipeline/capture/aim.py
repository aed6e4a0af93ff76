"""Where the cameras look: calibrations whose optical axes miss each other are probably wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.capture.camera import Camera
from pipeline.io.words import listed

PARALLEL = 0.003  # mean squared sine between the axes below which they have no common point
_ROUNDS = 30


def meeting_point(centres: np.ndarray, forward: np.ndarray) -> np.ndarray | None:
    """The point [3] with the least sum of distances to lines (iteratively reweighted least squares); None of nearly parallel ones.

    Args:
        centres: [C, 3] points of the lines. forward: [C, 3] their unit directions.
    """
    across = np.eye(3) - forward[:, :, None] * forward[:, None, :]  # projections onto the planes across the lines
    if np.linalg.eigvalsh(across.mean(0))[0] < PARALLEL:
        return None
    weight, point = np.ones(len(centres)), np.zeros(3)
    for _ in range(_ROUNDS):
        weighted = weight[:, None, None] * across
        point = np.linalg.solve(weighted.sum(0), (weighted @ centres[..., None]).sum(0)[:, 0])
        miss = np.linalg.norm((across @ (point - centres)[..., None])[..., 0], axis=-1)
        weight = 1 / np.maximum(miss, 1e-3 * np.linalg.norm(point - centres, axis=-1).mean() + 1e-12)
    return point


def axis_warnings(cameras: Sequence[Camera]) -> list[str]:
    """A warning for the cameras that do not see the point at which the cameras look, by half an image or more."""
    if len(cameras) < 2:
        return []
    centres, forward = np.stack([camera.centre for camera in cameras]), np.stack([camera.R[2] for camera in cameras])
    point = meeting_point(centres, forward)
    if point is None:
        return []
    off = {camera.name: _distance(camera, point) for camera in cameras if _is_far_outside(camera, point)}
    if not off:
        return []
    distances = listed([f"{name} by {distance:.3g} m" for name, distance in off.items()])
    return [
        f"calibration: the cameras do not look at one point: {distances} past the point where most axes meet "
        f"({np.median(np.linalg.norm(point - centres, axis=-1)):.3g} m before the cameras). Expected: every camera sees it. "
        "Look at the cameras in the report; check R and t, the columns 'convention' and 'units', and the names of the cameras"
    ]


def _distance(camera: Camera, point: np.ndarray) -> float:
    """Metres from a point to the ray before the camera."""
    x, y, z = camera.to_camera(point)
    return float(np.linalg.norm([x, y, min(z, 0.0)]))


def _is_far_outside(camera: Camera, point: np.ndarray) -> bool:
    """Whether a point lies behind the camera, or by more than half an image's width or height outside of it."""
    x = camera.K @ camera.to_camera(point)
    if x[2] <= 0:
        return True
    off = np.abs(x[:2] / x[2] / [camera.width, camera.height] - 0.5)
    return bool((off > 1.0).any())
