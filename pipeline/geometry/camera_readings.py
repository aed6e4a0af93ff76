"""What the R and t of a calibration may mean, each way brought to `x_cam = R x_world + t` with OpenCV's axes; and which of them makes the views agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Pose = tuple[np.ndarray, np.ndarray]  # R [..., 3, 3], t [..., 3]
_AXES = np.diag([1.0, -1.0, -1.0])  # OpenGL's camera looks along -z, with y up


def _inverse(R: np.ndarray, t: np.ndarray) -> Pose:
    """World to camera of camera to world, or the reverse."""
    inverse = np.swapaxes(R, -1, -2)
    return inverse, -(inverse @ t[..., None])[..., 0]


READINGS: dict[str, Callable[[np.ndarray, np.ndarray], Pose]] = {
    "opencv": lambda R, t: (R, t),
    "opencv_c2w": _inverse,  # camera to world: t is the camera's position
    "opencv_transposed": lambda R, t: (np.swapaxes(R, -1, -2), t),  # R is stored column by column
    "opencv_position": lambda R, t: (R, -(R @ t[..., None])[..., 0]),  # R is world to camera, t the camera's position
    "opengl": lambda R, t: (_AXES @ R, t @ _AXES),
    "opengl_c2w": lambda R, t: _inverse(R @ _AXES, t),  # as NeRF, nerfstudio and Blender write it
}
_UNDO = {  # the others undo themselves
    "opencv_position": lambda R, t: (R, _inverse(R, t)[1]),
    "opengl_c2w": lambda R, t: (np.swapaxes(R, -1, -2) @ _AXES, _inverse(R, t)[1]),
}
TEXTS = {
    "opencv": "world to camera",
    "opencv_c2w": "camera to world",
    "opencv_transposed": "R transposed",
    "opencv_position": "t as the position of the camera",
    "opengl": "world to camera with OpenGL's axes",
    "opengl_c2w": "camera to world with OpenGL's axes",
}
CHECK_CAMERA = "check its calibration, its name (swapped with another?), its rotation and its time offset"
UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001}  # metres


@dataclass(frozen=True)
class Agreement:
    """How well views agree. share: of the detections, those within the gate of a triangulated point; residual_px: their median distance (nan: none)."""

    share: float
    residual_px: float


def as_stored(convention: str, R: np.ndarray, t: np.ndarray) -> Pose:
    """What a calibration of this convention holds for cameras `x_cam = R x_world + t`: the inverse of the reading."""
    return _UNDO.get(convention, READINGS[convention])(R, t)


def agreement(points: np.ndarray, K: np.ndarray, R: np.ndarray, t: np.ndarray, gate_px: float) -> Agreement:
    """How well views agree under cameras.

    Args:
        points: [C, N, 2] pixels, nan where a camera has no detection. Those that only one camera has do not count.
        K, R: [C, 3, 3]. t: [C, 3]. gate_px: largest reprojection error.
    """
    from pipeline.geometry.triangulation import triangulate  # loads numba, which readers of calibrations do without

    seen = np.isfinite(points).all(-1)
    counted = seen & (seen.sum(0) > 1)
    if not counted.any():
        return Agreement(0.0, float("nan"))
    _, residuals = triangulate(points, counted.astype(float), K @ np.concatenate([R, t[..., None]], -1), gate_px)
    inside = counted & (residuals <= gate_px)
    return Agreement(float(inside.sum() / counted.sum()), float(np.median(residuals[inside])) if inside.any() else float("nan"))


def better_reading(points: np.ndarray, K: np.ndarray, R: np.ndarray, t: np.ndarray, gate_px: float, convention: str = "opencv") -> tuple[str, Agreement] | None:
    """The reading of a calibration under which the views agree, where they do not as it is read now; None where they do, or where no reading helps.

    Args:
        points, K, gate_px: as `agreement`.
        R, t: of the calibration as it is read now, `x_cam = R x_world + t`. convention: how it is read now.
    """
    now = agreement(points, K, R, t, gate_px)
    if now.share > 0.5:
        return None
    stored = as_stored(convention, R, t)
    found = {name: agreement(points, K, *read(*stored), gate_px) for name, read in READINGS.items() if name != convention}
    best = max(found, key=lambda name: found[name].share)
    return (best, found[best]) if found[best].share > max(0.5, 1.5 * now.share) else None
