"""A camera as an entry of `transforms.json` (NeRF, nerfstudio, GaussianAvatars): camera to world, OpenGL's axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.capture.camera import Camera

TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])  # OpenGL's camera axes: x right, y up, z back


def camera_entry(camera: Camera) -> dict[str, Any]:
    """The entry of a pinhole camera; cx and cy count from the upper left corner."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = camera.R.T, camera.centre
    intrinsics = zip(("fl_x", "fl_y", "cx", "cy"), (camera.K[0, 0], camera.K[1, 1], camera.K[0, 2], camera.K[1, 2]))
    return {
        "w": camera.width,
        "h": camera.height,
        **{name: float(value) for name, value in intrinsics},
        "camera_angle_x": float(2 * np.arctan(camera.width / 2 / camera.K[0, 0])),
        "transform_matrix": (pose @ TO_OPENCV).tolist(),
    }


def camera_of_entry(entry: Mapping[str, Any], name: str, *, cy_from_below: bool = False) -> Camera:
    """Inverse of `camera_entry`.

    Without a focal length there must be a field of view (`camera_angle_x`, `camera_angle_y`, radians); without a second one pixels are square; without a
    principal point it is the middle.

    Args:
        cy_from_below: `cy` counts from the lower edge, as GaussianAvatars and VHAP store it.

    Raises:
        KeyError, TypeError, ValueError: something is missing or of another kind. The values are not checked (`calibration.check_camera`).
    """
    width, height = (int(entry[side]) for side in ("w", "h"))
    focal = [_focal(entry, axis, side) for axis, side in (("x", width), ("y", height))]
    if focal == [None, None]:
        raise KeyError("fl_x")
    fx, fy = (own or other for own, other in zip(focal, reversed(focal)))
    cx, cy = float(entry.get("cx", width / 2)), float(entry.get("cy", height / 2))
    pose = np.array(entry["transform_matrix"], np.float64)
    if pose.shape != (4, 4):
        raise ValueError(f"a transform_matrix of shape {pose.shape}")
    pose = pose @ TO_OPENCV
    R = pose[:3, :3].T
    K = np.array([[fx, 0, cx], [0, fy, height - cy if cy_from_below else cy], [0, 0, 1]], np.float64)
    return Camera(name, width, height, K, R, -R @ pose[:3, 3])


def _focal(entry: Mapping[str, Any], axis: str, side: int) -> float | None:
    """Focal length of an axis in pixels, None where nothing states it."""
    if f"fl_{axis}" in entry:
        return float(entry[f"fl_{axis}"])
    angle = entry.get(f"camera_angle_{axis}")
    return None if angle is None else side / 2 / float(np.tan(float(angle) / 2))
