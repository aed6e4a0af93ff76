"""Outlines: where the matte crosses one half, where the model's own picture ends, and which belongs to which."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import cKDTree

from pipeline.capture.camera import Camera
from pipeline.mesh.raster import zbuffer

NORMAL_BLUR_PX = 1.5
STAIRCASE_BLUR_PX = 1.0
BORDER_PX = 2


@dataclass(frozen=True)
class Contour:
    """Points [N, 2] of an outline in pixels, normals [N, 2] pointing out of the person, and the last pixel (row, column) [N, 2] inside."""

    points: np.ndarray
    normals: np.ndarray
    inside: np.ndarray

    def __getitem__(self, pick: np.ndarray) -> Contour:
        return Contour(self.points[pick], self.normals[pick], self.inside[pick])

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True)
class Rims:
    """Outline points of one frame, all cameras: what the skin point in `face_ids` [N] at `barycentric` [N, 3] should project to.

    Attributes:
        camera [N] index, target [N, 2] pixels, normal [N, 2]; the residual counts along the normal, `rim` [N] pixels are already between the skin point (a
        pixel centre) and the model's outline.
    """

    camera: np.ndarray
    face_ids: np.ndarray
    barycentric: np.ndarray
    target: np.ndarray
    normal: np.ndarray
    rim: np.ndarray


def trace(alpha: np.ndarray, valid: np.ndarray | None = None) -> Contour:
    """Sub-pixel crossings of a matte [H, W] (0 to 1) with one half, in scan order, away from the border of the picture.

    Each outline point is taken along the axis its normal is closer to, so that there is one per row or per column.
    `valid` [H, W] is False where there is no picture (padding): nothing is traced beside it.
    """
    alpha = np.asarray(alpha, np.float32)
    smooth = cv2.GaussianBlur(alpha, (0, 0), NORMAL_BLUR_PX)
    out = -np.stack([cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)], -1)
    allowed = np.zeros(alpha.shape, np.uint8)
    allowed[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX] = 1
    if valid is not None:
        allowed &= cv2.erode(valid.astype(np.uint8), np.ones((2 * BORDER_PX + 1,) * 2, np.uint8))
    full = alpha >= 0.5
    found = []
    for axis in (1, 0):
        first, second = (alpha[:, :-1], alpha[:, 1:]) if axis else (alpha[:-1], alpha[1:])
        rows, columns = np.nonzero((first >= 0.5) != (second >= 0.5))
        a, b = first[rows, columns], second[rows, columns]
        step = np.array([1 - axis, axis])
        inside = np.stack([rows, columns], 1) + np.where(full[rows, columns], 0, 1)[:, None] * step
        normal = out[inside[:, 0], inside[:, 1]]
        point = np.stack([columns + 0.5, rows + 0.5], 1) + ((0.5 - a) / (b - a))[:, None] * step[::-1]
        keep = (np.abs(normal[:, 1 - axis]) >= np.abs(normal[:, axis])) & (allowed[inside[:, 0], inside[:, 1]] > 0)
        found.append((point[keep], normal[keep], inside[keep]))
    points, normals, inside = (np.concatenate(parts) for parts in zip(*found))
    return Contour(points, normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9), inside)


def outline(vertices: np.ndarray, faces: np.ndarray, camera: Camera) -> tuple[Contour, np.ndarray, np.ndarray]:
    """The outline of a mesh as the camera sees it.

    Args:
        vertices: [V, 3] world. faces: [F, 3].

    Returns:
        contour (half-way between the last pixel centres inside and the first outside, smoothed), face_ids [N] and barycentric [N, 3] of its inside pixels.
    """
    local = camera.to_camera(vertices)
    pixels = local[:, :2] / local[:, 2:] @ camera.K[:2, :2].T + camera.K[:2, 2]
    buffers = zbuffer(pixels, local[:, 2], faces, camera.width, camera.height)
    # the staircase of a hard mask would bias a search for the nearest point towards its outer corners
    contour = trace(cv2.GaussianBlur((buffers.face_id >= 0).astype(np.float32), (0, 0), STAIRCASE_BLUR_PX))
    contour = contour[buffers.face_id[tuple(contour.inside.T)] >= 0]
    at = tuple(contour.inside.T)
    return contour, buffers.face_id[at], buffers.barycentric[at]


def match(image: Contour, model: Contour, gate_px: float, *, neighbours: int = 6, agreement: float = 0.6) -> np.ndarray:
    """For every image outline point the nearest model outline point that faces the same way: indices [N], -1 where none lies within the gate."""
    result = np.full(len(image), -1)
    if not len(image) or len(model) < neighbours:
        return result
    distance, index = cKDTree(model.points).query(image.points, neighbours, distance_upper_bound=gate_px)
    normals = np.concatenate([model.normals, np.zeros((1, 2), model.normals.dtype)])[index]
    good = np.isfinite(distance) & (np.einsum("nkx,nx->nk", normals, image.normals) > agreement)
    any_good = good.any(1)
    result[any_good] = index[any_good, good[any_good].argmax(1)]
    return result


def frame_rims(vertices: np.ndarray, faces: np.ndarray, cut: np.ndarray, cameras: list[Camera], contours: list[Contour], gates_px: np.ndarray) -> Rims:
    """Match the outlines of one frame in all cameras.

    Args:
        vertices: [V, 3] world. cut: [F] bool, faces at the model's open edge: where the model ends the person goes on, so what matches there is left out.
        contours: one per camera (may be empty). gates_px: [C] how far apart two outline points may be to belong together.
    """
    parts = []
    for number, (camera, contour) in enumerate(zip(cameras, contours)):
        if not len(contour):
            continue
        own, face_ids, barycentric = outline(vertices, faces, camera)
        partner = match(contour, own, gates_px[number])
        keep = (partner >= 0) & ~cut[face_ids[partner]] if len(own) else np.zeros(len(contour), bool)
        partner, seen = partner[keep], contour[keep]
        rim = ((own.points[partner] - (own.inside[partner][:, ::-1] + 0.5)) * seen.normals).sum(1)
        parts.append((np.full(len(seen), number), face_ids[partner], barycentric[partner], seen.points, seen.normals, rim))
    if not parts:
        empty = np.zeros(0)
        return Rims(empty.astype(int), empty.astype(int), np.zeros((0, 3)), np.zeros((0, 2)), np.zeros((0, 2)), empty)
    return Rims(*(np.concatenate(column) for column in zip(*parts)))


def cut_faces(faces: np.ndarray, vertex_count: int, rings: int = 2) -> np.ndarray:
    """[F] bool: faces within `rings` steps of an open edge of the mesh."""
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    unique, counts = np.unique(edges, axis=0, return_counts=True)
    near = np.zeros(vertex_count, bool)
    near[unique[counts == 1].ravel()] = True
    for _ in range(rings - 1):
        near[faces[near[faces].any(1)].ravel()] = True
    return near[faces].any(1)
