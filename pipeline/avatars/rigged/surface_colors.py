"""First colours of splats: the mean over the images that see them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from scipy.spatial import cKDTree

from pipeline.capture.camera import Camera
from pipeline.mesh.raster import zbuffer
from pipeline.mesh.topology import face_normals

SLACK = 0.004  # metres that a point may lie behind the front-most surface and still count as seen: points of one triangle differ by that much
GREY = 0.5


def surface_colors(
    views: Iterable[tuple[np.ndarray, Camera, np.ndarray]], faces: np.ndarray, face: np.ndarray, barycentric: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Colours of surface points.

    A image counts where the point is the first thing on its ray, by how squarely it is seen (squared cosine) and how opaque the image is there.

    Args:
        views: (world vertices [V, 3], camera, RGBA uint8 [H, W, 4]) of each image. faces: [F, 3].
        face: [N] and barycentric: [N, 3] of the points.

    Returns:
        colours [N, 3] in 0..1, of points that no image sees those of the nearest point seen (at rest in the last view); seen bool [N].
    """
    total, weight = np.zeros((len(face), 3)), np.zeros(len(face))
    vertices = None
    for vertices, camera, rgba in views:
        color, amount = _seen_colors(vertices, camera, rgba, faces, face, barycentric)
        total += color * amount[:, None]
        weight += amount
    seen = weight > 1e-3
    if vertices is None or not seen.any():
        return np.full((len(face), 3), GREY), seen
    colors = total / np.maximum(weight, 1e-9)[:, None]
    points = _points(vertices, faces, face, barycentric)
    nearest = cKDTree(points[seen]).query(points[~seen])[1]
    colors[~seen] = colors[seen][nearest]
    return colors, seen


def _seen_colors(
    vertices: np.ndarray, camera: Camera, rgba: np.ndarray, faces: np.ndarray, face: np.ndarray, barycentric: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Colours [N, 3] of the points in one image and how much they count [N]."""
    corners, depth = camera.project(vertices), camera.to_camera(vertices)[:, 2]
    front = zbuffer(corners, depth, faces, camera.width, camera.height).depth
    points = _points(vertices, faces, face, barycentric)
    pixels, distance = camera.project(points), camera.to_camera(points)[:, 2]
    columns, rows = (np.floor(pixels[:, i]).astype(int) for i in (0, 1))
    inside = (columns >= 0) & (rows >= 0) & (columns < camera.width) & (rows < camera.height) & (distance > 0)
    columns, rows = np.where(inside, columns, 0), np.where(inside, rows, 0)
    normals = face_normals(torch.from_numpy(vertices), torch.from_numpy(faces)).numpy()[face]
    to_camera = camera.centre - points
    cosine = (normals * to_camera).sum(1) / np.linalg.norm(to_camera, axis=1)
    visible = inside & (cosine > 0) & (distance < front[rows, columns] + SLACK)
    pixel = rgba[rows, columns] / 255.0
    return pixel[:, :3], np.where(visible, np.square(cosine) * pixel[:, 3], 0.0)


def _points(vertices: np.ndarray, faces: np.ndarray, face: np.ndarray, barycentric: np.ndarray) -> np.ndarray:
    return np.einsum("nk,nkc->nc", barycentric, vertices[faces[face]])
