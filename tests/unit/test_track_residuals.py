"""Reported residuals of a fit: only stable landmarks that face the camera count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.body.model import load_model
from pipeline.capture.camera import Camera
from pipeline.capture.processed import Frame
from pipeline.track.gauss_newton_body import GaussNewtonBody
from pipeline.track.joints import free_joints
from pipeline.track.landmarks import STABLE_MM, model_landmarks
from pipeline.track.observations import observe
from pipeline.track.visibility import VISIBLE_COSINE, facing, reprojection_error, visible

K = np.array([[700.0, 0, 256], [0, 700, 256], [0, 0, 1]])


@pytest.fixture(scope="module")
def scene():
    """The mean head at rest before two cameras in front of it and one behind it, observed without any error."""
    model = load_model("anny_head")
    body = GaussNewtonBody.of(model, free_joints(model, "head"))
    landmarks = model_landmarks(model, body, "head")
    state = body.initial_state(1, landmarks.count)
    points = body.pose_points(body.pose_joints(state, 0), state, 0, landmarks.points)
    face = points[landmarks.on_face]
    cameras = []
    for index, (side, sign) in enumerate(((0.15, 1), (-0.15, 1), (0.0, -1))):
        centre = face.mean(0) + sign * np.array([0, -0.6, 0]) + [side, 0, 0]
        forward = face.mean(0) - centre
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0, 0, 1.0])
        right /= np.linalg.norm(right)
        R = np.stack([right, np.cross(forward, right), forward])
        cameras.append(Camera(f"c{index}", 512, 512, K, R, -R @ centre))
    full = np.full((1, 3, 511, 3), np.nan)
    for index, camera in enumerate(cameras):
        full[0, index, landmarks.rows, :2], full[0, index, landmarks.rows, 2] = camera.project(points), 1.0
    observations = observe(tuple(cameras), (Frame("a_000000", "a", 0, 0.0),), full[:, :, :478], full[:, :, 478:], 0.5)
    return model, body, landmarks, state, observations


def test_stable_is_what_the_table_says(scene):
    model, _, landmarks, _, _ = scene
    spread = np.asarray(model.landmarks["mediapipe_face"].spread_mm)[landmarks.rows[landmarks.on_face]]
    np.testing.assert_array_equal(landmarks.stable[landmarks.on_face], spread < STABLE_MM)
    assert 0.5 < landmarks.stable[landmarks.on_face].mean() < 1


def test_no_error_is_no_residual_and_nothing_is_seen_from_behind(scene):
    _, body, landmarks, state, observations = scene
    per_camera, of_all = reprojection_error(body, landmarks, observations, state)
    assert of_all < 1e-3 and per_camera[:2].max() < 1e-3
    cosine, weight = facing(body, landmarks, observations, state)
    behind = cosine[0, 2, landmarks.on_face]
    assert (behind > VISIBLE_COSINE).mean() < 0.05 and weight[0, 2, landmarks.on_face].max() == 0


def test_only_what_is_visible_and_stable_counts(scene):
    _, body, landmarks, state, observations = scene
    counted = np.zeros(observations.weight.shape, bool)
    counted[:, :, landmarks.rows] = visible(body, landmarks, observations, state) & landmarks.stable
    moved = replace(observations, pixels=observations.pixels + np.where(counted[..., None], [0, 0], [50, 0]))
    assert reprojection_error(body, landmarks, moved, state)[1] < 1e-3
    moved = replace(observations, pixels=observations.pixels + np.where(counted[..., None], [3, 4], [0, 0]))
    assert abs(reprojection_error(body, landmarks, moved, state)[1] - 5) < 1e-3
