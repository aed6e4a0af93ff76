"""Camera paths of the viewer: they pass through the keyframes, evenly, and close smoothly."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.capture.camera import Camera
from pipeline.io.errors import InputError
from pipeline.viewer.viewpoint import PathSettings, Viewpoint, camera_path

RNG = np.random.default_rng(4)


def viewpoints(count):
    quats = Rotation.random(count, random_state=3).as_quat(scalar_first=True)
    return [Viewpoint(RNG.normal(size=3), q, float(RNG.uniform(0.3, 0.9))) for q in quats]


def angle(a, b):
    return (Rotation.from_quat(a.wxyz, scalar_first=True).inv() * Rotation.from_quat(b.wxyz, scalar_first=True)).magnitude()


def assert_same(a, b):
    assert a.position == pytest.approx(b.position, abs=1e-9) and a.fov == pytest.approx(b.fov, abs=1e-9) and angle(a, b) < 1e-7


@pytest.mark.parametrize("smooth", [True, False])
@pytest.mark.parametrize("cycles", [0, 1, 2])
def test_a_path_passes_through_its_keyframes(smooth, cycles):
    keys = viewpoints(4)
    path = camera_path(keys, PathSettings(smooth, cycles, interval=0.4, fps=25))
    assert len(path) == (31 if cycles == 0 else 40 * cycles)
    for i, key in enumerate(keys * max(cycles, 1)):
        assert_same(path[10 * i], key)


def test_linear_paths_are_straight_and_turn_evenly():
    a, b = viewpoints(2)
    path = camera_path([a, b], PathSettings(False, 0, 1.0, 8))
    for i, at in enumerate(path):
        assert at.position == pytest.approx(a.position + i / 8 * (b.position - a.position), abs=1e-12)
        assert angle(a, at) == pytest.approx(i / 8 * angle(a, b), abs=1e-7)


def test_smooth_paths_have_no_corner_even_where_a_round_begins_again():
    keys = viewpoints(5)
    for settings in (PathSettings(True, 2, 1.0, 200), PathSettings(True, 0, 1.0, 200)):
        path = camera_path(keys, settings)
        speed = np.diff([at.position for at in path], axis=0)
        turn = np.array([angle(a, b) for a, b in zip(path, path[1:])])
        assert np.abs(np.diff(speed, axis=0)).max() < 0.03 * np.abs(speed).max()
        assert np.abs(np.diff(turn)).max() < 0.03 * turn.max()


def test_the_fields_of_view_of_an_overshooting_spline_stay_possible():
    keys = [Viewpoint(np.zeros(3), np.array([1.0, 0, 0, 0]), fov) for fov in np.radians([119.9, 119.9, 5, 119.9])]
    fovs = np.degrees([at.fov for at in camera_path(keys, PathSettings(True, 0, 1, 30))])
    assert fovs.min() >= 1 - 1e-9 and fovs.max() <= 120 + 1e-9


def test_a_viewpoint_is_that_of_its_camera():
    R = Rotation.random(random_state=1).as_matrix()
    camera = Camera("a", 300, 200, np.array([[310.0, 0, 150], [0, 310.0, 100], [0, 0, 1]]), R, RNG.normal(size=3))
    other = Viewpoint.of(camera).camera(300, 200)
    points = other.centre + (np.array([[0.1, 0.2, 1], [-0.2, 0.1, 2]])) @ R
    assert camera.project(points) == pytest.approx(other.project(points), abs=1e-8)
    assert Viewpoint.of(camera).camera(600, 400).project(points) == pytest.approx(2 * camera.project(points), abs=1e-8)


@pytest.mark.parametrize(("count", "settings"), [(1, PathSettings()), (0, PathSettings()), (3, PathSettings(interval=1e6)), (3, PathSettings(interval=0))])
def test_what_is_no_path_is_named(count, settings):
    with pytest.raises(InputError, match="next:"):
        camera_path(viewpoints(count), settings)
