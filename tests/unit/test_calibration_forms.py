"""Calibrations of other programs: read as they are meant, and converted from each form into each other."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pipeline.capture.calibration import calibration_files, read_calibration, write_calibration
from pipeline.capture.convert import FORMS, convert_calibration, form_of
from pipeline.capture.rig_reader import read_rig
from pipeline.contract.captures_table import CONVENTIONS, UNITS
from pipeline.io.errors import InputError
from pipeline.workflow.calibration_verb import run_calibration
from tests.unit.capture_trees import look_at, make_rig

PLAIN = (look_at("cam_0", 0.3), look_at("cam_1", 1.9))
BENT = (look_at("cam_0", 0.3, dist=(0.1, -0.05, 0.001, 0.002)), look_at("cam_1", -2.1, dist=(0.1, -0.05, 0.001, 0.002, 0.03)), look_at("cam_2", 0.9))
TARGETS = {  # of each form a name that means it, and one that is only read
    "cameras_json": "cameras.json", "colmap": "sparse", "transforms": "transforms.json", "captury": "rig.calibration", "opencv": "cal/intri.yml",
    "animatable_gaussians": "calibration_full.json", "pose2sim": "Calib.toml", "caliscope": "camera_array.toml", "colmap_binary": "model",
}  # fmt: skip


def same(read, expected, tolerance=1e-9):
    assert [camera.name for camera in read] == [camera.name for camera in expected]
    for a, b in zip(read, expected):
        assert (a.width, a.height) == (b.width, b.height)
        for name in ("K", "R", "t"):
            np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=tolerance, rtol=0)
        np.testing.assert_allclose((*a.dist, 0, 0, 0, 0, 0)[:5], (*b.dist, 0, 0, 0, 0, 0)[:5], atol=tolerance, rtol=0)


def somewhere(name):
    return Path("/somewhere") / name


def test_names_mean_forms():
    assert set(TARGETS) == set(FORMS)
    for form, name in TARGETS.items():
        if form != "colmap_binary":
            assert form_of(somewhere(name)) == form
    with pytest.raises(InputError, match="the name says no form(?s:.*)--format"):
        form_of(somewhere("cameras.txt"))


@pytest.mark.parametrize("cameras", [PLAIN, BENT], ids=["plain", "distorted"])
def test_a_chain_through_all_forms_and_back_ends_where_it_began(tmp_path, cameras):
    forms = [form for form in FORMS if cameras is PLAIN or form != "captury"]
    write_calibration(tmp_path / "start.json", cameras)
    places = [tmp_path / "start.json"]
    for number, form in enumerate([*forms, *reversed(forms)]):
        target = tmp_path / str(number) / TARGETS[form]
        assert convert_calibration(places[-1], target, form) == len(cameras)
        same(read_calibration(target), cameras)
        assert calibration_files(target) and all(file.is_file() for file in calibration_files(target))
        places.append(target)
    for before, after in pairwise(places):
        same(read_calibration(before), read_calibration(after))


def test_what_a_form_cannot_hold_is_named_and_nothing_is_written(tmp_path):
    write_calibration(tmp_path / "bent.json", BENT)
    skewed = replace(PLAIN[0], K=PLAIN[0].K + [[0, 0.5, 0], [0, 0, 0], [0, 0, 0]])
    write_calibration(tmp_path / "skewed.json", [skewed])
    write_calibration(tmp_path / "named.json", [replace(PLAIN[0], name="front.left")])
    convert_calibration(tmp_path / "named.json", tmp_path / "named" / "transforms.json")
    for source, target, words in [
        ("bent.json", "a.calibration", "camera 'cam_0' has distortion, which the form 'captury' cannot hold"),
        ("skewed.json", "sparse", "has skew, which the form 'colmap'"),
        ("skewed.json", "transforms.json", "has skew, which the form 'transforms'"),
        ("named.json", "camera_array.toml", "'front.left' cannot be written as Caliscope's(?s:.*)cam_<number>"),
        ("named.json", "intri.yml", "'front.left' cannot be written as OpenCV's"),
        ("named.json", "bent.json", "unknown form|says no form"),
    ]:
        before = set(tmp_path.rglob("*"))
        with pytest.raises(InputError, match=words):
            convert_calibration(tmp_path / source, tmp_path / target)
        assert set(tmp_path.rglob("*")) == before
    with pytest.raises(InputError, match="is there already"):
        convert_calibration(tmp_path / "named.json", tmp_path / "bent.json", "cameras_json")
    with pytest.raises(InputError, match="unknown form 'ply'"):
        convert_calibration(tmp_path / "named.json", tmp_path / "x", "ply")


def test_cameras_without_a_size_stay_in_forms_that_need_none(tmp_path):
    write_calibration(tmp_path / "cameras.json", PLAIN)
    convert_calibration(tmp_path / "cameras.json", tmp_path / "cal", "opencv")
    text = (tmp_path / "cal" / "intri.yml").read_text()
    (tmp_path / "cal" / "intri.yml").write_text("\n".join(line for line in text.splitlines() if not line.startswith(("W_", "H_"))) + "\n")
    convert_calibration(tmp_path / "cal", tmp_path / "again.old", "opencv")
    assert read_calibration(tmp_path / "again.old")[0].width == 0
    with pytest.raises(InputError, match="no width and height, which the form 'colmap'"):
        convert_calibration(tmp_path / "cal", tmp_path / "sparse")


def test_captury_is_in_millimetres(tmp_path):
    (tmp_path / "rig.calibration").write_text(
        "Skeletool Camera Calibration File V1.0\nname          0\n  sensor      10 10\n  size        640 480\n  animated    0\n"
        "  intrinsic   500 0 320 0 0 510 240 0 0 0 1 0 0 0 0 1\n  extrinsic   0 -1 0 1500 1 0 0 -250 0 0 1 3000 0 0 0 1\n  radial      0\n"
    )
    (camera,) = read_calibration(tmp_path / "rig.calibration")
    assert (camera.name, camera.width, camera.height) == ("0", 640, 480) and camera.K.tolist() == [[500, 0, 320], [0, 510, 240], [0, 0, 1]]
    np.testing.assert_allclose(camera.t, [1.5, -0.25, 3.0])
    np.testing.assert_allclose(camera.R, [[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(read_calibration(tmp_path / "rig.calibration", units="cm")[0].t, [15, -2.5, 30])
    text = (tmp_path / "rig.calibration").read_text()
    for old, new in [("size        640 480", "size 640"), (" 3000 0 0 0 1", " 3000"), ("radial      0", "radial 1 0.2"), ("510", "nan")]:
        (tmp_path / "bad.calibration").write_text(text.replace(old, new))
        with pytest.raises(InputError, match="bad.calibration"):
            read_calibration(tmp_path / "bad.calibration")


def test_animatable_gaussians_json_and_transforms_with_a_field_of_view(tmp_path):
    record = {"cam00": {"K": [500, 0, 320, 0, 510, 240, 0, 0, 1], "R": [0, -1, 0, 1, 0, 0, 0, 0, 1], "T": [1.5, -0.25, 3.0], "imgSize": [640, 480]}}
    (tmp_path / "c.json").write_text(json.dumps(record))
    (camera,) = read_calibration(tmp_path / "c.json")
    assert camera.name == "cam00" and camera.width == 640 and camera.K[1, 1] == 510 and camera.t.tolist() == [1.5, -0.25, 3.0]
    (tmp_path / "c.json").write_text(json.dumps({"cam00": record["cam00"] | {"K": [1, 2]}}))
    with pytest.raises(InputError, match="c.json: camera 'cam00' is incomplete"):
        read_calibration(tmp_path / "c.json")
    frame = {"file_path": "images/front.png", "transform_matrix": np.eye(4).tolist()}
    (tmp_path / "t.json").write_text(json.dumps({"camera_angle_x": np.pi / 2, "w": 200, "h": 100, "frames": [frame]}))
    (camera,) = read_calibration(tmp_path / "t.json")
    assert camera.name == "front" and camera.K[0, 0] == pytest.approx(100) and camera.K[:2, 2].tolist() == [100, 50]
    np.testing.assert_allclose(camera.R, np.diag([1, -1, -1]))  # OpenGL's camera looks along -z
    with pytest.raises(InputError, match="the form itself says"):
        read_calibration(tmp_path / "t.json", convention="opengl")


@pytest.mark.parametrize("form", ["colmap", "captury", "animatable_gaussians", "transforms"])
def test_a_rig_is_calibrated_by_any_form(tmp_path, form):
    make_rig(tmp_path / "rig", list(PLAIN), frames=1)
    target = tmp_path / TARGETS[form]
    convert_calibration(tmp_path / "rig" / "cameras.json", target)
    source = read_rig(tmp_path / "rig", calibration=target)
    same(source.cameras, PLAIN)
    assert target in source.read or target / "cameras.txt" in source.read


def test_the_verb_says_what_it_wrote(tmp_path, capsys):
    write_calibration(tmp_path / "cameras.json", PLAIN)
    run_calibration(tmp_path / "cameras.json", tmp_path / "sparse", "", "", "mm")
    assert capsys.readouterr().out == f"wrote {tmp_path / 'sparse'}: 2 cameras\n"
    np.testing.assert_allclose(read_calibration(tmp_path / "sparse")[0].t, PLAIN[0].t / 1000)
    for options, words in [(("yards", ""), " | ".join(CONVENTIONS[:2])), (("", "inch"), " | ".join(UNITS))]:
        with pytest.raises(InputError) as error:
            run_calibration(tmp_path / "cameras.json", tmp_path / "x.json", "", *options)
        assert words in str(error.value)
