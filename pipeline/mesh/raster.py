"""Z-buffer rasterisation of triangle meshes on the CPU (numba): face, barycentrics and depth of every pixel."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

BAND_ROWS = 8
"""Rows per parallel work item: small enough to balance a head in the middle of the image over two cores."""


class MeshBuffers(NamedTuple):
    """The visible triangle at each pixel centre.

    Attributes:
        face_id: [H, W] int32, -1 on the background.
        barycentric: [H, W, 3] float32, perspective correct, 0 on the background.
        depth: [H, W] float32 in the unit of the input, inf on the background.
    """

    face_id: np.ndarray
    barycentric: np.ndarray
    depth: np.ndarray

    def interpolate(self, values: np.ndarray, faces: np.ndarray) -> np.ndarray:
        """Interpolate `values` [V, C] at each pixel: [H, W, C], 0 on the background.

        faces: [F, 3] indices into `values`; the mesh's own faces for per-vertex values, others for per-corner values.
        """
        covered = self.interpolate_covered(values, faces)
        result = np.zeros((*self.face_id.shape, values.shape[1]), covered.dtype)
        result[self.face_id >= 0] = covered
        return result

    def interpolate_covered(self, values: np.ndarray, faces: np.ndarray) -> np.ndarray:
        """The same at the P pixels that are not background, row by row: [P, C]."""
        covered = self.face_id >= 0
        corners, weights = faces[self.face_id[covered]], self.barycentric[covered]
        a, b, c = (weights[:, k, None] * values[corners[:, k]] for k in range(3))
        return a + b + c


@numba.njit(cache=True)
def _row_spans(points, depth, faces, height, spans):
    """Write the first and last + 1 row of each triangle into spans [F, 2].

    (0, 0): dropped, because a vertex is behind the camera or not finite, or the triangle has no area or is outside.
    """
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        spans[f, 0] = spans[f, 1] = 0
        if not (depth[a] > 0 and depth[b] > 0 and depth[c] > 0):
            continue
        area = (points[b, 0] - points[a, 0]) * (points[c, 1] - points[a, 1]) - (points[b, 1] - points[a, 1]) * (points[c, 0] - points[a, 0])
        if not (abs(area) > 1e-12 and abs(area) < 1e18):  # no area, overflow, or nan
            continue
        low = min(points[a, 1], points[b, 1], points[c, 1])
        high = max(points[a, 1], points[b, 1], points[c, 1])
        first = max(np.ceil(low - 0.5), 0.0)
        last = min(np.floor(high - 0.5), height - 1.0)
        if first <= last:
            spans[f, 0] = int(first)
            spans[f, 1] = int(last) + 1


@numba.njit(cache=True)
def _bands(spans, bands):
    """Triangles of each band of rows in face order: (starts [bands + 1], members), a CSR index."""
    starts = np.zeros(bands + 1, np.int64)
    for f in range(spans.shape[0]):
        if spans[f, 1] > spans[f, 0]:
            for band in range(spans[f, 0] // BAND_ROWS, (spans[f, 1] - 1) // BAND_ROWS + 1):
                starts[band + 1] += 1
    for band in range(bands):
        starts[band + 1] += starts[band]
    cursor = starts[:-1].copy()
    members = np.empty(starts[bands], np.int32)
    for f in range(spans.shape[0]):
        if spans[f, 1] > spans[f, 0]:
            for band in range(spans[f, 0] // BAND_ROWS, (spans[f, 1] - 1) // BAND_ROWS + 1):
                members[cursor[band]] = f
                cursor[band] += 1
    return starts, members


@numba.njit(cache=True)
def _draw(points, depth, faces, f, row_first, row_end, face_id, barycentric, buffer):
    """Draw triangle f into rows row_first to row_end - 1. Edges count as inside, so that neighbours leave no gap."""
    width = face_id.shape[1]
    a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
    ax, ay = points[a, 0], points[a, 1]
    bx, by = points[b, 0], points[b, 1]
    cx, cy = points[c, 0], points[c, 1]
    column_first = int(max(np.ceil(min(ax, bx, cx) - 0.5), 0.0))
    column_end = int(min(np.floor(max(ax, bx, cx) - 0.5), width - 1.0)) + 1
    inverse_area = 1.0 / ((bx - ax) * (cy - ay) - (by - ay) * (cx - ax))
    for row in range(row_first, row_end):
        y = row + 0.5
        for column in range(column_first, column_end):
            x = column + 0.5
            weight_a = ((bx - x) * (cy - y) - (by - y) * (cx - x)) * inverse_area
            weight_b = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) * inverse_area
            weight_c = ((ax - x) * (by - y) - (ay - y) * (bx - x)) * inverse_area
            if weight_a < 0 or weight_b < 0 or weight_c < 0:
                continue
            # Barycentrics divided by depth are linear in the image: interpolate 1/z there, then divide.
            weight_a /= depth[a]
            weight_b /= depth[b]
            weight_c /= depth[c]
            z = 1.0 / (weight_a + weight_b + weight_c)
            if z < buffer[row, column]:
                buffer[row, column] = z
                face_id[row, column] = f
                barycentric[row, column, 0] = weight_a * z
                barycentric[row, column, 1] = weight_b * z
                barycentric[row, column, 2] = weight_c * z


@numba.njit(cache=True, parallel=True)
def _draw_bands(points, depth, faces, spans, starts, members, face_id, barycentric, buffer):
    for band in numba.prange(starts.shape[0] - 1):
        for member in range(starts[band], starts[band + 1]):
            f = members[member]
            row_first = max(spans[f, 0], band * BAND_ROWS)
            row_end = min(spans[f, 1], (band + 1) * BAND_ROWS)
            _draw(points, depth, faces, f, row_first, row_end, face_id, barycentric, buffer)


def zbuffer(points_px: np.ndarray, depth: np.ndarray, faces: np.ndarray, width: int, height: int) -> MeshBuffers:
    """The nearest triangle at every pixel centre (column + 0.5, row + 0.5).

    Triangles with a vertex behind the camera (depth <= 0 or not finite) are dropped, not clipped. Both sides of a
    triangle are drawn. Perspective-correct interpolation: Heckbert and Moreton, "Interpolation for polygon texture
    mapping and shading", 1991.

    Args:
        points_px: [V, 2] projected vertices in pixels; they may lie outside the image.
        depth: [V] z in camera coordinates, positive in front.
        faces: [F, 3] vertex indices.
    """
    points = np.ascontiguousarray(points_px, np.float64)
    depth = np.ascontiguousarray(depth, np.float64)
    faces = np.ascontiguousarray(faces, np.int32)
    face_id = np.full((height, width), -1, np.int32)
    barycentric = np.zeros((height, width, 3), np.float32)
    buffer = np.full((height, width), np.inf, np.float32)
    spans = np.empty((len(faces), 2), np.int32)
    _row_spans(points, depth, faces, height, spans)
    starts, members = _bands(spans, -(-height // BAND_ROWS))
    _draw_bands(points, depth, faces, spans, starts, members, face_id, barycentric, buffer)
    return MeshBuffers(face_id, barycentric, buffer)
