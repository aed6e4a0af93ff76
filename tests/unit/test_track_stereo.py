"""Stereo: a flat, printed wall before three cameras."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.capture.camera import Camera
from pipeline.track.stereo import match_stereo

K = np.array([[300.0, 0, 128], [0, 300, 128], [0, 0, 1]])


def cameras() -> list[Camera]:
    """Three cameras 0.5 m before the plane z = 0, on an arc, looking at the origin."""
    result = []
    for index, angle in enumerate((-0.35, 0.0, 0.35)):
        forward = np.array([np.sin(angle), 0, np.cos(angle)])
        right = np.cross([0, 1.0, 0], forward)
        result.append(Camera(f"c{index}", 256, 256, K, np.stack([right, np.cross(forward, right), forward]), np.array([0, 0, 0.5])))
    return result


def image(camera: Camera, print_: np.ndarray) -> np.ndarray:
    """The plane z = 0 with a print of 2000 pixels a metre, its middle at the origin, seen through a homography."""
    H = camera.projection[:, [0, 1, 3]] @ np.array([[1 / 2000, 0, -len(print_) / 4000], [0, 1 / 2000, -len(print_) / 4000], [0, 0, 1]])
    shift = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])  # cv2 counts pixel centres at whole numbers
    return cv2.warpPerspective(print_, shift @ H @ np.linalg.inv(shift), (256, 256), flags=cv2.INTER_AREA)


def wall(depth: float) -> tuple[np.ndarray, np.ndarray]:
    """A square of 20 x 20 vertices, 8 cm wide, at z = depth, its normals towards the cameras (-z)."""
    line = np.linspace(-0.04, 0.04, 20)
    y, x = (grid.ravel() for grid in np.meshgrid(line, line, indexing="ij"))
    i, j = (grid.ravel() for grid in np.meshgrid(np.arange(19), np.arange(19), indexing="ij"))
    a = i * 20 + j
    return np.stack([x, y, np.full(400, depth)], 1), np.concatenate([np.stack([a, a + 20, a + 1], 1), np.stack([a + 1, a + 20, a + 21], 1)])


def printed(contrast: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=(600, 600)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 6)
    return 128 + contrast * blurred / blurred.std()


def test_a_wall_is_found_where_it_is():
    vertices, faces = wall(0.006)
    images = [image(camera, printed(30)) for camera in cameras()]
    stereo = match_stereo(vertices, faces, np.arange(400), cameras(), images)
    assert len(stereo.vertices) > 200
    np.testing.assert_allclose(stereo.normal, np.tile([0, 0, -1.0], (len(stereo.normal), 1)), atol=1e-6)
    assert np.median(np.abs(stereo.target[:, 2])) < 2e-4 and np.quantile(np.abs(stereo.target[:, 2]), 0.9) < 1e-3


def test_the_unit_of_the_world_changes_nothing():
    vertices, faces = wall(0.006)
    images = [image(camera, printed(30)) for camera in cameras()]
    millimetres = [Camera(c.name, c.width, c.height, c.K, c.R, 1000 * c.t) for c in cameras()]
    small = match_stereo(vertices, faces, np.arange(400), cameras(), images)
    large = match_stereo(1000 * vertices, faces, np.arange(400), millimetres, images, 1000.0)
    shared = np.isin(small.vertices, large.vertices), np.isin(large.vertices, small.vertices)
    assert shared[0].mean() > 0.98
    np.testing.assert_allclose(1000 * small.target[shared[0]], large.target[shared[1]], atol=0.05)


def test_nothing_is_found_without_contrast_or_in_one_camera():
    vertices, faces = wall(0.006)
    plain = [image(camera, printed(0.5)) for camera in cameras()]
    assert len(match_stereo(vertices, faces, np.arange(400), cameras(), plain).vertices) < 20
    assert not len(match_stereo(vertices, faces, np.arange(400), cameras()[:1], [image(cameras()[0], printed(30))]).vertices)


def test_what_is_out_of_reach_is_left_alone():
    vertices, faces = wall(0.06)
    stereo = match_stereo(vertices, faces, np.arange(400), cameras(), [image(camera, printed(30)) for camera in cameras()])
    assert len(stereo.vertices) < 40
