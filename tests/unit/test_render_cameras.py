"""Cameras that `./c2a render` takes, before anything is rendered."""

import numpy as np
import pytest

from pipeline.capture.calibration import write_calibration
from pipeline.capture.camera import Camera
from pipeline.capture.record import Capture, write_capture
from pipeline.contract.layout import Layout
from pipeline.io.errors import InputError
from pipeline.stages.render_cameras import cameras_of
from pipeline.workflow.render_verb import render_avatar
from pipeline.workflow.run_options import RunOptions

K = np.array([[200.0, 0, 64], [0, 200, 94], [0, 0, 1]])


def camera(name, dist=(), width=128):
    return Camera(name, width, 188, K=K, R=np.eye(3), t=np.array([0, 0, 2.0]), dist=dist)


@pytest.fixture
def files(tmp_path):
    layout = Layout(tmp_path / "results" / "a", tmp_path / "work" / "a")
    capture = Capture("a", "rig", 30.0, (camera("left", (0.1, 0, 0, 0)), camera("right", width=256)), {}, {}, {}, None, ())
    layout.results.mkdir(parents=True)
    write_capture(layout.capture, capture)
    return layout


def opencv(folder, name):
    node = "%YAML:1.0\n---\n"

    def matrix(key, values, rows):
        data = ", ".join(f"{value:.3f}" for value in np.ravel(values))
        return f"{key}: !!opencv-matrix\n   rows: {rows}\n   cols: {np.size(values) // rows}\n   dt: d\n   data: [ {data} ]\n"

    names = f'names:\n   - "{name}"\n'
    (folder / "intri.yml").write_text(node + names + matrix(f"K_{name}", K, 3) + matrix(f"dist_{name}", np.zeros(4), 1))
    (folder / "extri.yml").write_text(node + names + matrix(f"R_{name}", np.zeros(3), 3) + matrix(f"T_{name}", [0, 0, 2], 3))
    return folder / "intri.yml"


def test_those_of_the_results_are_taken_without_their_distortion(files, capsys):
    found = cameras_of(files.capture, files)
    assert [(c.name, c.width, c.dist) for c in found] == [("left", 128, ()), ("right", 256, ())]
    assert "without their distortion (dist): left" in capsys.readouterr().err


def test_a_size_that_the_calibration_lacks_is_that_of_the_captures_camera(files, tmp_path):
    assert [(c.name, c.width, c.height) for c in cameras_of(opencv(tmp_path, "right"), files)] == [("right", 256, 188)]
    with pytest.raises(InputError, match="camera 'top' has no image size") as error:
        cameras_of(opencv(tmp_path, "top"), files)
    assert "W_top" in str(error.value) and "next:" in str(error.value)


def test_a_calibration_file_is_read_and_what_is_none_is_named(files, tmp_path):
    write_calibration(tmp_path / "mine.json", [camera("mine")])
    assert [c.name for c in cameras_of(tmp_path / "mine.json", files)] == ["mine"]
    (tmp_path / "frames.json").write_text('{"cameras": [{"name": "x"}]}')
    with pytest.raises(InputError, match="holds no cameras"):
        cameras_of(tmp_path / "frames.json", files)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"out": None}, "nothing to write"),
        ({"video": "film.avi"}, "is not an MP4 file"),
        ({"out": None, "video": "film.mp4", "alpha": True}, "--alpha writes images"),
        ({"cameras": "nothing.json"}, "no such file"),
    ],
)
def test_wrong_options_are_named_before_anything_is_loaded(files, tmp_path, change, expected):
    files.avatar.parent.mkdir()
    files.avatar.write_bytes(b"")
    values = {"cameras": "orbit", "out": "images", "video": None, "frames": "all", "subject": "", "alpha": False} | change
    paths = {name: tmp_path / values[name] if values[name] else None for name in ("out", "video")}
    with pytest.raises(InputError, match=expected) as error:
        render_avatar("a", RunOptions(("a",), results=tmp_path / "results"), **(values | paths))
    assert "next:" in str(error.value) and not (tmp_path / "images").exists()


@pytest.mark.parametrize(("setting", "expected"), [("train.device=cpu", "cpu"), ("render.device=cuda", "cuda")])
def test_the_device_is_that_of_the_configuration(files, tmp_path, monkeypatch, setting, expected):
    files.avatar.parent.mkdir()
    files.avatar.write_bytes(b"")
    wishes = []
    monkeypatch.setattr("pipeline.stages.render_cameras.render_cameras", lambda layout, wish: wishes.append(wish) or [])
    options = RunOptions(("a",), results=tmp_path / "results", sets=(setting,))
    render_avatar("a", options, "front", tmp_path / "images", None, "all", "", False)
    assert wishes[0].device == expected
