"""Silhouettes of mattes, occluding contours of the mesh, and their correspondences."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import cKDTree

from pipeline.capture.camera import Camera
from pipeline.capture.mesh_view import view_mesh

NORMAL_BLUR_PX = 1.5
STAIRCASE_BLUR_PX = 1.0
BORDER_PX = 2


@dataclass(frozen=True)
class Contour:
    """Points of a contour in one image.

    Attributes:
        points: [N, 2] pixels. normals: [N, 2], pointing out of the subject.
        inside: [N, 2] row and column of the last pixel inside.
    """

    points: np.ndarray
    normals: np.ndarray
    inside: np.ndarray

    def __getitem__(self, index: np.ndarray) -> Contour:
        return Contour(self.points[index], self.normals[index], self.inside[index])

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True)
class ContourMatches:
    """Silhouette points of one frame in all cameras, and the skin points that should project onto them.

    Attributes:
        camera: [N] index.
        face_ids: [N], barycentric: [N, 3] of the skin point.
        target: [N, 2], normal: [N, 2] of the silhouette, pixels; the residual counts along the normal.
        contour_distance: [N] pixels along the normal from the skin point (a pixel centre) to the occluding contour.
    """

    camera: np.ndarray
    face_ids: np.ndarray
    barycentric: np.ndarray
    target: np.ndarray
    normal: np.ndarray
    contour_distance: np.ndarray


def trace_contour(alpha: np.ndarray, valid: np.ndarray | None = None) -> Contour:
    """Sub-pixel crossings of a matte [H, W] (0 to 1) with 0.5, in scan order, except at the image border.

    Each point lies on the pixel axis that is closer to its normal, so there is one per row or per column.

    Args:
        valid: [H, W] bool, False in padding; crossings next to padding are left out.
    """
    alpha = np.asarray(alpha, np.float32)
    smooth = cv2.GaussianBlur(alpha, (0, 0), NORMAL_BLUR_PX)
    outward = -np.stack([cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)], -1)
    allowed = np.zeros(alpha.shape, np.uint8)
    allowed[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX] = 1
    if valid is not None:
        allowed &= cv2.erode(valid.astype(np.uint8), np.ones((2 * BORDER_PX + 1,) * 2, np.uint8))
    foreground = alpha >= 0.5
    parts = []
    for axis in (1, 0):
        first, second = (alpha[:, :-1], alpha[:, 1:]) if axis else (alpha[:-1], alpha[1:])
        rows, columns = np.nonzero((first >= 0.5) != (second >= 0.5))
        a, b = first[rows, columns], second[rows, columns]
        step = np.array([1 - axis, axis])
        inside = np.stack([rows, columns], 1) + np.where(foreground[rows, columns], 0, 1)[:, None] * step
        normal = outward[inside[:, 0], inside[:, 1]]
        point = np.stack([columns + 0.5, rows + 0.5], 1) + ((0.5 - a) / (b - a))[:, None] * step[::-1]
        along_axis = np.abs(normal[:, 1 - axis]) >= np.abs(normal[:, axis])
        keep = along_axis & (allowed[inside[:, 0], inside[:, 1]] > 0)
        parts.append((point[keep], normal[keep], inside[keep]))
    points, normals, inside = (np.concatenate(arrays) for arrays in zip(*parts))
    return Contour(points, normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9), inside)


def occluding_contour(
    vertices: np.ndarray,
    faces: np.ndarray,
    camera: Camera,
) -> tuple[Contour, np.ndarray, np.ndarray]:
    """The occluding contour of a mesh in one camera.

    Args:
        vertices: [V, 3] world. faces: [F, 3].

    Returns:
        contour (half-way between the last pixel centre inside and the first outside, smoothed), face_ids [N] and
        barycentric [N, 3] of its inside pixels.
    """
    buffers = view_mesh(camera, vertices, faces).buffers
    # nearest neighbours would be biased towards the outer corners of a hard mask's staircase
    mask = cv2.GaussianBlur((buffers.face_id >= 0).astype(np.float32), (0, 0), STAIRCASE_BLUR_PX)
    contour = trace_contour(mask)
    contour = contour[buffers.face_id[tuple(contour.inside.T)] >= 0]
    at = tuple(contour.inside.T)
    return contour, buffers.face_id[at], buffers.barycentric[at]


def match_contours(
    silhouette: Contour,
    model: Contour,
    gate_px: float,
    *,
    neighbours: int = 6,
    min_cosine: float = 0.6,
) -> np.ndarray:
    """For every silhouette point the nearest model point with a similar normal: indices [N], -1 without any in the gate."""
    result = np.full(len(silhouette), -1)
    if not len(silhouette) or len(model) < neighbours:
        return result
    distance, index = cKDTree(model.points).query(silhouette.points, neighbours, distance_upper_bound=gate_px)
    normals = np.concatenate([model.normals, np.zeros((1, 2), model.normals.dtype)])[index]
    good = np.isfinite(distance) & (np.einsum("nkx,nx->nk", normals, silhouette.normals) > min_cosine)
    any_good = good.any(1)
    result[any_good] = index[any_good, good[any_good].argmax(1)]
    return result


def match_frame(
    vertices: np.ndarray,
    faces: np.ndarray,
    ignored: np.ndarray,
    cameras: list[Camera],
    silhouettes: list[Contour],
    gates_px: np.ndarray,
) -> ContourMatches:
    """Match silhouettes and occluding contours of one frame in all cameras.

    Args:
        vertices: [V, 3] world. faces: [F, 3].
        ignored: [F] bool, faces whose matches are left out: near the model's open boundary the subject continues.
        silhouettes: one per camera (may be empty).
        gates_px: [C] largest distance of a match.
    """
    parts = []
    for number, (camera, silhouette) in enumerate(zip(cameras, silhouettes)):
        if not len(silhouette):
            continue
        model, face_ids, barycentric = occluding_contour(vertices, faces, camera)
        partner = match_contours(silhouette, model, gates_px[number])
        keep = (partner >= 0) & ~ignored[face_ids[partner]] if len(model) else np.zeros(len(silhouette), bool)
        partner, matched = partner[keep], silhouette[keep]
        skin_pixel = model.inside[partner][:, ::-1] + 0.5
        distance = ((model.points[partner] - skin_pixel) * matched.normals).sum(1)
        camera_index = np.full(len(matched), number)
        parts.append((camera_index, face_ids[partner], barycentric[partner], matched.points, matched.normals, distance))
    if not parts:
        indices, pairs = np.zeros(0, int), np.zeros((0, 2))
        return ContourMatches(indices, indices, np.zeros((0, 3)), pairs, pairs, np.zeros(0))
    return ContourMatches(*(np.concatenate(arrays) for arrays in zip(*parts)))


def boundary_faces(faces: np.ndarray, vertex_count: int, rings: int = 2) -> np.ndarray:
    """[F] bool: faces within `rings` rings of an open boundary of the mesh."""
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    unique, counts = np.unique(edges, axis=0, return_counts=True)
    near = np.zeros(vertex_count, bool)
    near[unique[counts == 1].ravel()] = True
    for _ in range(rings - 1):
        near[faces[near[faces].any(1)].ravel()] = True
    return near[faces].any(1)
