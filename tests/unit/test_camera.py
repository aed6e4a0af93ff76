import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.capture.camera import Camera, distort


def _camera(dist=()):
    K = np.array([[500.0, 0, 310], [0, 505, 250], [0, 0, 1]])
    return Camera("a", 640, 480, K, Rotation.from_euler("xyz", [0.1, -0.4, 2.0]).as_matrix(), np.array([0.1, -0.2, 1.5]), dist)


POINTS = np.random.default_rng(0).uniform(-0.4, 0.4, (50, 3))


@pytest.mark.parametrize("dist", [(), (-0.3, 0.1, 0.001, -0.002), (-0.3, 0.1, 0.001, -0.002, 0.05)])
def test_projection_is_opencvs(dist):
    camera = _camera(dist)
    expected, _ = cv2.projectPoints(POINTS, camera.R, camera.t, camera.K, np.array(dist) if dist else None)
    np.testing.assert_allclose(camera.project(POINTS), expected[:, 0], atol=1e-6)


def test_the_centre_projects_nowhere():
    camera = _camera()
    np.testing.assert_allclose(camera.to_camera(camera.centre), 0, atol=1e-12)


def test_undistorting_points_inverts_distortion():
    camera = _camera((-0.3, 0.1, 0.001, -0.002, 0.02))
    np.testing.assert_allclose(camera.undistort_points(camera.project(POINTS)), camera.without_distortion().project(POINTS), atol=1e-4)


def test_crop_and_resize_move_projections_exactly():
    camera = _camera()
    cropped = camera.cropped(-20, 30, 500, 400)
    np.testing.assert_allclose(cropped.project(POINTS), camera.project(POINTS) - [-20, 30], atol=1e-9)
    resized = cropped.resized(250, 100)
    np.testing.assert_allclose(resized.project(POINTS), cropped.project(POINTS) * [0.5, 0.25], atol=1e-9)


def test_json_round_trip():
    camera = _camera((0.1, 0.2, 0.3, 0.4))
    again = Camera.from_json(camera.to_json())
    assert (again.name, again.width, again.height, again.dist) == ("a", 640, 480, (0.1, 0.2, 0.3, 0.4))
    for name in ("K", "R", "t"):
        np.testing.assert_array_equal(getattr(again, name), getattr(camera, name))


def test_no_distortion_changes_nothing():
    points = np.random.default_rng(1).normal(size=(4, 2))
    np.testing.assert_array_equal(distort(points, ()), points)
