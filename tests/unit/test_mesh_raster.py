"""The z-buffer against one ray per pixel, and what barycentrics must do."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.mesh.raster import zbuffer

WIDTH, HEIGHT = 37, 29


def _brute_force(points: np.ndarray, depth: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nearest triangle by solving for every pixel's ray against every triangle in 3D (camera K = I, ray (x, y, 1))."""
    corners = np.concatenate([points * depth[:, None], depth[:, None]], axis=1)[faces]
    face_id, best, bary = np.full((HEIGHT, WIDTH), -1), np.full((HEIGHT, WIDTH), np.inf), np.zeros((HEIGHT, WIDTH, 3))
    for row in range(HEIGHT):
        for column in range(WIDTH):
            ray = np.array([column + 0.5, row + 0.5, 1.0])
            for f, corner in enumerate(corners):
                if (corner[:, 2] <= 0).any():
                    continue
                weights = np.linalg.solve(corner.T, ray)
                z = 1 / weights.sum()
                if (weights >= 0).all() and z < best[row, column]:
                    face_id[row, column], best[row, column], bary[row, column] = f, z, weights * z
    return face_id, best, bary


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    points = random.uniform(-15, 50, (40, 2))
    depth = random.uniform(0.5, 4, 40)
    depth[:4] = -1.0
    return points, depth, random.permuted(np.tile(np.arange(40), (14, 1)), axis=1)[:, :3]


def test_agrees_with_one_ray_per_pixel(scene):
    buffers = zbuffer(*scene, WIDTH, HEIGHT)
    face_id, depth, bary = _brute_force(*scene)
    assert (face_id >= 0).mean() > 0.3 and (face_id < 0).any()
    np.testing.assert_array_equal(buffers.face_id, face_id)
    np.testing.assert_allclose(buffers.depth, depth, rtol=1e-5)
    np.testing.assert_allclose(buffers.barycentric, bary, atol=1e-5)


def test_barycentrics_reproduce_a_linear_function_of_space(scene):
    points, depth, faces = scene
    camera = np.concatenate([points * depth[:, None], depth[:, None]], axis=1)
    values = camera @ np.array([0.3, -0.7, 2.0]) + 1.5
    buffers = zbuffer(points, depth, faces, WIDTH, HEIGHT)
    rows, columns = np.nonzero(buffers.face_id >= 0)
    place = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))], axis=1) * buffers.depth[rows, columns, None]
    expected = place @ np.array([0.3, -0.7, 2.0]) + 1.5
    np.testing.assert_allclose(buffers.interpolate(values[:, None], faces)[rows, columns, 0], expected, atol=1e-4)


def test_neighbours_leave_no_gap_and_order_does_not_matter():
    ys, xs = np.mgrid[0:9, 0:9]
    points = np.stack([xs, ys], axis=-1).reshape(-1, 2) * 5.0 - 1.0
    index = np.arange(81).reshape(9, 9)
    corners = np.stack([index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]], axis=-1).reshape(-1, 4)
    faces = np.concatenate([corners[:, [0, 1, 2]], corners[:, [2, 1, 3]]])
    buffers = zbuffer(points, np.ones(81), faces, 30, 30)
    assert (buffers.face_id >= 0).all()
    flipped = zbuffer(points, np.ones(81), faces[::-1, ::-1], 30, 30)
    np.testing.assert_allclose(flipped.depth, buffers.depth)


def test_nothing_is_drawn_behind_the_camera_or_outside():
    points = np.array([[0.0, 0.0], [20.0, 0.0], [0.0, 20.0]])
    faces = np.array([[0, 1, 2]])
    assert (zbuffer(points, np.array([1.0, 1.0, -1.0]), faces, 10, 10).face_id == -1).all()
    assert (zbuffer(points - 100, np.ones(3), faces, 10, 10).face_id == -1).all()
    assert (zbuffer(points * np.nan, np.ones(3), faces, 10, 10).face_id == -1).all()
    huge = zbuffer(points * 1e6 - 1e6, np.ones(3), faces, 10, 10)
    assert np.isinf(huge.depth[huge.face_id < 0]).all()
