"""The camera that swings around a subject."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.avatars.orbit import orbit
from tests.unit import rigged_toy as toy
from tests.unit.scenes import ring


def test_orbit_looks_at_its_target_from_the_cameras_distance():
    target = np.array([0.02, 0.01, 0.0])
    path = orbit(toy.cameras(3), target, 12, 40)
    distances = [np.linalg.norm(camera.centre - target) for camera in path]
    assert np.allclose(distances, np.median([np.linalg.norm(c.centre - target) for c in toy.cameras(3)]))
    for camera in path:
        np.testing.assert_allclose(camera.project(target), [camera.width / 2, camera.height / 2], atol=1e-9)
        assert camera.R[1] @ toy.cameras(1)[0].R[1] > 0.7 and np.linalg.det(camera.R) == pytest.approx(1)


def test_among_cameras_all_around_it_is_a_full_turn_at_their_height():
    cameras = ring(16)
    path = orbit(cameras, np.zeros(3), 12, 40)
    centres = np.stack([camera.centre for camera in path])
    up = -np.mean([camera.R[1] for camera in cameras], axis=0)
    flat = centres - np.outer(centres @ up, up) / (up @ up)
    cosines = np.einsum("nc,nc->n", flat, np.roll(flat, -1, 0)) / np.linalg.norm(flat, axis=1) ** 2
    np.testing.assert_allclose(cosines, np.cos(2 * np.pi / 12), rtol=1e-12)
    np.testing.assert_allclose(flat.sum(0), 0, atol=1e-12)  # once around
    assert np.ptp(centres @ up) < 1e-12, "no swing up and down"
