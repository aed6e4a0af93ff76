"""Camera paths as files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.capture.camera import Camera
from pipeline.capture.trajectory import Step, Trajectory, read_trajectory, write_trajectory
from pipeline.io.errors import InputError


def path_of(count=4, frames=("take_000003", 7, None, "take_000004")):
    rng = np.random.default_rng(0)
    K = np.array([[700.0, 0, 250.5], [0, 710, 410], [0, 0, 1]])
    cameras = [Camera("x", 550, 802, K + np.diag([i, i, 0]), Rotation.random(random_state=i).as_matrix(), rng.normal(size=3)) for i in range(count)]
    return Trajectory([Step(camera, frame) for camera, frame in zip(cameras, frames)], 25.0)


def test_a_path_survives_its_file(tmp_path):
    path = path_of()
    write_trajectory(tmp_path / "path.json", path)
    again = read_trajectory(tmp_path / "path.json")
    assert again.fps == 25 and [step.frame for step in again.steps] == [step.frame for step in path.steps]
    for one, other in zip(path.steps, again.steps):
        for name in ("K", "R", "t"):
            np.testing.assert_allclose(getattr(other.camera, name), getattr(one.camera, name), atol=1e-12)
        assert (other.camera.width, other.camera.height) == (550, 802)


def test_the_matrix_is_camera_to_world_with_y_up_and_z_back(tmp_path):
    write_trajectory(tmp_path / "path.json", path_of())
    camera, entry = path_of().steps[0].camera, json.loads((tmp_path / "path.json").read_text())["frames"][0]
    right, up, back, centre = np.array(entry["transform_matrix"])[:3].T
    pixel = camera.project(centre - 2 * back + 0.1 * right + 0.2 * up)
    np.testing.assert_allclose(pixel, [camera.K[0, 2] + 0.05 * camera.K[0, 0], camera.K[1, 2] - 0.1 * camera.K[1, 1]], rtol=1e-9)


def test_a_transforms_json_of_others_is_read(tmp_path):
    entry = {"transform_matrix": np.eye(4).tolist(), "file_path": "a.png", "timestep_index": 3}
    (tmp_path / "a.json").write_text(json.dumps({"camera_angle_x": np.pi / 2, "w": 100, "h": 80, "frames": [entry, {**entry, "camera_angle_y": 1.0}]}))
    first, second = (step.camera for step in read_trajectory(tmp_path / "a.json").steps)
    np.testing.assert_allclose(first.K, [[50, 0, 50], [0, 50, 40], [0, 0, 1]], atol=1e-12)  # square pixels, the principal point in the middle
    assert second.K[0, 0] == pytest.approx(50) and second.K[1, 1] == pytest.approx(40 / np.tan(0.5))
    assert np.array_equal(first.R, np.diag([1.0, -1, -1])) and read_trajectory(tmp_path / "a.json").steps[0].frame == 3


GOOD = {"transform_matrix": np.eye(4).tolist(), "w": 10, "h": 10, "fl_x": 12.0}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({}, "is not a camera path"),
        ({"frames": []}, "is not a camera path"),
        ({"frames": [GOOD, {"w": 10, "h": 10, "fl_x": 12}]}, "image 1 of the path is incomplete"),
        ({"frames": [{**GOOD, "fl_x": None}]}, "image 0 of the path is incomplete"),
        ({"frames": [{**GOOD, "fl_x": -3}]}, "image 0.*K is not an intrinsic matrix"),
        ({"frames": [{**GOOD, "transform_matrix": (2 * np.eye(4)).tolist()}]}, "R is not a rotation"),
        ({"frames": [{**GOOD, "transform_matrix": [[1, 0], [0, 1]]}]}, "image 0 of the path is incomplete"),
        ({"frames": [{**GOOD, "frame": [1]}]}, "image 0 of the path is incomplete"),
        ({"frames": [{**GOOD, "w": 0}]}, "no size, or several"),
        ({"frames": [GOOD, {**GOOD, "w": 11}]}, "no size, or several"),
        ({"frames": [{**GOOD, "w": 1e9}]}, "invalid size"),
        ({"frames": [GOOD], "fps": -1}, "fps is not a frame rate"),
        ({"frames": [3]}, "image 0 of the path is incomplete"),
    ],
)
def test_what_is_no_path_is_named(tmp_path, record, expected):
    (tmp_path / "path.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=expected):
        read_trajectory(tmp_path / "path.json")
