"""Calibration files: ours round-trips, foreign ones give the same cameras, impossible ones are refused."""

import json

import cv2
import numpy as np
import pytest

from pipeline.capture.calibration import read_calibration, write_calibration
from pipeline.io.errors import InputError
from tests.unit.capture_trees import look_at, real_data


def same(a, b, tolerance=1e-9):
    return all(np.allclose(x, y, atol=tolerance, rtol=0) for x, y in ((a.K, b.K), (a.R, b.R), (a.t, b.t), (a.dist, b.dist)))


@pytest.fixture
def cameras():
    return (look_at("cam_0", 0.0), look_at("cam_1", 0.7, dist=(0.1, -0.05, 0.001, 0.002)), look_at("cam_2", -0.4, dist=(0.1, -0.05, 0.001, 0.002, 0.03)))


def test_cameras_json_round_trip(tmp_path, cameras):
    write_calibration(tmp_path / "cameras.json", cameras, note="made by a test")
    read = read_calibration(tmp_path / "cameras.json")
    assert [c.name for c in read] == ["cam_0", "cam_1", "cam_2"] and all(
        same(a, b, 0) and (a.width, a.height) == (b.width, b.height) for a, b in zip(cameras, read)
    )


def change(record, path, value):
    *inner, last = path
    for key in inner:
        record = record[key]
    record[last] = value


@pytest.mark.parametrize(
    "path, value, words",
    [
        (("convention",), "OpenGL: y up", "convention is not OpenCV(?s:.*)OpenGL"),
        (("cameras", 1, "K"), [[1, 0], [0, 1]], "camera 'cam_1': K has a wrong shape"),
        (("cameras", 1, "t"), [0, 0, 1e30], "camera 'cam_1': t has a wrong shape or is not finite"),
        (("cameras", 1, "K", 0), [-5, 0, 3], "not an intrinsic matrix"),
        (("cameras", 1, "R", 0), [2, 0, 0], "R is not a rotation"),
        (("cameras", 0, "R"), [[-1, 0, 0], [0, 1, 0], [0, 0, 1]], "R is not a rotation"),
        (("cameras", 1, "dist"), [0.1, 0.2], "unsupported distortion model(?s:.*)0, 4 or 5"),
        (("cameras", 1, "dist"), [0.1, 0.2, 0, 0, 0, 0.4, 0, 0], "unsupported distortion model(?s:.*)0, 4 or 5"),
        (("cameras", 1, "name"), "cam_0", "two cameras are named 'cam_0'"),
        (("cameras", 1, "name"), "../x", "invalid name"),
        (("cameras", 1, "width"), 0, "invalid size"),
        (("cameras", 1), {"name": "x"}, "number 2 is incomplete"),
        (("cameras",), [], "contains no cameras"),
        (("cameras",), 3, "is not a cameras.json"),
    ],
)
def test_impossible_cameras_are_refused(tmp_path, cameras, path, value, words):
    write_calibration(tmp_path / "cameras.json", cameras)
    record = json.loads((tmp_path / "cameras.json").read_text())
    change(record, path, value)
    (tmp_path / "bad.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=f"bad.json.*{words}"):
        read_calibration(tmp_path / "bad.json")


def easymocap(folder, cameras, *, rotation="R", size=True):
    folder.mkdir()
    intri, extri = (cv2.FileStorage(str(folder / name), cv2.FILE_STORAGE_WRITE) for name in ("intri.yml", "extri.yml"))
    for storage in (intri, extri):
        storage.startWriteStruct("names", cv2.FileNode_SEQ)
        for camera in cameras:
            storage.write("", camera.name)
        storage.endWriteStruct()
    for camera in cameras:
        intri.write(f"K_{camera.name}", camera.K)
        intri.write(f"dist_{camera.name}", np.array([(*camera.dist, 0, 0, 0, 0, 0)[:5]]))
        if size:
            intri.write(f"W_{camera.name}", camera.width)
            intri.write(f"H_{camera.name}", camera.height)
        extri.write(f"{rotation}_{camera.name}", cv2.Rodrigues(camera.R)[0] if rotation == "R" else camera.R)
        extri.write(f"T_{camera.name}", camera.t.reshape(3, 1))
    intri.release(), extri.release()


@pytest.mark.parametrize("rotation", ["R", "Rot"])
def test_easymocap_pair(tmp_path, cameras, rotation):
    easymocap(tmp_path / "cal", cameras, rotation=rotation)
    for path in (tmp_path / "cal", tmp_path / "cal" / "intri.yml", tmp_path / "cal" / "extri.yml"):
        for a, b in zip(cameras, read_calibration(path), strict=True):
            assert a.name == b.name and (a.width, a.height) == (b.width, b.height)
            assert np.allclose(a.project([[0.1, 0.2, 0.1]]), b.project([[0.1, 0.2, 0.1]]), atol=1e-6)


def test_opencv_yaml_without_a_size_leaves_it_open(tmp_path, cameras):
    easymocap(tmp_path / "cal", cameras, size=False)
    assert {(c.width, c.height) for c in read_calibration(tmp_path / "cal")} == {(0, 0)}


def test_one_opencv_yaml_per_camera(tmp_path, cameras):
    for camera in cameras:
        storage = cv2.FileStorage(str(tmp_path / f"{camera.name}.yaml"), cv2.FILE_STORAGE_WRITE)
        storage.write("image_width", camera.width)
        storage.write("image_height", camera.height)
        storage.write("camera_matrix", camera.K)
        storage.write("distortion_coefficients", np.array([camera.dist or (0.0,) * 5]))
        storage.write("rvec", cv2.Rodrigues(camera.R)[0])
        storage.write("tvec", camera.t.reshape(3, 1))
        storage.release()
    for a, b in zip(cameras, read_calibration(tmp_path), strict=True):
        assert a.name == b.name and np.allclose(a.project([[0.1, 0.2, 0.1]]), b.project([[0.1, 0.2, 0.1]]), atol=1e-6)


def test_broken_foreign_files_are_named(tmp_path, cameras):
    (tmp_path / "x.yml").write_text("K: 3\n")
    with pytest.raises(InputError, match="x.yml"):
        read_calibration(tmp_path / "x.yml")
    (tmp_path / "x.toml").write_text("[cameras.0]\ncam_id = 0\nsize = [4, 4]\n")
    with pytest.raises(InputError, match="x.toml: camera 'cam_0' is incomplete"):
        read_calibration(tmp_path / "x.toml")
    easymocap(tmp_path / "cal", cameras)
    (tmp_path / "cal" / "extri.yml").write_text('%YAML:1.0\n---\nnames:\n   - "cam_0"\n')
    with pytest.raises(InputError, match="camera 'cam_0' lacks R"):
        read_calibration(tmp_path / "cal")


def test_caliscope_toml_is_the_same_as_the_cameras_json_made_from_it():
    folder = real_data("head-caliscope-4cam") / "take1"
    toml, own = read_calibration(folder / "camera_array.toml"), read_calibration(folder / "cameras.json")
    assert [c.name for c in toml] == ["cam_0", "cam_1", "cam_2", "cam_3"]
    assert all(same(a, b) and (a.name, a.width, a.height) == (b.name, b.width, b.height) for a, b in zip(toml, own, strict=True))


def test_pose2sim_toml_is_the_same_as_the_cameras_json_made_from_it():
    folder = real_data("body-pose2sim-balance")
    toml, own = read_calibration(folder / "calib_original_scene.toml"), read_calibration(folder / "cameras_scene_upstream.json")
    for a, b in zip(toml, own, strict=True):
        a = a.resized(b.width, b.height)  # two videos were delivered squeezed, and cameras.json says so
        assert same(a, b, 1e-6) and b.name in a.name
