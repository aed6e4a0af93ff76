"""The initial splats of a scene: at the points of a sparse model, or at random places."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from pipeline.avatars.splats.extent import scene_extent
from pipeline.avatars.static.settings import InitSettings
from pipeline.capture.aim import meeting_point
from pipeline.capture.camera import Camera
from pipeline.splat.harmonics import SH_C0

NEIGHBOURS = 3  # a splat is as large as the distance to so many others (root mean square), as in 3DGS
_GREY = 0.5


def look_target(cameras: Sequence[Camera]) -> np.ndarray:
    """[3] the point at which the cameras look; without one a point an extent before their mean."""
    centres, forward = np.stack([camera.centre for camera in cameras]), np.stack([camera.R[2] for camera in cameras])
    point = meeting_point(centres, forward) if len(cameras) > 1 else None
    return centres.mean(0) + scene_extent(centres) * forward.mean(0) if point is None else point


def random_points(cameras: Sequence[Camera], half: float | None, count: int, generator: np.random.Generator) -> np.ndarray:
    """[N, 3] points in a cube about the origin, or (half None) in the cameras' box: theirs, and as wide again about what they look at as the scene's extent."""
    if half is not None:
        return generator.uniform(-half, half, (count, 3))
    centres, target = np.stack([camera.centre for camera in cameras]), look_target(cameras)
    extent = scene_extent(centres)
    low, high = np.minimum(centres.min(0), target - extent / 2), np.maximum(centres.max(0), target + extent / 2)
    return generator.uniform(low, high, (count, 3))


def splats_at(points: np.ndarray, colors: np.ndarray | None, settings: InitSettings) -> dict[str, np.ndarray]:
    """Arrays of LOCAL_ARRAYS: round splats at points [N, 3], as large as their neighbours are far. colors: uint8 [N, 3], or None for grey."""
    count = len(points)
    near = min(NEIGHBOURS, count - 1)
    distances = cKDTree(points).query(points, near + 1)[0][:, 1:] if near else np.full((count, 1), 1e-2)
    size = np.sqrt(np.maximum((distances**2).mean(1), 1e-7))
    rgb = np.full((count, 3), _GREY) if colors is None else colors / 255.0
    return {
        "means": points.astype(np.float32),
        "quats": np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1)),
        "log_scales": np.log(np.repeat(size[:, None], 3, axis=1)).astype(np.float32),
        "opacities": np.full(count, math.log(settings.opacity / (1 - settings.opacity)), np.float32),
        "sh_dc": ((rgb - 0.5) / SH_C0).astype(np.float32)[:, None],
        "sh_rest": np.zeros((count, 0, 3), np.float32),
    }
