"""A camera that swings around a subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipeline.capture.camera import Camera

SURROUND = 0.35  # cameras whose mean sideways direction is shorter than this part of the directions' own mean length stand all around
RISE = 0.3  # the camera rises and sinks by this part of the sideways angle, at twice its rhythm


def orbit(cameras: Sequence[Camera], target: np.ndarray, count: int, degrees: float) -> list[Camera]:
    """Cameras of one full swing: from the middle of the given cameras to one side, to the other and back, always looking at `target`.

    Where the given cameras stand all around the target it is one full turn, at their mean height. Distance, zoom and image size are those of the given cameras (the median).

    Args:
        target: [3] metres, world. count: how many cameras. degrees: greatest angle to either side.
    """
    offsets = np.stack([camera.centre for camera in cameras]) - target
    distance = float(np.median(np.linalg.norm(offsets, axis=1)))
    up = _unit(-np.sum([camera.R[1] for camera in cameras], axis=0))
    directions = np.stack([_unit(offset) for offset in offsets])
    flat = directions - (directions @ up)[:, None] * up
    around = np.linalg.norm(flat.mean(0)) < SURROUND * np.linalg.norm(flat, axis=1).mean()
    forward = _unit(flat[0] if around else flat.sum(0))
    side = np.cross(up, forward)
    template = sorted(cameras, key=lambda camera: camera.K[0, 0] / camera.width)[len(cameras) // 2]
    K = np.array([[template.K[0, 0], 0, template.width / 2], [0, template.K[1, 1], template.height / 2], [0, 0, 1]])
    path = []
    for phase in np.linspace(0, 2 * np.pi, count, endpoint=False):
        yaw, pitch = np.radians(degrees) * np.sin(phase), np.radians(degrees) * RISE * np.sin(2 * phase)
        if around:
            yaw, pitch = phase, np.arcsin(np.clip((directions @ up).mean(), -1, 1))
        direction = np.cos(pitch) * (np.cos(yaw) * forward + np.sin(yaw) * side) + np.sin(pitch) * up
        path.append(look_at(replace(template, name="orbit", K=K, dist=()), target + distance * direction, target, up))
    return path


def circle(camera: Camera, target: np.ndarray, forward: np.ndarray, up: np.ndarray, distance: float, count: int) -> list[Camera]:
    """Cameras of one full circle about the axis `up` through `target`, looking at it; the first one stands in the direction `forward` (all [3], world)."""
    up = _unit(up)
    ahead = _unit(forward - up * (forward @ up))
    side = np.cross(up, ahead)
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return [look_at(camera, target + distance * (np.cos(a) * ahead + np.sin(a) * side), target, up) for a in angles]


def look_at(camera: Camera, centre: np.ndarray, target: np.ndarray, up: np.ndarray) -> Camera:
    """The camera moved to `centre` and turned to `target`, the image's upper edge towards `up` (all [3], world)."""
    z = _unit(target - centre)
    x = _unit(np.cross(z, up))
    R = np.stack([x, np.cross(z, x), z])
    return replace(camera, R=R, t=-R @ centre)


def _unit(v: np.ndarray) -> np.ndarray:
    return v / max(float(np.linalg.norm(v)), 1e-12)
