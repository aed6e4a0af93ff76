"""The detectors' points on the model, and how far a detector may be from them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipeline.track.gauss_newton_body import Points, Rig
from pipeline.track.observe import FACE_POINTS

STABLE_MM = 3.0
SHOULDERS = (11, 12)
SHIFT_REACH_M, SHIFT_COMMON = 0.02, 0.5
"""A face detector is off in the same way over about this distance; share of the variance that neighbours have in common."""
BODY_SHIFT_M = 0.04
"""How far a body detector's joint may lie from the model's, constantly over time."""


@dataclass(frozen=True)
class Landmarks:
    """What the model knows of the detectors' points.

    Attributes:
        rows: [L] indices into the 511 points. stable: [L] face landmarks that the detector puts within STABLE_MM of the same place from every side.
        vertices, weights: [L, M] where they lie, as weighted means of vertices. points: the same as skin points.
    """

    rows: np.ndarray
    stable: np.ndarray
    vertices: np.ndarray
    weights: np.ndarray
    points: Points

    @property
    def count(self) -> int:
        return len(self.rows)

    @property
    def on_face(self) -> np.ndarray:
        """[L] bool."""
        return self.rows < FACE_POINTS

    def carry(self, values: np.ndarray) -> np.ndarray:
        """Unit vectors [L, 3] at the landmarks from vectors [V, 3] at the vertices."""
        mean = self.mean(values)
        return mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-9)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """[L, 3] of values [V, 3] at the vertices."""
        return np.einsum("lm,lmx->lx", self.weights, values[self.vertices])

    def displaced(self, rig: Rig, offsets: np.ndarray) -> Landmarks:
        """The landmarks on a skin with free displacements [V, 3]."""
        return replace(self, points=rig.points(self.vertices, self.weights, offsets))


def landmarks_of(model, rig: Rig, kind: str) -> Landmarks:  # noqa: ANN001
    """Landmarks of the model's tables "mediapipe_face" and "mediapipe_pose"; of a head's pose points only the shoulders (the face mesh knows the rest better)."""
    rows, stable, vertices, weights = [], [], [], []
    for name, offset in (("mediapipe_face", 0), ("mediapipe_pose", FACE_POINTS)):
        if name not in model.landmarks:
            continue
        table = model.landmarks[name]
        valid = np.flatnonzero(np.asarray(table.valid))
        if offset and kind == "head":
            valid = valid[np.isin(valid, SHOULDERS)]
        rows.append(valid + offset)
        stable.append(np.asarray(table.spread_mm)[valid] < STABLE_MM)
        vertices.append(np.asarray(table.vertices)[valid])
        weights.append(np.asarray(table.weights)[valid])
    width = max(v.shape[1] for v in vertices)
    vertices, weights = (np.concatenate([np.pad(a, ((0, 0), (0, width - a.shape[1]))) for a in parts]) for parts in (vertices, weights))
    return Landmarks(np.concatenate(rows), np.concatenate(stable), vertices, weights, rig.points(vertices, weights))


def shift_precision(landmarks: Landmarks, spread: float) -> np.ndarray:
    """[L, L] inverse covariance of the landmark shifts, 1/m^2: on the face partly each its own, partly shared with neighbours (`spread` metres in all)."""
    points, face = landmarks.points.template, landmarks.on_face
    squared = ((points[:, None] - points[None]) ** 2).sum(-1)
    common = np.exp(-squared / (2 * SHIFT_REACH_M**2)) * (face[:, None] & face)
    size = np.where(face, spread, BODY_SHIFT_M)
    covariance = SHIFT_COMMON * common + np.diag(np.where(face, 1 - SHIFT_COMMON, 1.0))
    return np.linalg.inv(covariance * size[:, None] * size)
