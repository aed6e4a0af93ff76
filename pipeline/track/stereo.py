"""The skin where the pictures agree: a patch around each vertex is slid along its normal until all cameras that see it show the same (multi-view stereo).

Outlines say nothing about a chest seen from the front, and the face's landmarks little; cloth, skin and hair have enough texture for this.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from pipeline.capture.camera import Camera
from pipeline.mesh.raster import zbuffer
from pipeline.mesh.topology import vertex_normals

REACH_M, STEP_M = 0.018, 0.0015
PATCH, SPACING_M = 7, 0.0025
"""Places tried before and behind the skin, and the samples of a patch: so many along each side, so far apart."""
FACING, BORDER_PX, BEHIND_M = 0.35, 10, 0.01
"""A camera sees a vertex whose normal turns to it by this cosine, this far from the picture's border, and not this far behind something else."""
NOISE = 2.0
"""Grey levels: patches with less contrast than this agree by chance."""
AGREEMENT, CURVATURE = 0.6, 0.01
"""Smallest mean correlation of a good place, and of its fall (per mm^2) beside it: along a stripe or a shade all places are equally good."""


@dataclass(frozen=True)
class Surface:
    """Where the skin of one frame lies: vertices [N] indices, target [N, 3] world, normal [N, 3] along which the target is known."""

    vertices: np.ndarray
    target: np.ndarray
    normal: np.ndarray


NOTHING = Surface(np.zeros(0, int), np.zeros((0, 3)), np.zeros((0, 3)))
STILL = ("neck", "torso", "arms", "scalp")


def still_skin(model, ignored: np.ndarray, faces: np.ndarray) -> np.ndarray:  # noqa: ANN001
    """Indices of the vertices that no expression moves, by the names of the model's regions, without those of `ignored` faces [F]; empty without such regions."""
    wanted = np.zeros(len(model.template), bool)
    for name in STILL:
        if name in model.regions:
            wanted |= np.asarray(model.regions[name])
    wanted[faces[ignored]] = False
    return np.flatnonzero(wanted)


def find_surface(
    vertices: np.ndarray, faces: np.ndarray, candidates: np.ndarray, cameras: list[Camera], pictures: list[np.ndarray], metre: float = 1.0
) -> Surface:
    """Search along the normals (normalised cross-correlation of patches: Furukawa and Ponce, PAMI 2010, section 2.1; here the mean over all pairs of views).

    Args:
        vertices: [V, 3] world, at most REACH_M off. candidates: [N] indices to look at. pictures: one per camera, float32 grey 0 to 255.
        metre: its length in units of the world.
    """
    normals = vertex_normals(torch.from_numpy(vertices), torch.from_numpy(faces)).numpy()
    seen = [_sees(camera, vertices, normals, faces, candidates, metre) for camera in cameras]
    often = np.sum(seen, 0) >= 2
    candidates, seen = candidates[often], [views[often] for views in seen]
    steps = np.arange(-REACH_M, REACH_M + STEP_M / 2, STEP_M)
    points = _patches(vertices[candidates], normals[candidates], steps * metre, SPACING_M * metre)
    total = np.zeros(points.shape[:3], np.float32)
    for camera, views, picture in zip(cameras, seen, pictures):
        if views.any():
            total[views] += _look(camera, picture, points[views])
    views = np.sum(seen, 0)[:, None]
    place, good = _peak(((total**2).sum(-1) / np.maximum(views, 1) - 1) / np.maximum(views - 1, 1))
    chosen, normal = candidates[good], normals[candidates[good]]
    return Surface(chosen, vertices[chosen] + metre * (steps[0] + place[good] * STEP_M)[:, None] * normal, normal)


def _sees(camera: Camera, vertices: np.ndarray, normals: np.ndarray, faces: np.ndarray, candidates: np.ndarray, metre: float) -> np.ndarray:
    """[N] bool."""
    local = camera.to_camera(vertices)
    pixels = local[:, :2] / local[:, 2:] @ camera.K[:2, :2].T + camera.K[:2, 2]
    depth = zbuffer(pixels, local[:, 2], faces, camera.width, camera.height).depth
    view = camera.centre - vertices[candidates]
    cosine = (view * normals[candidates]).sum(1) / np.linalg.norm(view, axis=1)
    at, size = pixels[candidates], np.array([camera.width, camera.height])
    inside = (at > BORDER_PX).all(1) & (at < size - BORDER_PX).all(1)
    column, row = np.clip(at.astype(int), 0, size - 1).T
    return inside & (cosine > FACING) & (local[candidates, 2] < depth[row, column] + BEHIND_M * metre)


def _patches(points: np.ndarray, normals: np.ndarray, steps: np.ndarray, spacing: float) -> np.ndarray:
    """[N, D, K, 3] float32: D places along each normal, K samples around each, in the plane across the normal."""
    other = np.where(np.abs(normals[:, :1]) < 0.8, [[1.0, 0, 0]], [[0, 1.0, 0]])
    first = np.cross(normals, other)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(normals, first)
    line = (np.arange(PATCH) - PATCH // 2) * spacing
    across, along = (grid.ravel()[:, None] for grid in np.meshgrid(line, line))
    patch = across * first[:, None] + along * second[:, None]
    return (points[:, None, None] + steps[:, None, None] * normals[:, None, None] + patch[:, None]).astype(np.float32)


def _look(camera: Camera, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """[N, D, K] what a camera sees there, each patch without its mean and of unit length (shorter where it has no contrast)."""
    P = camera.projection.astype(np.float32)
    local = points.reshape(-1, 3) @ P[:, :3].T + P[:, 3]
    column, row = (local[:, :2] / local[:, 2:] - 0.5).T.reshape(2, len(points), -1)
    grey = cv2.remap(picture, np.ascontiguousarray(column), np.ascontiguousarray(row), cv2.INTER_LINEAR).reshape(points.shape[:3])
    grey = grey - grey.mean(-1, keepdims=True)
    return grey / np.sqrt((grey**2).sum(-1, keepdims=True) + grey.shape[-1] * NOISE**2)


def _peak(agreement: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where [N] along D places the agreement [N, D] is best (a parabola through the three best), and whether [N] it is a sure, inner peak."""
    best = np.clip(agreement.argmax(1), 1, agreement.shape[1] - 2)
    before, here, after = (agreement[np.arange(len(best)), best + k] for k in (-1, 0, 1))
    bend = 2 * here - before - after
    good = (here >= np.maximum(before, after)) & (here > AGREEMENT) & (bend > CURVATURE * (STEP_M * 1000) ** 2)
    return best + 0.5 * (after - before) / np.where(good, bend, 1.0), good
