"""What the fit says about its residuals: only stable landmarks that face the camera count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.body.model import load_model
from pipeline.capture.camera import Camera
from pipeline.capture.processed import Frame
from pipeline.track.gauss_newton_body import Rig
from pipeline.track.joints import free_joints
from pipeline.track.landmarks import STABLE_MM, landmarks_of
from pipeline.track.observe import observe
from pipeline.track.visibility import VISIBLE_COSINE, facing, residuals, visible

K = np.array([[700.0, 0, 256], [0, 700, 256], [0, 0, 1]])


@pytest.fixture(scope="module")
def scene():
    """The mean head at rest before two cameras in front of it and one behind it, seen without any error."""
    model = load_model("anny_head")
    rig = Rig.of(model, free_joints(model, "head"))
    landmarks = landmarks_of(model, rig, "head")
    state = rig.start(1, landmarks.count)
    points = rig.place(rig.posed(state, 0), state, 0, landmarks.points)
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
    seen = observe(tuple(cameras), (Frame("a_000000", "a", 0, 0.0),), full[:, :, :478], full[:, :, 478:], 0.5)
    return model, rig, landmarks, state, seen


def test_stable_is_what_the_table_says(scene):
    model, _, landmarks, _, _ = scene
    spread = np.asarray(model.landmarks["mediapipe_face"].spread_mm)[landmarks.rows[landmarks.on_face]]
    np.testing.assert_array_equal(landmarks.stable[landmarks.on_face], spread < STABLE_MM)
    assert 0.5 < landmarks.stable[landmarks.on_face].mean() < 1


def test_no_error_is_no_residual_and_nothing_is_seen_from_behind(scene):
    _, rig, landmarks, state, seen = scene
    per_camera, of_all = residuals(rig, landmarks, seen, state)
    assert of_all < 1e-3 and per_camera[:2].max() < 1e-3
    cosine, trust = facing(rig, landmarks, seen, state)
    behind = cosine[0, 2, landmarks.on_face]
    assert (behind > VISIBLE_COSINE).mean() < 0.05 and trust[0, 2, landmarks.on_face].max() == 0


def test_only_what_is_visible_and_stable_counts(scene):
    _, rig, landmarks, state, seen = scene
    counted = np.zeros(seen.weight.shape, bool)
    counted[:, :, landmarks.rows] = visible(rig, landmarks, seen, state) & landmarks.stable
    moved = replace(seen, pixels=seen.pixels + np.where(counted[..., None], [0, 0], [50, 0]))
    assert residuals(rig, landmarks, moved, state)[1] < 1e-3
    moved = replace(seen, pixels=seen.pixels + np.where(counted[..., None], [3, 4], [0, 0]))
    assert abs(residuals(rig, landmarks, moved, state)[1] - 5) < 1e-3
