"""The detectors' points on the model, and the prior of their offsets."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipeline.body.model import ParametricModel
from pipeline.track.gauss_newton_body import GaussNewtonBody, SurfacePoints
from pipeline.vision.mediapipe_indices import FACE_POINTS, SHOULDERS

STABLE_MM = 3.0  # face landmarks with a smaller `LandmarkTable.spread_mm` count in the reported residuals
CORRELATION_LENGTH_M = 0.02  # a face detector makes the same error over about this distance
CORRELATION = 0.5  # fraction of the variance that neighbouring landmark offsets have in common
BODY_OFFSET_SIGMA_M = 0.04  # standard deviation of a body detector's joint from the model's, constant over time


@dataclass(frozen=True)
class Landmarks:
    """The detectors' points that the model has.

    Attributes:
        rows: [L] indices into the 511 detected points (face, then body).
        stable: [L] bool, face landmarks with a spread below STABLE_MM.
        vertices, weights: [L, M] their places as weighted means of vertices.
        points: the same as surface points.
    """

    rows: np.ndarray
    stable: np.ndarray
    vertices: np.ndarray
    weights: np.ndarray
    points: SurfacePoints

    @property
    def count(self) -> int:
        """L."""
        return len(self.rows)

    @property
    def on_face(self) -> np.ndarray:
        """[L] bool."""
        return self.rows < FACE_POINTS

    def mean(self, values: np.ndarray) -> np.ndarray:
        """[L, 3] weighted means of values [V, 3] at the vertices."""
        return np.einsum("lm,lmx->lx", self.weights, values[self.vertices])

    def mean_direction(self, values: np.ndarray) -> np.ndarray:
        """[L, 3] unit vectors, weighted means of vectors [V, 3] at the vertices."""
        mean = self.mean(values)
        return mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-9)

    def with_vertex_offsets(self, body: GaussNewtonBody, offsets: np.ndarray) -> Landmarks:
        """The landmarks on a template with vertex offsets [V, 3]."""
        return replace(self, points=body.surface_points(self.vertices, self.weights, offsets))


def model_landmarks(model: ParametricModel, body: GaussNewtonBody, kind: str) -> Landmarks:
    """Landmarks of the model's tables "mediapipe_face" and "mediapipe_pose".

    kind: "head" or "body". Of a head's pose points only the shoulders are used: the face mesh is more exact for the others.
    """
    rows, stable, vertices, weights = [], [], [], []
    for name, first in (("mediapipe_face", 0), ("mediapipe_pose", FACE_POINTS)):
        if name not in model.landmarks:
            continue
        table = model.landmarks[name]
        valid = np.flatnonzero(table.valid.numpy())
        if first and kind == "head":
            valid = valid[np.isin(valid, np.r_[SHOULDERS])]
        rows.append(valid + first)
        stable.append(table.spread_mm.numpy()[valid] < STABLE_MM)
        vertices.append(table.vertices.numpy()[valid])
        weights.append(table.weights.numpy()[valid])
    all_vertices, all_weights = _stack_padded(vertices), _stack_padded(weights)
    points = body.surface_points(all_vertices, all_weights)
    return Landmarks(np.concatenate(rows), np.concatenate(stable), all_vertices, all_weights, points)


def _stack_padded(tables: list[np.ndarray]) -> np.ndarray:
    """Tables [L_i, M_i] below each other, padded with zeros to the widest."""
    width = max(table.shape[1] for table in tables)
    return np.concatenate([np.pad(table, ((0, 0), (0, width - table.shape[1]))) for table in tables])


def landmark_offset_precision(landmarks: Landmarks, sigma: float) -> np.ndarray:
    """[L, L] inverse covariance of the landmark offsets, 1/m^2.

    sigma: standard deviation on the face, metres; CORRELATION of the variance there is shared with neighbours.
    """
    points, face = landmarks.points.template, landmarks.on_face
    squared_distance = ((points[:, None] - points[None]) ** 2).sum(-1)
    common = np.exp(-squared_distance / (2 * CORRELATION_LENGTH_M**2)) * (face[:, None] & face)
    sigmas = np.where(face, sigma, BODY_OFFSET_SIGMA_M)
    correlation = CORRELATION * common + np.diag(np.where(face, 1 - CORRELATION, 1.0))
    return np.linalg.inv(correlation * sigmas[:, None] * sigmas)
