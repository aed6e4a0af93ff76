"""Multi-view stereo: patches around vertices are moved along their normals until all cameras agree.

Silhouettes do not constrain a chest seen from the front, and the face's landmarks barely do; cloth, skin and hair have
enough texture for stereo.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from pipeline.body.model import ParametricModel
from pipeline.capture.camera import Camera
from pipeline.capture.mesh_view import view_mesh
from pipeline.mesh.topology import vertex_normals

REACH_M, STEP_M = 0.018, 0.0015  # search range on each side of the skin, and its step
PATCH, SPACING_M = 7, 0.0025  # samples along each side of a patch, and their distance
# A camera sees a vertex with at least this cosine of its normal, this far from the image border, at most this far
# behind the mesh.
MIN_COSINE, BORDER_PX, BEHIND_M = 0.35, 10, 0.01
NOISE = 2.0  # grey levels; patches with less contrast correlate by chance
MIN_CORRELATION = 0.6  # mean correlation of a match
MIN_CURVATURE = 0.01  # of the correlation at its peak, 1/mm^2: stripes and smooth shades have no distinct peak


@dataclass(frozen=True)
class StereoPoints:
    """Stereo matches of one frame.

    Attributes:
        vertices: [N] indices. target: [N, 3] world. normal: [N, 3] along which the target is known.
    """

    vertices: np.ndarray
    target: np.ndarray
    normal: np.ndarray


NO_POINTS = StereoPoints(np.zeros(0, int), np.zeros((0, 3)), np.zeros((0, 3)))
STATIC_REGIONS = ("neck", "torso", "arms", "scalp")  # regions of the model that no expression moves


def static_vertices(model: ParametricModel, ignored: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Indices of the vertices in STATIC_REGIONS, without those of `ignored` faces [F]; empty without such regions."""
    static = np.zeros(len(model.template), bool)
    for name in STATIC_REGIONS:
        if name in model.regions:
            static |= model.regions[name]
    static[faces[ignored]] = False
    return np.flatnonzero(static)


def match_stereo(
    vertices: np.ndarray,
    faces: np.ndarray,
    candidates: np.ndarray,
    cameras: list[Camera],
    images: list[np.ndarray],
    metre: float = 1.0,
) -> StereoPoints:
    """Search for the surface along the normals.

    The score is the normalised cross-correlation of patches (Furukawa and Ponce, PAMI 2010, section 2.1), here its mean
    over all pairs of views.

    Args:
        vertices: [V, 3] world, within REACH_M of the surface. faces: [F, 3].
        candidates: [N] indices of vertices.
        images: one per camera, [H, W] float32 grey, 0 to 255.
        metre: its length in world units.
    """
    normals = vertex_normals(torch.from_numpy(vertices), torch.from_numpy(faces)).numpy()
    visible = np.stack([_visible(camera, vertices, normals, faces, candidates, metre) for camera in cameras])
    in_two_views = visible.sum(0) >= 2
    candidates, visible = candidates[in_two_views], visible[:, in_two_views]
    steps = np.arange(-REACH_M, REACH_M + STEP_M / 2, STEP_M)
    points = _patches(vertices[candidates], normals[candidates], steps * metre, SPACING_M * metre)
    total = np.zeros(points.shape[:3], np.float32)
    for camera, in_view, image in zip(cameras, visible, images):
        if in_view.any():
            total[in_view] += _sample_patches(camera, image, points[in_view])
    # |sum of n unit vectors|^2 = n + the sum of the correlations of all ordered pairs
    views = visible.sum(0)[:, None]
    correlation = ((total**2).sum(-1) / np.maximum(views, 1) - 1) / np.maximum(views - 1, 1)
    position, good = _peak(correlation)
    matched, normal = candidates[good], normals[candidates[good]]
    distance = metre * (steps[0] + position[good] * STEP_M)
    return StereoPoints(matched, vertices[matched] + distance[:, None] * normal, normal)


def _visible(
    camera: Camera,
    vertices: np.ndarray,
    normals: np.ndarray,
    faces: np.ndarray,
    candidates: np.ndarray,
    metre: float,
) -> np.ndarray:
    """[N] bool: candidates that the camera sees."""
    mesh = view_mesh(camera, vertices, faces)
    view = camera.centre - vertices[candidates]
    cosine = (view * normals[candidates]).sum(1) / np.linalg.norm(view, axis=1)
    at, size = mesh.pixels[candidates], np.array([camera.width, camera.height])
    inside = (at > BORDER_PX).all(1) & (at < size - BORDER_PX).all(1)
    column, row = np.clip(at.astype(int), 0, size - 1).T
    return inside & (cosine > MIN_COSINE) & (mesh.depth[candidates] < mesh.buffers.depth[row, column] + BEHIND_M * metre)


def _patches(points: np.ndarray, normals: np.ndarray, steps: np.ndarray, spacing: float) -> np.ndarray:
    """[N, D, K, 3] float32: D positions along each normal, K samples around each, in the plane across the normal."""
    other = np.where(np.abs(normals[:, :1]) < 0.8, [[1.0, 0, 0]], [[0, 1.0, 0]])
    first = np.cross(normals, other)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(normals, first)
    line = (np.arange(PATCH) - PATCH // 2) * spacing
    across, along = (grid.ravel()[:, None] for grid in np.meshgrid(line, line))
    patch = across * first[:, None] + along * second[:, None]
    return (points[:, None, None] + steps[:, None, None] * normals[:, None, None] + patch[:, None]).astype(np.float32)


def _sample_patches(camera: Camera, image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """[N, D, K] grey values at points [N, D, K, 3]; a patch has mean 0 and length 1 (less with little contrast)."""
    P = camera.projection.astype(np.float32)
    local = points.reshape(-1, 3) @ P[:, :3].T + P[:, 3]
    column, row = (local[:, :2] / local[:, 2:] - 0.5).T.reshape(2, len(points), -1)
    grey = cv2.remap(image, np.ascontiguousarray(column), np.ascontiguousarray(row), cv2.INTER_LINEAR)
    grey = grey.reshape(points.shape[:3])
    grey = grey - grey.mean(-1, keepdims=True)
    return grey / np.sqrt((grey**2).sum(-1, keepdims=True) + grey.shape[-1] * NOISE**2)


def _peak(correlation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Position [N] of the largest correlation [N, D], by a parabola, and whether [N] it is a distinct peak."""
    best = np.clip(correlation.argmax(1), 1, correlation.shape[1] - 2)
    before, here, after = (correlation[np.arange(len(best)), best + k] for k in (-1, 0, 1))
    curvature = 2 * here - before - after
    distinct = (here > MIN_CORRELATION) & (curvature > MIN_CURVATURE * (STEP_M * 1000) ** 2)
    good = (here >= np.maximum(before, after)) & distinct
    return best + 0.5 * (after - before) / np.where(good, curvature, 1.0), good
