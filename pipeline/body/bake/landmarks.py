"""Landmark tables of models: of imported ones, and of our own: `python -m pipeline.body.bake.landmarks [FOLDER]`, after `bake.anny`.

Face: MediaPipe detects landmarks in synthetic renders of several people and views; each detection is back-projected
onto the mesh; landmarks whose detections agree on the surface are valid. Pose: rings of skin around the joints that
MediaPipe's body points correspond to.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.body import store
from pipeline.body.bake.landmark_views import SurfacePoint, detections
from pipeline.body.bake.pose_table import pose_table
from pipeline.body.model import DATA, ParametricModel, load_model

STABLE_MM = 4.0  # largest spread of a valid landmark
FEWEST_VIEWS = 12  # landmarks with fewer detections are invalid
Table = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def main() -> None:
    """Bake the face and pose tables of anny_head and copy them to anny_body."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=DATA)
    folder = parser.parse_args().folder
    head, body = load_model(folder / "anny_head.npz"), load_model(folder / "anny_body.npz")
    tables = face_table(head, detections(head))
    source = store.read_arrays(folder / "anny_head.npz")["source_vertices"]
    spread = np.nanmedian(tables[3][tables[2]])
    print(f"mediapipe_face: {int(tables[2].sum())} of {len(tables[2])} stable, median spread {spread:.2f} mm")
    for model, face in ((head, tables), (body, (source[tables[0]], *tables[1:]))):
        path = folder / f"{model.name}.npz"
        arrays = {name: array for name, array in store.read_arrays(path).items() if not name.startswith("landmarks.") and name != "facts"}
        landmarks, facts = landmark_arrays(model, face)
        store.write_arrays(path, arrays | landmarks, model.facts | facts | {"traits": model.traits.to_json()})


def landmark_arrays(model: ParametricModel, face: Table) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of the face and pose tables for the model's file, and facts about them. face: see `face_table`."""
    spreads = face[3][face[2]]
    facts = {"mediapipe_face": {"stable": int(face[2].sum()), "median_spread_mm": round(float(np.median(spreads)), 2) if len(spreads) else None}}
    return store.pack_landmarks("mediapipe_face", *face) | store.pack_landmarks("mediapipe_pose", *pose_table(model, face)), facts


def face_table(model: ParametricModel, detections: list[list[SurfacePoint]]) -> Table:
    """Face table from the detections of each landmark: vertices, weights [L, 3], valid, spread_mm [L]."""
    template, faces = model.template.numpy().astype(np.float64), model.faces.numpy()
    count = len(detections)
    vertices = np.zeros((count, 3), np.int64)
    weights = np.tile([1.0, 0.0, 0.0], (count, 1))
    valid = np.zeros(count, bool)
    spread = np.full(count, np.nan)
    for landmark, points in enumerate(detections):
        if len(points) < FEWEST_VIEWS:
            continue
        positions = np.array([template[faces[point.face]].T @ point.barycentric for point in points])
        centre, spread[landmark] = _robust_mean(positions)
        near = np.unique([point.face for point in points])
        face, barycentric = _closest(template, faces[near], centre)
        vertices[landmark], weights[landmark] = faces[near[face]], barycentric
        valid[landmark] = spread[landmark] <= STABLE_MM
    return vertices, weights, valid, spread


def _robust_mean(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Mean of the 75 % of the points [N, 3] nearest to the median, and their RMS distance from it in mm."""
    distance = np.linalg.norm(points - np.median(points, axis=0), axis=1)
    kept = points[distance <= np.quantile(distance, 0.75)]
    centre = kept.mean(axis=0)
    return centre, float(np.sqrt(((kept - centre) ** 2).sum(axis=1).mean()) * 1000)


def _closest(vertices: np.ndarray, faces: np.ndarray, point: np.ndarray) -> tuple[int, np.ndarray]:
    """The face nearest to a point and barycentrics on it (projection to the plane, clipped to the triangle)."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    edge1, edge2, to_point = b - a, c - a, point - a
    d11 = (edge1 * edge1).sum(1)
    d12 = (edge1 * edge2).sum(1)
    d22 = (edge2 * edge2).sum(1)
    p1, p2 = (to_point * edge1).sum(1), (to_point * edge2).sum(1)
    area = np.maximum(d11 * d22 - d12 * d12, 1e-24)
    v, w = (d22 * p1 - d12 * p2) / area, (d11 * p2 - d12 * p1) / area
    barycentric = np.clip(np.stack([1 - v - w, v, w], axis=1), 0, None)
    barycentric /= barycentric.sum(axis=1, keepdims=True)
    distance = np.linalg.norm((np.stack([a, b, c], axis=1) * barycentric[..., None]).sum(1) - point, axis=1)
    best = int(distance.argmin())
    return best, barycentric[best]


if __name__ == "__main__":
    main()
