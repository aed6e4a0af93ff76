"""Triangulation finds the point, whatever one camera says, and knows where there is none."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from pipeline.capture.camera import Camera
from pipeline.geometry import triangulation
from pipeline.geometry.triangulation import triangulate

RNG = np.random.default_rng(0)


def _ring(count: int) -> list[Camera]:
    """Cameras on an arc of 1 m around the origin, all looking at it."""
    K = np.array([[800.0, 0, 320], [0, 800, 240], [0, 0, 1]])
    cameras = []
    for index, angle in enumerate(np.linspace(-1.0, 1.0, count)):
        forward = -np.array([np.sin(angle), 0.1 * index, np.cos(angle)])
        forward /= np.linalg.norm(forward)
        right = np.cross([0, 1, 0], forward)
        right /= np.linalg.norm(right)
        R = np.stack([right, np.cross(forward, right), forward])
        cameras.append(Camera(f"c{index}", 640, 480, K, R, np.array([0, 0, 1.0])))
    return cameras


@pytest.fixture
def scene():
    cameras = _ring(4)
    points = RNG.uniform(-0.15, 0.15, (5, 7, 3))
    return points, np.stack([c.project(points) for c in cameras]), np.stack([c.projection for c in cameras])


def test_exact_points_come_back(scene):
    points, pixels, projections = scene
    found, residuals = triangulate(pixels, np.ones(pixels.shape[:-1]), projections, 5.0)
    np.testing.assert_allclose(found, points, atol=1e-9)
    assert residuals.max() < 1e-6


def test_one_wrong_camera_is_outvoted_and_reported(scene):
    points, pixels, projections = scene
    pixels[2] += [40, -25]
    found, residuals = triangulate(pixels, np.ones(pixels.shape[:-1]), projections, 5.0)
    np.testing.assert_allclose(found, points, atol=1e-9)
    np.testing.assert_allclose(residuals[2], np.hypot(40, 25), rtol=1e-6)


def test_refined_point_minimises_the_weighted_reprojection_error(scene):
    _, pixels, projections = scene
    pixels = pixels + RNG.normal(0, 1, pixels.shape)
    scores = RNG.uniform(0.2, 1, pixels.shape[:-1])
    found, residuals = triangulate(pixels, scores, projections, 20.0)
    for shift in 1e-4 * np.concatenate([np.eye(3), -np.eye(3)]):
        homogeneous = np.einsum("cij,...j->c...i", projections[:, :, :3], found + shift) + projections[:, None, None, :, 3]
        moved = np.linalg.norm(homogeneous[..., :2] / homogeneous[..., 2:] - pixels, axis=-1)
        assert ((scores * moved**2).sum(0) >= (scores * residuals**2).sum(0)).all()


def test_the_cheapest_of_all_pairs_proposals_wins(scene, monkeypatch):
    """Against the definition: every pair's midpoint, every camera's error, cut off at the gate."""
    _, pixels, projections = scene
    pixels = pixels.reshape(4, -1, 2) + RNG.normal(0, 3, (4, 35, 2))
    scores = RNG.uniform(0.2, 1, (4, 35)) * (RNG.random((4, 35)) < 0.9)
    monkeypatch.setattr(triangulation, "REFINEMENT_STEPS", 0)
    found, _ = triangulate(pixels, scores, projections, 8.0)
    for n in range(35):
        costs = {np.inf: np.full(3, np.nan)}
        for i, j in combinations(np.flatnonzero(scores[:, n]), 2):
            pair = np.linalg.inv(projections[[i, j], :, :3])
            centres, ways = -(pair @ projections[[i, j], :, 3:])[..., 0], (pair @ np.append(pixels[[i, j], n], [[1], [1]], 1)[..., None])[..., 0]
            along = np.linalg.lstsq(np.stack([ways[0], -ways[1]], 1), centres[1] - centres[0], rcond=None)[0]
            middle = (centres + along[:, None] * ways).mean(0)
            image = projections[:, :, :3] @ middle + projections[:, :, 3]
            error = np.linalg.norm(image[:, :2] / image[:, 2:] - pixels[:, n], axis=1)
            if max(error[[i, j]]) <= 8.0:
                costs[(scores[:, n] * np.minimum(error, 8.0) ** 2).sum()] = middle
        np.testing.assert_allclose(found[n], costs[min(costs)], atol=1e-9)


def test_absent_views_take_no_part(scene):
    points, pixels, projections = scene
    scores = np.ones(pixels.shape[:-1])
    pixels[0] = np.nan
    pixels[1], scores[1] = 77.0, 0.0
    found, residuals = triangulate(pixels, scores, projections, 5.0)
    np.testing.assert_allclose(found, points, atol=1e-9)
    assert np.isnan(residuals[:2]).all()


def test_nothing_is_invented(scene):
    _, pixels, projections = scene
    scores = np.ones(pixels.shape[:-1])
    scores[1:, 0, 0] = 0  # one view alone
    pixels[:, 1, 1] = RNG.uniform(0, 480, (4, 2))  # four views that agree on nothing
    found, residuals = triangulate(pixels, scores, projections, 5.0)
    for index in [(0, 0), (1, 1)]:
        assert np.isnan(found[index]).all() and np.isnan(residuals[(slice(None), *index)]).all()
    assert np.isfinite(found).sum() == found.size - 6


def test_a_point_behind_the_cameras_is_refused():
    cameras = _ring(2)
    behind = np.array([[0.0, 0.0, 5.0]])  # both cameras look away from it; the mirrored pixels alone would fit
    pixels = np.stack([c.project(behind) for c in cameras])
    found, _ = triangulate(pixels, np.ones((2, 1)), np.stack([c.projection for c in cameras]), 5.0)
    assert np.isnan(found).all()


def test_parallel_rays_have_no_depth():
    camera = _ring(1)[0]
    found, _ = triangulate(np.full((2, 1, 2), 300.0), np.ones((2, 1)), np.stack([camera.projection] * 2), 5.0)
    assert np.isnan(found).all()
