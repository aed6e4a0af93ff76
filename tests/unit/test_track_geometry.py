"""Similarity transforms, rotations, contours: properties that hold for any subject."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.capture.camera import Camera
from pipeline.geometry.similarity import ransac_similarity, umeyama
from pipeline.track.contour import boundary_faces, match_contours, match_frame, occluding_contour, trace_contour


@pytest.mark.parametrize("seed", range(4))
def test_umeyama_recovers_any_similarity(seed):
    rng = np.random.default_rng(seed)
    source, R, t, s = rng.normal(size=(20, 3)), Rotation.random(random_state=seed).as_matrix(), rng.normal(size=3), rng.uniform(0.1, 10)
    found = umeyama(source, s * source @ R.T + t, rng.uniform(0.1, 1, 20))
    assert np.isclose(found[0], s) and np.allclose(found[1], R) and np.allclose(found[2], t)


def test_umeyama_never_mirrors():
    source = np.random.default_rng(3).normal(size=(20, 3))
    _, R, _ = umeyama(source, source * [1, 1, -1])
    assert np.isclose(np.linalg.det(R), 1)


def test_ransac_ignores_a_third_of_wrong_points():
    rng = np.random.default_rng(5)
    source, R = rng.normal(size=(90, 3)), Rotation.random(random_state=5).as_matrix()
    target = source @ R.T + 3
    target[:30] += rng.normal(size=(30, 3)) * 2
    s, found, t, inliers = ransac_similarity(source, target, 0.1)
    assert np.allclose(found, R, atol=1e-6) and np.isclose(s, 1) and np.allclose(t, 3, atol=1e-5) and inliers[30:].all()


def test_ransac_says_none_when_there_are_too_few_points():
    assert ransac_similarity(np.zeros((4, 3)), np.zeros((4, 3)), 0.1) is None


def disc(size: int, centre: tuple[float, float], radius: float) -> np.ndarray:
    """A disc with a soft edge, three pixels wide: alpha is linear in the distance from the centre."""
    y, x = np.mgrid[:size, :size] + 0.5
    return np.clip(0.5 + (radius - np.hypot(x - centre[0], y - centre[1])) / 3, 0, 1)


def test_trace_finds_a_disc_to_a_twentieth_of_a_pixel():
    contour = trace_contour(disc(80, (41.3, 38.8), 23.4))
    out = contour.points - [41.3, 38.8]
    assert np.abs(np.linalg.norm(out, axis=1) - 23.4).max() < 0.05
    assert ((out / np.linalg.norm(out, axis=1, keepdims=True) * contour.normals).sum(1) > 0.97).all()
    assert len(contour) > 100


def test_trace_skips_the_border_and_the_padding():
    alpha = disc(80, (0, 40), 30)
    visible = np.ones((80, 80), bool)
    visible[:35] = False
    points = trace_contour(alpha, visible).points
    assert len(points) and points[:, 0].min() > 2 and points[:, 1].min() > 35


def test_matches_need_similar_normals():
    ring = trace_contour(disc(80, (40, 40), 20))
    assert (match_contours(ring, ring, 5.0) == np.arange(len(ring))).all()
    inner = trace_contour(1 - disc(80, (40, 40), 19))
    assert (match_contours(ring, inner, 5.0) == -1).all()
    assert (match_contours(ring, trace_contour(disc(80, (40, 40), 30)), 5.0) == -1).all()


def sphere(radius: float, rings: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """A closed-sided sphere with its poles cut off, as many triangles as `rings` squared times two."""
    u, v = np.meshgrid(np.linspace(0.15, np.pi - 0.15, rings), np.linspace(0, 2 * np.pi, rings, endpoint=False), indexing="ij")
    points = radius * np.stack([np.sin(u) * np.cos(v), np.sin(u) * np.sin(v), np.cos(u)], -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(rings - 1), np.arange(rings), indexing="ij")
    a, b, c, d = (x.ravel() for x in (i * rings + j, i * rings + (j + 1) % rings, (i + 1) * rings + j, (i + 1) * rings + (j + 1) % rings))
    return points, np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])


def looking_at_origin() -> Camera:
    return Camera("c", 120, 100, np.array([[200.0, 0, 61.3], [0, 200, 47.8], [0, 0, 1]]), np.eye(3)[[1, 2, 0]], np.array([0.0, 0, 5]))


def test_matches_of_a_sphere_measure_how_much_it_should_grow():
    camera = looking_at_origin()
    faces = sphere(1.0)[1]
    contour, face_ids, barycentric = occluding_contour(sphere(1.1)[0], faces, camera)
    matches = match_frame(sphere(1.0)[0], faces, np.zeros(len(faces), bool), [camera], [contour], np.array([20.0]))
    corners = sphere(1.0)[0][faces[matches.face_ids]]
    pixel = camera.project(np.einsum("nk,nkx->nx", matches.barycentric, corners))
    residual = ((matches.target - pixel) * matches.normal).sum(1) - matches.contour_distance
    expected = 200 * (1.1 / np.sqrt(25 - 1.21) - 1.0 / np.sqrt(24))  # tangent cones of the two spheres
    beside = np.abs(matches.normal[:, 1]) < 0.8  # the poles, above and below, are flat
    assert abs(residual[beside].mean() - expected) < 0.1
    assert len(face_ids) == len(contour) == len(barycentric)


def test_nothing_matches_beside_the_open_edge():
    camera, (points, faces) = looking_at_origin(), sphere(1.0)
    boundary = boundary_faces(faces, len(points))
    assert 0 < boundary.sum() < len(faces) / 4
    assert np.abs(points[faces[boundary]][..., 2]).min() > 0.8, "only the rings at the poles are near the edge"
    matches = match_frame(points, faces, boundary, [camera], [occluding_contour(points, faces, camera)[0]], np.array([20.0]))
    assert not boundary[matches.face_ids].any() and len(matches.face_ids)
