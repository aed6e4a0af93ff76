"""The camera that swings around a subject."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.avatars.orbit import orbit
from tests.unit import rigged_toy as toy


def test_orbit_looks_at_its_target_from_the_cameras_distance():
    target = np.array([0.02, 0.01, 0.0])
    path = orbit(toy.cameras(3), target, 12, 40)
    distances = [np.linalg.norm(camera.centre - target) for camera in path]
    assert np.allclose(distances, np.median([np.linalg.norm(c.centre - target) for c in toy.cameras(3)]))
    for camera in path:
        np.testing.assert_allclose(camera.project(target), [camera.width / 2, camera.height / 2], atol=1e-9)
        assert camera.R[1] @ toy.cameras(1)[0].R[1] > 0.7 and np.linalg.det(camera.R) == pytest.approx(1)
